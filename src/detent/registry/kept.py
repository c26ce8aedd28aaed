"""Answers that took long to find, kept as long as what they were found from stays the same."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """The answers that were asked for last, each under all that it depends on.

    May be shared between threads: two that ask for the same at a time both find it, and it is the
    same.

    Parameters
    ----------
    most : int
        How many are kept.

    Examples
    --------
    >>> kept = Kept[str](2)
    >>> kept.get("key", lambda: "found"), kept.get("key", lambda: "not asked again")
    ('found', 'found')
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, find: Callable[[], T]) -> T:
        """Return what is known under a key; otherwise find it. What `find` raises is not kept."""
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        found = find()
        with self._lock:
            self._known[key] = found
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return found
