"""The shadow never makes anybody wait, whatever its version does."""

import threading
from types import SimpleNamespace
from typing import Any, cast

from tests.serving.conftest import wait_until

from detent.rollout.shadow import Shadow, Shadowed
from detent.runtime.slot import Slot


class Asked:
    """Requests for a function in the shadow, and what became of them."""

    def __init__(self, function: Any, **options: Any) -> None:
        self.shadow = Shadow(**options)
        self.slot = cast(Slot, SimpleNamespace(methods={"predict": function}))
        self.done: list[Shadowed] = []
        self.told = threading.Condition()

    def ask(self, rows: Any = None) -> bool:
        return self.shadow.put(Shadowed(self.slot, ("predict",), rows, self._then))

    def _then(self, job: Shadowed) -> None:
        with self.told:
            self.done.append(job)
            self.told.notify_all()

    def wait_for(self, n: int) -> list[Shadowed]:
        with self.told:
            assert self.told.wait_for(lambda: len(self.done) >= n, timeout=30)
        return self.done


def test_what_it_answers_is_told() -> None:
    asked = Asked(lambda rows: [rows], timeout_s=30)
    assert asked.ask(7)
    (job,) = asked.wait_for(1)
    assert (job.answers, job.error) == ({"predict": [7]}, None)
    assert job.seconds is not None
    asked.shadow.close()


def test_what_it_raises_is_told() -> None:
    asked = Asked(lambda rows: 1 / 0, timeout_s=30)
    asked.ask()
    (job,) = asked.wait_for(1)
    assert (job.answers, job.error) == ({}, "ZeroDivisionError: division by zero")
    asked.shadow.close()


def test_too_many_are_dropped_and_counted() -> None:
    gate, entered = threading.Event(), threading.Event()

    def wait(rows: Any) -> list[Any]:
        entered.set()
        gate.wait()
        return []

    asked = Asked(wait, timeout_s=300, most=2)
    asked.ask()
    entered.wait()
    assert [asked.ask() for _ in range(4)] == [True, True, False, False]
    assert asked.shadow.n_dropped == 2
    gate.set()
    asked.wait_for(3)
    asked.shadow.close()


def test_it_is_busy_a_part_of_the_time() -> None:
    gate = threading.Event()
    asked = Asked(lambda rows: gate.wait(0.01), timeout_s=30, most_busy=0.008)
    assert asked.ask()
    asked.wait_for(1)  # it is due more than a second of rest
    assert not asked.ask()
    assert asked.shadow.n_dropped == 1
    wait_until(asked.ask)
    asked.wait_for(2)
    asked.shadow.close()


def test_one_that_hangs_has_failed_on_all_that_come() -> None:
    gate, entered = threading.Event(), threading.Event()

    def hang(rows: Any) -> list[Any]:
        entered.set()
        gate.wait()
        return []

    asked = Asked(hang, timeout_s=0.001)
    asked.ask()
    entered.wait()
    while not asked.done:  # until it is overdue
        asked.ask()
    asked.ask()
    n = len(asked.done)
    assert n >= 3
    assert {job.error for job in asked.done} == {"no answer in 0.001 s"}
    gate.set()  # what it says at last is not told again
    asked.shadow.close()
    assert len(asked.done) == n
