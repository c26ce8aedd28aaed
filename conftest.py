"""What holds for all tests: the examples in docstrings, and those under ``tests``."""

import os

import pytest
from hypothesis import settings

# A busy machine is slow, so no example has a deadline. A failing one prints how to repeat it.
settings.register_profile("detent", deadline=None, print_blob=True)
settings.load_profile("detent")

# The settings of whoever runs the tests are not those of the tests.
for name in [name for name in os.environ if name.startswith("DETENT_")]:
    del os.environ[name]


@pytest.fixture(autouse=True)
def own_folder(request: pytest.FixtureRequest) -> None:
    """Run each docstring in an empty folder: its example may make a registry."""
    if isinstance(request.node, pytest.DoctestItem):
        folder = request.getfixturevalue("tmp_path")
        request.getfixturevalue("monkeypatch").chdir(folder)
