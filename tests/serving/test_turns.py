"""A worker gives way between two answers, as long as the turn comes back soon."""

import pytest

from detent.inference import turns
from detent.inference.turns import Turns


class Processor:
    """A processor that other work waits for, and a clock that only work moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.takes_s, self.n_turns = 100.0, 0.0, 0
        monkeypatch.setattr(turns, "_now", lambda: self.now)
        monkeypatch.setattr(turns, "_give_way", self._turn)

    def _turn(self) -> None:
        self.n_turns += 1
        self.now += self.takes_s


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Processor:
    return Processor(monkeypatch)


def test_one_worker_alone_gives_no_turns(processor: Processor) -> None:
    Turns(1).end()
    assert processor.n_turns == 0


def test_short_turns_are_given_after_each_answer(processor: Processor) -> None:
    worker, processor.takes_s = Turns(4), 0.0005
    for _ in range(1000):
        worker.end()
    assert processor.n_turns == 1000


def test_long_turns_are_not_given_for_a_while(processor: Processor) -> None:
    worker, processor.takes_s = Turns(4), 0.003
    started = processor.now
    while processor.now < started + 100:
        worker.end()
        processor.now += 0.0002  # an answer
    lost = processor.n_turns * processor.takes_s
    assert 0 < lost < 0.02 * 100
    processor.takes_s, before = 0.0005, processor.n_turns
    processor.now += 1
    worker.end()
    assert processor.n_turns == before + 1, "it looks again whether turns come back"
