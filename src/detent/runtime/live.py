"""A model that follows an alias inside a user's own process."""

from __future__ import annotations

import copy
import itertools
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from detent.domain.reference import Reference
from detent.domain.version import Version
from detent.errors import UnavailableError
from detent.registry.stores import Stores
from detent.runtime.answered import Answered
from detent.runtime.aside import Aside
from detent.runtime.deployment import Role
from detent.runtime.follower import TICK_S, Follower
from detent.runtime.slot import CALL, Slot

MOST_ROWS = 1000  # of a call that takes part in a rollout: more is a batch, and nobody's request


class Trials(Protocol):
    """What a process does for rollouts: `detent.rollout.trial.Trials`."""

    def start(self) -> None:
        """Begin."""
        ...

    def is_on(self, name: str) -> bool:
        """Whether a rollout runs on the alias of this name."""
        ...

    def __call__(self, answered: Answered) -> None:
        """Keep an answer. Quick; does not raise."""
        ...

    def close(self) -> None:
        """Take part no more."""
        ...


class Live:
    """Answers with the version that an alias holds, and follows it. Made by `Registry.follow`.

    May be shared between threads, as far as the model may. Not across a fork. Close it, or use it
    in a ``with`` block: a change waits for every process that follows.
    """

    def __init__(
        self,
        stores: Stores,
        alias: Reference,
        *,
        trusted: bool | Sequence[str] = False,
        take_part: Callable[[Follower], Trials] | None = None,
    ) -> None:
        self._follower = Follower(stores, [alias], trusted=trusted)
        self._deployment = self._follower.deployments[0]
        self._trials = take_part(self._follower) if take_part is not None else None
        self._ids = itertools.count(1)
        self._aside = Aside()
        self._end = threading.Event()
        self._finalizer = weakref.finalize(self, _stop, self._follower, self._end, self._trials)
        try:
            self._follower.start()
        except BaseException:
            self._finalizer()
            raise
        if self._trials is not None:
            self._trials.start()
        threading.Thread(
            target=_tick,
            args=(self._follower, self._end, stores),
            name="detent-follow",
            daemon=True,
        ).start()

    def __repr__(self) -> str:
        """Return one line."""
        active = self._deployment.active
        version = f"v{active.version.number}" if active else "nothing"
        return f"<Live {self._deployment.name} {version}>"

    def __enter__(self) -> Live:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    @property
    def version(self) -> Version:
        """What answers a request that begins now.

        Raises
        ------
        NotFoundError
            If the alias holds no version.
        UnavailableError
            If the version it holds did not load.
        """
        return self.call(None, None)[1]

    def predict(self, X: Any, **who: str | None) -> Any:
        """Return what the version that the alias holds predicts; as `call`."""
        return self.call("predict", X, **who)[0]

    def predict_proba(self, X: Any, **who: str | None) -> Any:
        """Return its probabilities; as `call`."""
        return self.call("predict_proba", X, **who)[0]

    def decision_function(self, X: Any, **who: str | None) -> Any:
        """Return its decision function; as `call`."""
        return self.call("decision_function", X, **who)[0]

    def call(
        self, method: str | None, X: Any, *, id: str | None = None, key: str | None = None
    ) -> tuple[Any, Version]:
        """Return an answer together with the version that gave it.

        Parameters
        ----------
        method : str or None
            ``predict``, ``predict_proba`` or ``decision_function``; None asks for the version only.
        X : table-like of shape (n_samples, n_features)
            The rows.
        id : str, optional
            A name for this call, of its own: a label that comes later is joined to it.
        key : str, optional
            Of whom it is: the same tries the same version while a rollout's canary runs.

        Raises
        ------
        NotFoundError
            If the alias holds no version.
        UnavailableError
            If the version it holds did not load, or this is closed.
        AttributeError
            If the version has no such method.
        """
        if not self._finalizer.alive:
            raise UnavailableError(f"{self!r} is closed", hint="follow the alias again")
        trials = self._trials
        if method is not None and trials is not None and trials.is_on(self._deployment.name):
            n = X.shape[0] if hasattr(X, "shape") else len(X)
            if n <= MOST_ROWS:
                return self._on_trial(trials, method, X, n, id, key)
        slot = self._deployment.acquire_active()
        try:
            return (None if method is None else _find(slot, method)(X)), slot.version
        finally:
            self._deployment.release(slot)

    def _on_trial(
        self, trials: Trials, method: str, X: Any, n: int, id: str | None, key: str | None
    ) -> tuple[Any, Version]:
        """Answer by whom the lot chooses; by the active version where the candidate fails."""
        deployment = self._deployment
        # The shadow reads them later, when whoever called may have changed them.
        rows = X.copy() if hasattr(X, "copy") else copy.deepcopy(X)
        id = id or f"{self._follower.id}-{next(self._ids)}"

        def answer(slot: Slot, role: Role, drawn_by: str | None) -> Answered:
            answered = Answered(deployment, slot, role, id, rows, n, time.time())
            answered.key, answered.has_key = drawn_by, drawn_by is not None and key is not None
            started = time.perf_counter()
            try:
                ask = _find(slot, method)
                if role is Role.CANARY:
                    timeout_s = deployment.candidate_timeout_s
                    found = self._aside.run(lambda: ask(rows), timeout_s=timeout_s)
                else:
                    found = ask(X)
                answered.answers = {_name(slot, method): found}
            except Exception as error:
                answered.error = error
            finally:
                answered.seconds = time.perf_counter() - started
                deployment.release(slot)
            return answered

        answered = answer(*deployment.acquire(key or id), key or id)
        if answered.role is Role.CANARY and answered.error is not None:
            trials(answered)
            answered = answer(deployment.acquire_active(), Role.ACTIVE, None)
        if not isinstance(answered.error, _NoMethodError):  # that is no failure of the version
            trials(answered)
        if answered.error is not None:
            raise answered.error
        return answered.answers[_name(answered.slot, method)], answered.slot.version

    def close(self) -> None:
        """Stop following. Twice is safe."""
        self._finalizer()


class _NoMethodError(AttributeError):
    """What was asked for, the version does not have."""


def _name(slot: Slot, method: str) -> str:
    return CALL if method == "predict" and CALL in slot.methods else method


def _find(slot: Slot, method: str) -> Callable[[Any], Any]:
    found = slot.methods.get(_name(slot, method))
    if found is None:
        raise _NoMethodError(f"{slot.version.name} has no `{method}`")
    return found


def _tick(follower: Follower, end: threading.Event, stores: Stores) -> None:
    # No reference to the `Live`: one that nobody holds any more is closed.
    try:
        while not end.is_set():
            follower.tick()
            end.wait(TICK_S)
    finally:
        stores.metadata.release()


def _stop(follower: Follower, end: threading.Event, trials: Trials | None) -> None:
    end.set()
    if trials is not None:
        trials.close()
    follower.close()
