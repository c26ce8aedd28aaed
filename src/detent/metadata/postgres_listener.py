"""Hearing of commits: PostgreSQL tells whoever listens, a millisecond after."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg

from detent.metadata.sessions import CONNECTION, Sessions

CHANNEL = "detent"  # one for all registries of a database; the message names the schema
_AGAIN_S = 1.0  # until a connection that was lost is made anew


class Listener:
    """A connection and a thread of its own that hears of each commit to one registry.

    Parameters
    ----------
    sessions : Sessions
        The registry.
    on_news : callable
        Called in that thread: after each commit of anybody, every `every_s` seconds, and when the
        connection was made or lost. It must not raise.
    every_s : float
        The longest between two calls, in seconds, as long as the server answers.
    """

    def __init__(self, sessions: Sessions, on_news: Callable[[], None], every_s: float) -> None:
        self._conninfo = sessions.conninfo
        self._schema = sessions.schema
        self._on_news = on_news
        self._every_s = every_s
        self._end = threading.Event()
        threading.Thread(target=self._run, name="detent-listen", daemon=True).start()

    def close(self) -> None:
        """Hear no more. A call under way is not waited for."""
        self._end.set()

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                with psycopg.connect(self._conninfo, autocommit=True, **CONNECTION) as raw:
                    raw.execute(f"LISTEN {CHANNEL}")
                    self._on_news()  # what was committed before is told to nobody
                    while not self._end.is_set():
                        self._hear(raw)
            except psycopg.Error:
                if not self._end.is_set():
                    self._on_news()  # who cannot ask either says so
                    self._end.wait(_AGAIN_S)

    def _hear(self, raw: psycopg.Connection[tuple[object, ...]]) -> None:
        told = [n.payload for n in raw.notifies(timeout=self._every_s, stop_after=1)]
        if not self._end.is_set() and (not told or self._schema in told):
            self._on_news()
