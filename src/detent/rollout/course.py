"""How what a rollout watches has come about: a few readings of each signal, kept as it is counted.

A band is read when its outcomes have grown by two fifths. So the readings of a million outcomes are
forty, and lie closest together at the beginning, where the band narrows most.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from detent.domain.rollout import Phase, Reading, Signal
from detent.registry.rollout import get_rollout
from detent.registry.stores import Stores

_GROWTH = 1.4

Course = Mapping[str, list[list[Any]]]  # of "phase name": n, difference, low, high


def extend(course: Course, signals: Iterable[Signal]) -> Course:
    """Return a course with what the signals say now, where that is enough news.

    Examples
    --------
    >>> from dataclasses import replace
    >>> first = Signal(name="loss", phase=Phase.SHADOW, verdict="open", text="", n=10, difference=0)
    >>> course = extend({}, [first])
    >>> course = extend(course, [replace(first, n=13)])
    >>> extend(course, [replace(first, n=14)])
    {'shadow loss': [[10, 0, None, None], [14, 0, None, None]]}
    """
    found = dict(course)
    for signal in signals:
        if signal.difference is None:
            continue
        key = f"{signal.phase} {signal.name}"
        kept = found.get(key, [])
        if not kept or signal.n >= _GROWTH * kept[-1][0]:
            found[key] = [*kept, [signal.n, signal.difference, signal.low, signal.high]]
    return found


def get_course(stores: Stores, name: str | int) -> list[Reading]:
    """Return the readings of a rollout, signal by signal, from the first outcome on.

    Raises
    ------
    NotFoundError
        If there is no such rollout.
    """
    rollout = get_rollout(stores, name)
    course = stores.metadata.current.find_progress(rollout.id).state.get("course", {})
    found = []
    for key, readings in course.items():
        phase, _, signal = key.partition(" ")
        for n, difference, low, high in readings:
            found.append(
                Reading(
                    name=signal, phase=Phase(phase), n=n, difference=difference, low=low, high=high
                )
            )
    return found
