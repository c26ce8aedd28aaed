"""The format `joblib`: anything that can be pickled, at the price of running code when loaded."""

from collections.abc import Mapping, Sequence
from typing import Any

from detent.errors import CorruptError, DetentError, InvalidError, RefusedError
from detent.formats.base import FileSink, FileSource

FILE = "model.joblib"


class JoblibFormat:
    """One file, ``model.joblib``, only when asked for.

    Its bytes are those that joblib writes: the same for the same object in one process, not
    always in two.
    """

    name = "joblib"
    runs_code = True

    def accepts(self, model: Any) -> bool:
        """Say no: a file that can run code is never the default."""
        return False

    def save(self, model: Any, files: FileSink) -> dict[str, Any]:
        """Write an object as ``model.joblib``.

        Raises
        ------
        InvalidError
            If it cannot be pickled.
        """
        import joblib

        with files.create(FILE) as file:
            try:
                joblib.dump(model, file)
            except (DetentError, OSError, MemoryError):
                raise  # of the file, not of the model
            except Exception as error:
                raise InvalidError(
                    f"the model cannot be saved as joblib: {error}; nothing was registered",
                    hint="take that part out of the model, or write files yourself and register"
                    " their path",
                ) from error
        return {}

    def load(
        self, files: FileSource, *, options: Mapping[str, Any], trusted: bool | Sequence[str]
    ) -> Any:
        """Read an object back, which can run any code that the file's author wanted.

        Parameters
        ----------
        files : FileSource
            The files of a version.
        options : mapping
            Nothing is read from it.
        trusted : bool or sequence of str
            Must be True. Names of types are not enough: such a file can name any function.

        Raises
        ------
        RefusedError
            If `trusted` is not True.
        CorruptError
            If the file is cut short or is no joblib file.
        InvalidError
            If it needs a package that is not installed here.
        """
        if trusted is not True:
            raise RefusedError(
                "the model was not loaded: joblib files can run any code when loaded"
                + (", so a list of trusted types is no protection" if trusted else ""),
                hint="if you know who wrote it, pass trusted=True (in a command: `--trusted`)",
            )
        if FILE not in files.paths():
            raise CorruptError(f"the model was not loaded: it has no file `{FILE}`")
        import joblib

        with files.open(FILE) as file:
            try:
                return joblib.load(file)
            except (DetentError, OSError, MemoryError):
                raise  # of the store or the machine, not of the file
            except (ImportError, AttributeError) as error:
                raise InvalidError(
                    f"the model was not loaded: it needs something that is not here: {error}",
                    hint="install the package that has it, in the version that was recorded",
                ) from error
            except Exception as error:
                raise CorruptError(
                    f"the model was not loaded: `{FILE}` is not a whole joblib file"
                    f" ({type(error).__name__}: {error})"
                ) from error
