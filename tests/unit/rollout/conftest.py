"""Registries in memory with two versions, and records of what they answered."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from detent import Registry
from detent.blobs.memory import MemoryBlobs
from detent.domain.clock import to_us, utc_now
from detent.domain.rollout import Rollout
from detent.metadata.predictions import Record
from detent.metadata.sqlite import SqliteMetadata
from detent.registry.stores import Stores
from detent.testing.registries import register_bytes, stores_on


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stores(clock: Clock) -> Iterator[Stores]:
    made = stores_on(SqliteMetadata(None), MemoryBlobs(), clock=clock)
    for number in (1, 2, 3):
        register_bytes(made, "churn", b"weights" * number)
    yield made
    made.metadata.close()


@pytest.fixture
def registry(stores: Stores) -> Registry:
    """Return a registry whose `churn@production` has held version 1, and holds version 2."""
    registry = Registry(stores)
    registry.activate("churn/1", "production")
    registry.activate("churn/2", "production")
    return registry


def answer(value: Any) -> list[tuple[str | None, float | None]]:
    return [(json.dumps(value), None)]


Recording = Callable[..., None]


@pytest.fixture
def record(stores: Stores, clock: Clock) -> Recording:
    """Return what writes that both versions answered a number of requests."""
    count = iter(range(10**6))

    def write(
        rollout: Rollout,
        n: int,
        *,
        ours: Any = 1,
        theirs: Any = 1,
        label: Any = None,
        error: str | None = None,
        seconds: float = 0.001,
    ) -> None:
        at_us = to_us(clock())
        records = [
            Record(
                request_id=f"r{next(count)}",
                rollout=rollout.id,
                model=rollout.model,
                alias=rollout.alias,
                version=rollout.baseline,
                role="active",
                at_us=at_us,
                seconds=0.001,
                answers=answer(theirs),
                shadow_version=rollout.candidate,
                shadow_seconds=seconds,
                shadow_error=error,
                shadow_answers=[] if error else answer(ours),
            )
            for _ in range(n)
        ]
        stores.predictions.write(records)
        if label is not None:
            for one in records:
                stores.predictions.put_label(
                    one.model, one.request_id, 0, json.dumps(label), at_us=at_us
                )

    return write
