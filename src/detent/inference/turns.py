"""Taking turns: a worker gives up its processor between two answers, not within one.

Where there are more workers than processors, the system stops each of them every millisecond or
two, most often in the middle of an answer. That answer then waits for its turn, and so does a
change that waits for it. Giving way after each answer costs 2 µs, and the others of the same
server do likewise, so that the turn comes back soon: the slowest answers take half as long.

Somebody else's computation gives nothing back: it uses up each turn that it is given. So when turns
often take long, none is given for a while, and a server beside a training keeps its share.
"""

import os
from time import perf_counter as _now

_LONG_S = 0.0025  # of workers that give way to one another, fewer than one turn in a hundred
_MANY, _AMONG = 5, 100  # beside a computation, one in ten
_REST_S = 1.0

_give_way = getattr(os, "sched_yield", None)


class Turns:
    """Says when a process gives way. For one thread."""

    def __init__(self, n_workers: int) -> None:
        self._not_before = float("inf") if n_workers < 2 or _give_way is None else 0.0
        self._n = self._n_long = 0

    def end(self) -> None:
        """Give way to whoever waits for this processor, if that costs little."""
        started = _now()
        if started < self._not_before or _give_way is None:
            return
        _give_way()
        ended = _now()
        self._n += 1
        if ended - started > _LONG_S:
            self._n_long += 1
            if self._n_long == _MANY:
                self._not_before = ended + _REST_S
        if self._n_long == _MANY or self._n == _AMONG:
            self._n = self._n_long = 0
