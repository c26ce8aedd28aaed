"""Where a function crosses zero."""

from collections.abc import Callable

_RELATIVE = 4e-16


def bisect(falls: Callable[[float], float], low: float, high: float) -> float:
    """Return where a falling function crosses zero between two points.

    Halving is slower than other methods, and ends at the same bits for whatever function.
    """
    while high - low > _RELATIVE * max(abs(low), abs(high), 1e-3):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        if falls(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
