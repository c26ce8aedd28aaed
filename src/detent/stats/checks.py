"""Checks of arguments: a wrong one is a clear error and never a silent number."""

import math
from collections.abc import Sequence

from detent.errors import InvalidError


def check_share(name: str, value: float) -> None:
    """Refuse what is not strictly between 0 and 1."""
    check_between(name, value, 0, 1)


def check_between(name: str, value: float, low: float, high: float) -> None:
    """Refuse what is not strictly between two numbers; NaN is between none."""
    if not low < value < high:
        raise InvalidError(f"`{name}` is {value}: it has to lie between {low:g} and {high:g}")


def check_positive(name: str, value: float) -> None:
    """Refuse what is not a finite number above 0."""
    if not 0 < value < float("inf"):
        raise InvalidError(f"`{name}` is {value}: it has to be a finite number above 0")


def check_count(name: str, value: int, *, at_least: int = 0) -> None:
    """Refuse what is not a whole number, or is too small."""
    if value != value or value in (float("inf"), float("-inf")) or value != int(value):
        raise InvalidError(f"`{name}` is {value}: it has to be a whole number")
    if value < at_least:
        raise InvalidError(f"`{name}` is {value}: it has to be at least {at_least}")


def check_state(state: Sequence[float], *, length: int, at_least: float = -math.inf) -> list[float]:
    """Return the numbers of a state; refuse another number of them, and what no state holds."""
    found = list(state)
    if len(found) != length:
        raise InvalidError(f"`state` has {len(found)} numbers: it has to have {length}")
    for number in found:
        if not (math.isfinite(number) and number >= at_least):
            raise InvalidError(f"`state` holds {number}, which no state does")
    return found
