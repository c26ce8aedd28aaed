"""Micro-batching: requests that come within a few milliseconds are asked as one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from detent.runtime.slot import Slot

Call = Callable[[Slot, tuple[str, ...], Any, int], Awaitable[dict[str, Any]]]
MAX_ROWS = 1024  # a batch that is as large is asked at once


@dataclass(slots=True)
class _Batch:
    slot: Slot
    methods: tuple[str, ...]
    parts: list[tuple[Any, int, asyncio.Future[dict[str, Any]]]] = field(default_factory=list)
    n_rows: int = 0


class Batcher:
    """Gathers the requests of one event loop: those to one slot, for the same methods.

    Parameters
    ----------
    wait_s : float
        How long the first request of a batch waits for others, in seconds.
    call : callable
        Asks a slot: ``(slot, methods, rows, n)``.
    """

    def __init__(self, wait_s: float, call: Call) -> None:
        self._wait_s = wait_s
        self._call = call
        self._open: dict[Any, _Batch] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, slot: Slot, methods: tuple[str, ...], rows: Any, n: int) -> dict[str, Any]:
        """Return the answers for these rows, once their batch was asked.

        Raises
        ------
        Exception
            What the model raised. Where other requests were in the batch, each is asked again by
            itself, so that the one at fault is the only one that fails.
        """
        loop = asyncio.get_running_loop()
        key = (slot, methods, type(rows), getattr(rows, "shape", (0,))[1:])
        batch = self._open.get(key)
        if batch is None:
            batch = self._open[key] = _Batch(slot, methods)
            loop.call_later(self._wait_s, self._send, key, batch)
        future: asyncio.Future[dict[str, Any]] = loop.create_future()
        batch.parts.append((rows, n, future))
        batch.n_rows += n
        if batch.n_rows >= MAX_ROWS:
            self._send(key, batch)
        return await future

    def _send(self, key: Any, batch: _Batch) -> None:
        if self._open.get(key) is batch:
            del self._open[key]
            task = asyncio.get_running_loop().create_task(self._run(batch))
            self._tasks.add(task)  # the loop itself would let go of it
            task.add_done_callback(self._tasks.discard)

    async def _run(self, batch: _Batch) -> None:
        if len(batch.parts) > 1:
            try:
                rows = _joined([rows for rows, _, _ in batch.parts])
                answers = await self._call(batch.slot, batch.methods, rows, batch.n_rows)
                split = _split(answers, [n for _, n, _ in batch.parts])
            except Exception:
                pass  # below, one by one
            else:
                for (_, _, future), part in zip(batch.parts, split, strict=True):
                    _settle(future, part)
                return
        for rows, n, future in batch.parts:
            try:
                _settle(future, await self._call(batch.slot, batch.methods, rows, n))
            except Exception as error:
                if not future.done():
                    future.set_exception(error)


def _settle(future: asyncio.Future[dict[str, Any]], answers: dict[str, Any]) -> None:
    if not future.done():  # whoever asked may have left
        future.set_result(answers)


def _joined(parts: list[Any]) -> Any:
    if isinstance(parts[0], dict):
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if hasattr(parts[0], "iloc"):
        return sys.modules["pandas"].concat(parts, ignore_index=True)
    return np.concatenate(parts)


def _split(answers: dict[str, Any], counts: list[int]) -> list[dict[str, Any]]:
    ends = np.cumsum(counts).tolist()
    total = ends[-1]

    def cut(answer: Any, start: int, end: int) -> Any:
        if isinstance(answer, list) and answer and hasattr(answer[0], "dtype"):
            return [cut(part, start, end) for part in answer]  # several outputs, an array each
        if len(answer) != total:
            raise ValueError("an answer has not one value for each row")
        return answer[start:end]

    return [
        {name: cut(answer, end - n, end) for name, answer in answers.items()}
        for n, end in zip(counts, ends, strict=True)
    ]
