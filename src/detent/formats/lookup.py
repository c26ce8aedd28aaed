"""Finding a format: by its name, or by what a model is."""

import importlib
from typing import Any, cast

from detent.errors import InvalidError, NotFoundError
from detent.formats.base import Format

GROUP = "detent.formats"  # the entry points of packages that add a format

# Ours are found without reading what is installed, which takes tens of milliseconds; so nobody
# can stand in their place either. `choose_format` asks them in this order.
_OURS = {
    "skops": ("detent.formats.skops", "SkopsFormat"),
    "files": ("detent.formats.files", "FilesFormat"),
    "callable": ("detent.formats.callable", "CallableFormat"),
    "joblib": ("detent.formats.joblib", "JoblibFormat"),
}


def get_format(name: str) -> Format:
    """Return the format with a name: one of detent's own, or one that a package adds.

    Parameters
    ----------
    name : str
        Such as ``skops``: the name of an entry point in the group ``detent.formats``.

    Returns
    -------
    Format
        An instance; instances hold no state.

    Raises
    ------
    NotFoundError
        If no installed package has a format of that name.
    InvalidError
        If the package that has it cannot be imported.

    Examples
    --------
    >>> get_format("joblib").runs_code
    True
    """
    if name in _OURS:
        module, kind = _OURS[name]
        return cast(Format, getattr(importlib.import_module(module), kind)())
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP, name=name):
        try:
            return cast(Format, entry.load()())
        except ImportError as error:
            raise InvalidError(
                f"the format `{name}` cannot be used: importing `{entry.module}` failed: {error}",
                hint="install what that package needs",
            ) from error
    raise _unknown(name)


def list_formats() -> list[str]:
    """Return the names of all formats, those of installed packages included, sorted.

    Examples
    --------
    >>> {"callable", "files", "joblib", "skops"} <= set(list_formats())
    True
    """
    from importlib.metadata import entry_points

    return sorted({*_OURS, *entry_points(group=GROUP).names})


def choose_format(model: Any, *, name: str | None = None) -> Format:
    """Return the format to save a model in.

    Parameters
    ----------
    model : object
        What is to be registered.
    name : str, optional
        The format the user asked for; without one, the first of detent's own that takes the
        model by itself.

    Raises
    ------
    NotFoundError
        If there is no format called `name`.
    InvalidError
        If no format takes the model by itself.

    Examples
    --------
    >>> choose_format("model.onnx").name
    'files'
    """
    if name is not None:
        return get_format(name)
    for ours in _OURS:
        candidate = get_format(ours)
        if candidate.accepts(model):
            return candidate
    kind = model if isinstance(model, type) else type(model)
    if isinstance(model, type):
        raise InvalidError(
            f"`{kind.__qualname__}` is a class, not a model; nothing was registered",
            hint=f"make one and fit it: `{kind.__qualname__}(...)`",
        )
    raise InvalidError(
        f"no format takes a `{kind.__module__}.{kind.__qualname__}` by itself; nothing was"
        " registered",
        hint='use format="joblib" (its files can run code when they are loaded), or write files'
        " yourself and register their path",
    )


def _unknown(name: str) -> NotFoundError:
    from difflib import get_close_matches

    known = list_formats()
    nearest = get_close_matches(name, known, n=1)
    listed = ", ".join(f"`{item}`" for item in known)
    return NotFoundError(
        f"there is no format `{name}`; there are {listed}",
        hint=f"did you mean `{nearest[0]}`?"
        if nearest
        else "a package can add one: an entry point in the group `detent.formats`",
        details={"formats": known},
    )
