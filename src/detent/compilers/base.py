"""What a compiler is.

It is found by its name through the entry-point group ``detent.compilers``.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

Methods = Mapping[str, Callable[[Any], Any]]


class Compiler(Protocol):
    """How one kind of model becomes a compiled form, and how that answers. Instances hold no state.

    A form is data. Loading one must run no code that it carries: a shared library is no form.
    """

    name: str

    def accepts(self, model: Any) -> bool:
        """Say whether it is worth trying. Quick, and imports nothing that is not there."""
        ...

    def compile(self, model: Any, sample: Any) -> bytes:
        """Return the compiled form of a fitted model. The same model gives the same bytes.

        ``sample`` is a table of rows as the model takes them.

        Raises
        ------
        InvalidError
            If the model has no such form, or the packages to make one are not installed.
        """
        ...

    def load(self, data: bytes, model: Any) -> Methods:
        """Return the methods that the form answers, of those that its original ``model`` has.

        Each takes all that the original's takes, and gives the same answer or the same error.

        Raises
        ------
        InvalidError
            If the runtime is not installed.
        CorruptError
            If the bytes are no form of that model.
        """
        ...
