"""A deployment: one alias in one process, and the switch from one version to another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from detent.errors import NotFoundError, UnavailableError
from detent.runtime.door import Door
from detent.runtime.slot import Slot


class Role(StrEnum):
    """As what a version answers."""

    ACTIVE = "active"
    CANARY = "canary"
    SHADOW = "shadow"


class Router(Protocol):
    """Chooses which slot answers a request, where there is a candidate beside the active one."""

    def __call__(self, deployment: Deployment, key: str) -> tuple[Slot, Role]:
        """Return one of the deployment's slots. Called under its lock: quick, and pure.

        ``key`` is that of the request: the same one is answered by the same slot.
        """
        ...


class Deployment:
    """The slots of one alias. May be shared between threads; ``_lock`` guards all of it.

    Attributes
    ----------
    active : Slot or None
        What answers; None before the first version is loaded, and when the alias holds none.
    standby : Slot or None
        The version that a rollback would return to, loaded and warmed.
    candidate : Slot or None
        A version on trial in a rollout; answers only as ``router`` says.
    entry : int
        The entry of the alias's history that it answers by; 0 before the first.
    router : Router or None
        Chooses for each request between ``active`` and ``candidate``.
    problem, problem_entry : str or None, int
        Why it does not answer by a newer entry, and by which.
    demanded : int
        The entry before which it does not answer.
    door : Door or None
        Where others on this machine see which answers are begun, and leave news.
    glance : callable
        Sees what was committed before now. Called after an answer was begun and before its slot is
        chosen; may call `swap`. Where it raises, nothing is answered.
    """

    def __init__(self, model: str, alias: str) -> None:
        self.model = model
        self.alias = alias
        self.active: Slot | None = None
        self.standby: Slot | None = None
        self.candidate: Slot | None = None
        self.router: Router | None = None
        self.candidate_timeout_s = 1.0
        self.entry = 0
        self.acknowledged = 0
        self.problem: str | None = None
        self.problem_entry = 0
        self.demanded = 0
        self.on_drained: Callable[[Deployment], None] = lambda _: None
        self.door: Door | None = None
        self.glance: Callable[[], None] = lambda: None
        self._n_begun = 0
        self._kept: list[Slot] = []
        self._draining: list[Slot] = []
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The alias with its model: ``churn@production``."""
        return f"{self.model}@{self.alias}"

    def acquire(self, key: str = "") -> tuple[Slot, Role]:
        """Return the slot that answers a request that begins now. `release` it afterwards.

        Raises
        ------
        NotFoundError
            If the alias holds no version.
        UnavailableError
            If the version it holds is not loaded here.
        """
        return self._take(key)

    def release(self, slot: Slot) -> None:
        """Say that a request that a slot answered is finished."""
        with self._lock:
            slot.n_running -= 1
            self._end()
            is_drained = bool(self._draining) and self._drain()
        if is_drained:
            self.on_drained(self)

    def find(self, number: int) -> Slot | None:
        """Return the slot of a version that is loaded here."""
        with self._lock:
            for slot in (self.active, self.standby, self.candidate, *self._kept):
                if slot is not None and slot.version.number == number:
                    return slot
            return None

    def swap(self, slot: Slot | None, entry: int) -> bool:
        """Answer with another slot from now on, by an entry; return whether all others are drained.

        The slot that answered before becomes the standby: going forth again is as quick as
        going back was.
        """
        with self._lock:
            before = self.active
            self.active = slot
            self.entry = entry
            self.problem, self.problem_entry = None, 0
            self._end_trial()
            if before is not None and before is not slot:
                self._replace_standby(before)
                self._draining.append(before)
            self._show()
            return self._drain()

    def stand_by(self, slot: Slot) -> None:
        """Keep a slot ready for a rollback."""
        with self._lock:
            if slot is not self.active:
                self._replace_standby(slot)
                self._show()

    def let_go(self) -> None:
        """Forget what stood by before, once nobody can count on it any more. To be called often."""
        with self._lock:
            n = len(self._kept)
        # Whoever saw it at the door has left news by now.
        if n and self.door is not None and not self.door.has_news():
            with self._lock:
                del self._kept[:n]

    def try_out(
        self, slot: Slot, entry: int, router: Router | None, *, timeout_s: float = 1.0
    ) -> bool:
        """Put a candidate beside the active slot, if it still answers by an entry; say whether.

        It has failed on a request that it does not answer within `timeout_s`.

        A swap ends the trial: when an entry is acknowledged, no candidate answers that stood on
        an earlier one.
        """
        with self._lock:
            if entry != self.entry or slot is self.active:
                return False
            if self.candidate is not slot:
                self._end_trial()
            self.candidate, self.router = slot, router
            self.candidate_timeout_s = timeout_s
            return True

    def end_trial(self) -> None:
        """Take the candidate away."""
        with self._lock:
            self._end_trial()

    def acquire_active(self) -> Slot:
        """Return the active slot, for a request that the candidate failed on. `release` it.

        Raises
        ------
        NotFoundError
            If the alias holds no version.
        UnavailableError
            If the version it holds is not loaded here.
        """
        return self._take(None)[0]

    def demand(self, entry: int) -> None:
        """Answer by this entry or a newer one, and until then not at all."""
        with self._lock:
            self.demanded = entry

    @property
    def may_answer(self) -> bool:
        """Whether there is something to answer with, and nothing that forbids it."""
        return self.active is not None and self.entry >= self.demanded

    def refuse(self, entry: int, problem: str) -> None:
        """Keep the slot that answers, and say why it does not answer by a newer entry."""
        with self._lock:
            self.problem, self.problem_entry = problem, entry

    @property
    def is_drained(self) -> bool:
        """Whether every answer that began before the last swap is finished."""
        with self._lock:
            return self._drain()

    def _take(self, key: str | None) -> tuple[Slot, Role]:
        """Take the slot that the router chooses for a key; the active one without a key."""
        self._begin()
        with self._lock:
            slot, role = self.active, Role.ACTIVE
            if slot is None or self.entry < self.demanded:
                self._end()
                raise self._nothing()
            if key is not None and self.router is not None:
                slot, role = self.router(self, key)
            slot.n_running += 1
            return slot, role

    def _begin(self) -> None:
        # Not where answers are being given: the event loop has to send them.
        if self.door is not None and not self._n_begun:
            self.door.wait_for_news()
        with self._lock:
            self._n_begun += 1
            if self.door is not None:
                self.door.begin(self._n_begun)
        try:
            self.glance()
        except BaseException:
            with self._lock:
                self._end()
            raise

    def _end(self) -> None:
        self._n_begun -= 1
        if self.door is not None:
            self.door.begin(self._n_begun)

    def _replace_standby(self, slot: Slot) -> None:
        if self.standby is not None and self.standby is not slot and self.door is not None:
            self._kept.append(self.standby)
        self.standby = slot

    def _show(self) -> None:
        if self.door is not None:
            active, standby = self.active, self.standby
            self.door.hold(
                active.version.number if active else None,
                standby.version.number if standby else None,
            )

    def _end_trial(self) -> None:
        slot, self.candidate, self.router = self.candidate, None, None
        if slot is not None and slot is not self.active:
            self._draining.append(slot)

    def _drain(self) -> bool:
        self._draining = [
            slot for slot in self._draining if slot.n_running and slot is not self.active
        ]
        if not self._draining and self.door is not None:
            self.door.followed(self.entry)
        return not self._draining

    def _nothing(self) -> NotFoundError | UnavailableError:
        if self.active is not None and self.problem is None:
            return UnavailableError(
                f"`{self.name}` was changed while this server had no lease: it does not answer"
                " before it has followed",
                hint="ask again in a moment",
            )
        if self.problem is not None:
            return UnavailableError(
                f"`{self.name}` is not answered here: {self.problem}",
                hint=f"put another version in its place: `detent rollback {self.name}`",
            )
        if self.entry:
            return NotFoundError(
                f"`{self.name}` holds no version: it was deactivated",
                hint=f"put the one before back: `detent rollback {self.name}`",
            )
        return UnavailableError(f"`{self.name}` is being loaded", hint="ask again in a moment")
