"""A model that follows an alias inside a user's own process."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from typing import Any

from detent.domain.reference import Reference
from detent.domain.version import Version
from detent.errors import UnavailableError
from detent.registry.stores import Stores
from detent.runtime.follower import TICK_S, Follower
from detent.runtime.slot import CALL


class Live:
    """Answers with the version that an alias holds, and follows it. Made by `Registry.follow`.

    May be shared between threads, as far as the model may. Not across a fork. Close it, or use it
    in a ``with`` block: a change waits for every process that follows.
    """

    def __init__(
        self, stores: Stores, alias: Reference, *, trusted: bool | Sequence[str] = False
    ) -> None:
        self._follower = Follower(stores, [alias], trusted=trusted)
        self._deployment = self._follower.deployments[0]
        self._end = threading.Event()
        self._finalizer = weakref.finalize(self, _stop, self._follower, self._end)
        try:
            self._follower.start()
        except BaseException:
            self._finalizer()
            raise
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

    def predict(self, X: Any) -> Any:
        """Return what the version that the alias holds predicts. Errors are those of `version`."""
        return self.call("predict", X)[0]

    def predict_proba(self, X: Any) -> Any:
        """Return its probabilities. Errors are those of `version`."""
        return self.call("predict_proba", X)[0]

    def decision_function(self, X: Any) -> Any:
        """Return its decision function. Errors are those of `version`."""
        return self.call("decision_function", X)[0]

    def call(self, method: str | None, X: Any) -> tuple[Any, Version]:
        """Return an answer together with the version that gave it.

        Parameters
        ----------
        method : str or None
            ``predict``, ``predict_proba`` or ``decision_function``; None asks for the version only.
        X : table-like of shape (n_samples, n_features)
            The rows.

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
        slot, _ = self._deployment.acquire()
        try:
            if method is None:
                return None, slot.version
            if method == "predict" and CALL in slot.methods:
                method = CALL
            if method not in slot.methods:
                raise AttributeError(f"{slot.version.name} has no `{method}`")
            return slot.methods[method](X), slot.version
        finally:
            self._deployment.release(slot)

    def close(self) -> None:
        """Stop following. Twice is safe."""
        self._finalizer()


def _tick(follower: Follower, end: threading.Event, stores: Stores) -> None:
    # No reference to the `Live`: one that nobody holds any more is closed.
    try:
        while not end.is_set():
            follower.tick()
            end.wait(TICK_S)
    finally:
        stores.metadata.close()


def _stop(follower: Follower, end: threading.Event) -> None:
    end.set()
    follower.close()
