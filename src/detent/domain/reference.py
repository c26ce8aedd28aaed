"""Names, and the text that names one version: ``fraud/7``, ``fraud@production``."""

import re
from functools import lru_cache

from detent.domain.value import value
from detent.errors import InvalidError

MAX_NAME_LENGTH = 100  # fits every store's key limit with room for a prefix

# ASCII only: look-alike letters of other scripts would make two models that read the same.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NUMBER = re.compile(r"v?([1-9][0-9]{0,17})")
_ALIAS_TAKEN = re.compile(r"v?[0-9]+|sha256.*|latest", re.IGNORECASE)


@value
class Reference:
    """A parsed reference: a model, and at most one of number, alias and digest."""

    model: str
    number: int | None = None
    alias: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        """Return the text that parses back to this reference."""
        if self.number is not None:
            return f"{self.model}/{self.number}"
        if self.alias is not None or self.digest is not None:
            return f"{self.model}@{self.alias or self.digest}"
        return self.model


def check_model_name(name: str) -> str:
    """Return `name` when a model may have it.

    Raises
    ------
    InvalidError
        If it is not 1 to 100 of ``A-Z a-z 0-9 . _ -``, beginning with a letter or digit.
    """
    return _check_name(name, "a model")


def check_alias_name(name: str) -> str:
    """Return `name` when an alias may have it.

    Raises
    ------
    InvalidError
        As `check_model_name`; also for ``latest`` and for what reads as a version or a digest.
    """
    _check_name(name, "an alias")
    if name.lower() == "latest":
        raise InvalidError(
            "`latest` is not an alias: it would change its meaning with each registration",
            hint="name a version (`fraud/7`) or an alias (`fraud@production`)",
        )
    if _ALIAS_TAKEN.fullmatch(name):
        raise InvalidError(
            f"`{name}` cannot be an alias: it reads as a version or a digest",
            hint="name a version with a slash (`fraud/7`), an alias with a word (`production`)",
        )
    return name


def parse_number(text: str) -> int:
    """Return the version number that `text` (``7`` or ``v7``) means.

    Raises
    ------
    InvalidError
        If it is not a whole number from 1.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise InvalidError(
            f"{_quote(text)} is not a version number: whole numbers from 1 are expected",
            hint="write it as `fraud/7`",
        )
    return int(match[1])


@lru_cache(maxsize=4096)
def parse_reference(text: str) -> Reference:
    """Parse ``fraud``, ``fraud/7``, ``fraud/v7``, ``fraud@production`` or ``fraud@sha256:…``.

    A digest may be shortened to its first 8 digits or more.

    Raises
    ------
    InvalidError
        If the text is none of these, or a name in it is malformed.

    Examples
    --------
    >>> parse_reference("fraud/v7")
    Reference(model='fraud', number=7, alias=None, digest=None)
    >>> str(parse_reference("fraud@production"))
    'fraud@production'
    """
    if not isinstance(text, str):
        raise InvalidError(f"a reference is text such as `fraud/7`, not {type(text).__name__}")
    if "/" in text:
        model, _, number = text.partition("/")
        return Reference(model=check_model_name(model), number=parse_number(number))
    if "@" in text:
        model, _, rest = text.partition("@")
        check_model_name(model)
        if rest.startswith("sha256:"):
            if not re.fullmatch(r"sha256:[0-9a-f]{8,64}", rest):
                raise InvalidError(
                    f"{_quote(text)} names no digest: 8 to 64 hex digits follow `sha256:`"
                )
            return Reference(model=model, digest=rest)
        return Reference(model=model, alias=check_alias_name(rest))
    return Reference(model=check_model_name(text))


def _check_name(name: str, kind: str) -> str:
    if not isinstance(name, str):
        raise InvalidError(f"the name of {kind} is text, not {type(name).__name__}")
    if len(name) > MAX_NAME_LENGTH:
        raise InvalidError(
            f"the name of {kind} has {len(name)} characters; {MAX_NAME_LENGTH} are allowed"
        )
    if not _NAME.fullmatch(name):
        raise InvalidError(
            f"{_quote(name)} cannot be the name of {kind}: letters, digits and `._-` are allowed"
            " (a-z, A-Z, 0-9; the first one a letter or digit)"
        )
    return name


def _quote(text: str) -> str:
    # ascii() shows control characters and look-alikes for what they are.
    return f"`{ascii(text)[1:-1][:80]}`" if text else "an empty text"
