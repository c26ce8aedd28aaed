"""How Sphinx builds these pages."""

import os
from importlib.metadata import version as version_of

project = "detent"
release = version = version_of("detent")
project_copyright = "the detent contributors"

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc"]
suppress_warnings = ["toc.not_readable"]  # some pages of the index are still being written

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "member-order": "bysource"}
numpydoc_show_class_members = False  # autodoc lists them

# Links to other projects' pages need the network, so they are made only when asked for.
if os.environ.get("DETENT_DOCS_LINKS"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "numpy": ("https://numpy.org/doc/stable/", None),
        "python": ("https://docs.python.org/3/", None),
        "sklearn": ("https://scikit-learn.org/stable/", None),
    }

html_theme = "furo"
html_title = f"detent {release}"
html_copy_source = False
