"""Rollouts over machines that each keep what they have answered themselves.

Predictions stay where they were made. On each machine one process at a time counts them, and writes
the *tally*, a few numbers, beside the rollout. Whoever drives adds the tallies up, so that all
machines decide together. A label that comes to a machine which has not made the answer waits in the
registry until the one that has takes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from detent.domain.clock import to_us
from detent.domain.rollout import Joined, Rollout
from detent.errors import DetentError, NotFoundError
from detent.metadata.rollouts import Tally, WaitingLabel
from detent.registry.stores import Stores
from detent.rollout import counting
from detent.rollout.counting import Counts
from detent.rollout.feedback import Label, give_label, join_label, join_labels

LEASE_S = 3.0
_TELL_EVERY_S = 1.0  # each is a commit, and all writers of a registry take turns
_LATE_S = 60.0  # answers are written a moment after they were given: labels are tried so long
_KEEP_S = 30 * 86400.0  # as the answers that they are of

Count = Callable[[Counts, Rollout, datetime], Counts]


class Teller:
    """Counts what this machine has answered, unless another process of it does."""

    def __init__(self, stores: Stores, *, id: str) -> None:
        self._stores = stores
        self._id = id
        self._place: str | None = None
        self._labels_since_us = 0
        self._told: dict[int, datetime] = {}

    def tell(self, rollout: Rollout, count: Count, now: datetime) -> None:
        """Count, and write what is new: once a second at most.

        Raises
        ------
        UnavailableError
            If a store does not answer.
        """
        told = self._told.get(rollout.id)
        if told is not None and timedelta() <= now - told < timedelta(seconds=_TELL_EVERY_S):
            return
        self._told[rollout.id] = now
        if self._place is None:
            self._place = self._stores.predictions.place()
        tally = self._stores.metadata.current.find_tally(rollout.id, self._place)
        if tally.teller not in (None, self._id) and tally.told_until_us > to_us(now):
            return
        self._take_labels(rollout.model, now)
        before = counting.from_json(tally.state)
        found = count(before, rollout, now)
        if found == before:
            return
        with self._stores.metadata.write() as tables:
            tables.put_tally(  # of two processes that counted the same, one is too late
                Tally(
                    rollout=rollout.id,
                    place=self._place,
                    revision=tally.revision + 1,
                    teller=self._id,
                    told_until_us=to_us(now + timedelta(seconds=LEASE_S)),
                    state=counting.to_json(found),
                ),
                expected=tally.revision,
            )

    def add_up(self, rollout: Rollout) -> Counts:
        """Return what all machines have counted."""
        tallies = self._stores.metadata.current.list_tallies(rollout.id)
        return counting.add_up((counting.from_json(t.state) for t in tallies), rollout)

    def _take_labels(self, model: str, now: datetime) -> None:
        """Join labels that wait, as far as this machine has made the answers."""
        tables = self._stores.metadata.current
        waiting = tables.list_waiting_labels(model, since_us=self._labels_since_us)
        self._labels_since_us = to_us(now - timedelta(seconds=_LATE_S))
        done = [one for one in waiting if self._take(one)]
        too_old_us = to_us(now - timedelta(seconds=_KEEP_S))
        done += [one for one in waiting if one.at_us < too_old_us and one not in done]
        if done:
            with self._stores.metadata.write() as writing:
                writing.remove_waiting_labels(done)

    def _take(self, waiting: WaitingLabel) -> bool:
        fields = json.loads(waiting.label_json)
        label = Label(request_id=waiting.request_id, row=waiting.row, **fields)
        try:
            join_label(self._stores.predictions, waiting.model, label)
        except NotFoundError:
            return False  # another machine has made the answer
        except DetentError:
            return True  # it is no label of that answer; nobody is there to be told
        return True


def accept_label(stores: Stores, model: str, label: Label) -> bool:
    """Join a label now, or have it wait for the machine that made the answer; say which.

    Raises
    ------
    NotFoundError
        If no answer of that name is kept, and no other machine can have it.
    ConflictError
        If the row has a label already.
    InvalidError
        If the label is not of the kind of the answer.
    """
    try:
        give_label(stores.predictions, model, label)
    except NotFoundError:
        if not have_wait(stores, model, [label]):
            raise
        return False
    return True


def accept_labels(stores: Stores, labels: Iterable[Mapping[str, Any]], *, model: str) -> Joined:
    """Join many labels; those of answers that other machines made wait for these.

    Raises
    ------
    InvalidError
        If something given is no label.
    """
    elsewhere: list[Label] | None = [] if _may_be_elsewhere(stores, model) else None
    joined = join_labels(stores.predictions, labels, model=model, elsewhere=elsewhere)
    if elsewhere and have_wait(stores, model, elsewhere):
        joined.waiting += len(elsewhere)
    return joined


def _may_be_elsewhere(stores: Stores, model: str) -> bool:
    """Whether other machines may have answered for a rollout of the model."""
    return stores.is_spread and bool(stores.metadata.current.list_rollouts(model, limit=1))


def have_wait(stores: Stores, model: str, labels: Sequence[Label]) -> bool:
    """Keep labels for other machines; return False where there are none, or nothing was asked."""
    if not _may_be_elsewhere(stores, model):
        return False
    at_us = to_us(stores.clock())
    waiting = [
        WaitingLabel(
            model=model,
            request_id=label.request_id,
            row=label.row,
            label_json=json.dumps({"label": label.label, "is_text": label.is_text}),
            at_us=at_us,
        )
        for label in labels
    ]
    with stores.metadata.write() as tables:
        tables.put_waiting_labels(waiting)
    return True
