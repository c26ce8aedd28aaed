"""Finding a compiler by its name, and choosing one for a model."""

import importlib
from typing import Any, cast

from detent.compilers.base import Compiler
from detent.errors import InvalidError, NotFoundError

GROUP = "detent.compilers"  # the entry points of packages that add a compiler
AUTO = "auto"

# Found without reading what is installed, like the formats. `auto` tries them in this order.
_OURS = {
    "treelite": ("detent.compilers.treelite", "TreeliteCompiler"),
    "onnx": ("detent.compilers.onnx", "OnnxCompiler"),
}


def get_compiler(name: str) -> Compiler:
    """Return the compiler with a name: one of detent's own, or one that a package adds.

    Raises
    ------
    NotFoundError
        If no installed package has a compiler of that name.
    InvalidError
        If the package that has it cannot be imported.

    Examples
    --------
    >>> get_compiler("treelite").name
    'treelite'
    """
    if name in _OURS:
        module, kind = _OURS[name]
        return cast(Compiler, getattr(importlib.import_module(module), kind)())
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP, name=name):
        try:
            return cast(Compiler, entry.load()())
        except ImportError as error:
            raise InvalidError(
                f"the compiler `{name}` cannot be used: importing `{entry.module}` failed: {error}",
                hint="install what that package needs",
            ) from error
    known = list_compilers()
    raise NotFoundError(
        f"there is no compiler `{name}`; there are {', '.join(f'`{item}`' for item in known)}",
        hint="a package can add one: an entry point in the group `detent.compilers`",
        details={"compilers": known},
    )


def list_compilers() -> list[str]:
    """Return the names of all compilers, those of installed packages included, sorted.

    Examples
    --------
    >>> {"onnx", "treelite"} <= set(list_compilers())
    True
    """
    from importlib.metadata import entry_points

    return sorted({*_OURS, *entry_points(group=GROUP).names})


def compilers_for(model: Any) -> list[Compiler]:
    """Return those of detent's own that may have a form for a model, the best first."""
    return [found for found in map(get_compiler, _OURS) if found.accepts(model)]


def missing(package: str, error: ImportError) -> InvalidError:
    """Return the error that tells how to install what a compiler or its runtime needs."""
    return InvalidError(
        f"the compiled form needs `{package}`, which is not installed here ({error})",
        hint='run `pip install "detent[compile]"`',
        details={"package": package},
    )
