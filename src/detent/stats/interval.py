"""The interval that most methods return."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Bounds of an unknown number, in its own unit; unpacks as ``low, high``.

    ``confidence`` is of both ends together: the lower end of a 90 % interval is the limit that
    the truth stays above with 95 % confidence.
    """

    low: float
    high: float
    confidence: float

    def __iter__(self) -> Iterator[float]:
        """Yield the lower end, then the upper one."""
        return iter((self.low, self.high))

    def negated(self) -> "Interval":
        """Return the interval of minus the number."""
        return Interval(low=-self.high, high=-self.low, confidence=self.confidence)
