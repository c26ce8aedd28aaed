"""The format `callable`: a function, or an object with `predict`, kept by its import name."""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from detent.domain.digest import digest_of, short_digest
from detent.errors import CorruptError, InvalidError, RefusedError
from detent.formats.base import FileSink, FileSource
from detent.formats.trust import trusted_names


class CallableFormat:
    """One file: the source of the module, to be read by people.

    It is never executed. Loading imports the same name from what is installed, and only while the
    installed source is, byte for byte, the one that was registered.
    """

    name = "callable"
    runs_code = True

    def accepts(self, model: Any) -> bool:
        """Say whether it is a function or an object with `predict`."""
        return inspect.isroutine(model) or (
            hasattr(model, "predict") and not isinstance(model, type)
        )

    def save(self, model: Any, files: FileSink) -> dict[str, Any]:
        """Write the source of the module that the model is imported from.

        Raises
        ------
        InvalidError
            If it cannot be imported by a name (a lambda, something made within a function, in a
            script or in a notebook), or if its module has no Python source.
        """
        module, name = _find_name(model)
        source = _source_of(sys.modules[module])
        with files.create(_path_of(module)) as file:
            file.write(source)
        return {"name": f"{module}:{name}"}

    def load(
        self, files: FileSource, *, options: Mapping[str, Any], trusted: bool | Sequence[str]
    ) -> Any:
        """Import the function or object that was registered.

        Parameters
        ----------
        files : FileSource
            The files of a version.
        options : mapping
            ``name``: what to import, ``module:name``.
        trusted : bool or sequence of str
            True, or names among which is this one, as ``shop.rules:score``. It does not stand
            in for the check of the source: a function that changed is not the version asked for.

        Raises
        ------
        RefusedError
            If the name is not trusted, or the installed source is not the one registered.
        InvalidError
            If the module is not installed here, or has no such name any more.
        CorruptError
            If the version holds no name and no source.
        """
        module, _, name = str(options.get("name")).partition(":")
        is_name = all(part.isidentifier() for part in f"{module}.{name}".split("."))
        if not is_name or list(files.paths()) != [_path_of(module)]:
            raise CorruptError("the model was not loaded: it is no callable that detent wrote")
        full_name = f"{module}:{name}"
        if trusted is not True and full_name not in trusted_names(trusted):
            raise RefusedError(
                f"the model was not loaded: importing `{full_name}` runs code that nobody has"
                " trusted",
                hint=f'read it, then pass trusted=["{full_name}"]',
                details={"untrusted": [full_name]},
            )
        with files.open(_path_of(module)) as file:
            _check_source(module, file.read())
        try:
            return _resolve(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise _not_here(full_name, error) from error


def _find_name(model: Any) -> tuple[str, str]:
    """Return module and name that `model` can be imported by."""
    kind = model if inspect.isroutine(model) else type(model)
    module, name = str(kind.__module__), str(kind.__qualname__)
    if module == "__main__":
        raise _no_name(f"`{name}` is defined in the script or notebook that runs")
    if kind is model:
        if "<lambda>" in name:
            raise _no_name("a lambda has no name")
        if "<locals>" in name:
            raise _no_name(f"`{name}` exists within a function only")
        if _is_named(model, module, name):
            return module, name
        raise _no_name(f"`{module}.{name}` is something else")
    for home in [module, *sys.modules]:
        for variable, value in _variables(home):
            if value is model and home != "__main__":
                return home, variable
    raise _no_name(f"this `{name}` is not a variable of any module")


def _variables(module: str) -> list[tuple[str, Any]]:
    return list(getattr(sys.modules.get(module), "__dict__", {}).items())


def _is_named(model: Any, module: str, name: str) -> bool:
    try:
        return _resolve(sys.modules[module], name) is model
    except (KeyError, AttributeError):
        return False


def _resolve(module: ModuleType, name: str) -> Any:
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _no_name(reason: str) -> InvalidError:
    return InvalidError(
        f"the model cannot be saved as callable: {reason}, so nobody else can import it; nothing"
        " was registered",
        hint="define it at the top of a module, and import it from there",
    )


def _path_of(module: str) -> str:
    return module.replace(".", "/") + ".py"


def _source_of(module: ModuleType) -> bytes:
    path = Path(getattr(module, "__file__", None) or "")
    if path.suffix != ".py":
        raise InvalidError(
            f"the model cannot be saved as callable: the module `{module.__name__}` has no Python"
            " source; nothing was registered",
            hint="write a function around it in a module of your own",
        )
    return path.read_bytes()


def _check_source(module: str, registered: bytes) -> None:
    # Found without running it, as far as that goes: the packages around it are imported.
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError) as error:
        raise _not_here(module, error) from error
    if spec is None or spec.origin is None:
        raise _not_here(module, "there is no such module")
    installed = Path(spec.origin).read_bytes()
    if installed != registered:
        raise RefusedError(
            f"the model was not loaded: the installed module `{module}` is not the one that was"
            f" registered ({short_digest(digest_of(installed))}, registered was"
            f" {short_digest(digest_of(registered))})",
            hint="install the version that was registered, or register the installed one as a new"
            " version",
        )


def _not_here(name: str, reason: object) -> InvalidError:
    return InvalidError(
        f"the model was not loaded: `{name}` cannot be imported here: {reason}",
        hint="install the package that has it, in the version that was recorded",
    )
