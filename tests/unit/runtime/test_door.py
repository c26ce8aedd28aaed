"""Who waits at a door sees every answer that may still be by what was changed."""

import os
import threading
import time
from pathlib import Path

import pytest

from detent.domain.alias import Activation, ActivationKind
from detent.domain.clock import from_us
from detent.domain.version import Version
from detent.runtime.deployment import Deployment
from detent.runtime.door import _KNOCK, Door, find_doors, make_door, open_door, sweep_doors
from detent.runtime.slot import Slot

N_CHANGES = 3000


def entry(number: int, version: int | None) -> Activation:
    return Activation(
        entry=number,
        model="churn",
        alias="production",
        kind=ActivationKind.ROLLBACK,
        version=version,
        previous=None,
        below=None,
        at=from_us(0),
        by="ana",
    )


@pytest.fixture
def door(tmp_path: Path) -> Door:
    made = make_door(str(tmp_path / "serving"), "a-churn@production")
    assert made is not None
    return made


def visitor(door: Door) -> Door:
    return open_door(*os.path.split(door.path))


def test_who_is_between_two_answers_has_followed_if_the_version_is_ready(door: Door) -> None:
    door.hold(8, 7)
    door.followed(41)
    outside = visitor(door)
    assert outside.answers_by(entry(41, 8))
    assert outside.answers_by(entry(42, 7))
    assert outside.answers_by(entry(42, None))
    assert not outside.answers_by(entry(42, 6)), "it is not loaded there"


def test_an_answer_that_was_begun_is_waited_for(door: Door) -> None:
    door.hold(8, 7)
    door.followed(41)
    door.begin(2)
    outside = visitor(door)
    assert not outside.answers_by(entry(42, 7))
    door.begin(0)
    assert outside.answers_by(entry(42, 7))
    door.begin(1)
    door.followed(42)
    assert outside.answers_by(entry(42, 7)), "what it has begun is by the new entry"


def test_a_process_that_only_starts_has_followed_nothing(door: Door) -> None:
    assert not visitor(door).answers_by(entry(1, None))


def test_news_is_news_until_the_registry_was_looked_at(door: Door) -> None:
    assert not door.has_news()
    visitor(door).leave_news()
    assert door.has_news()
    before = door.news()
    visitor(door).leave_news()
    door.saw(before)
    assert door.has_news(), "more was left while it looked"
    door.saw(door.news())
    assert not door.has_news()


def test_who_was_told_of_news_waits_for_them_and_for_a_moment_at_most(door: Door) -> None:
    outside = visitor(door)
    for with_news in (True, False) * 20:
        outside.knock()
        until = door._cells[_KNOCK]
        leaving = threading.Thread(target=outside.leave_news)
        if with_news:
            leaving.start()
        door.wait_for_news()
        assert door.has_news() or time.monotonic_ns() >= until
        if with_news:
            leaving.join()
        door.saw(door.news())


def test_nobody_waits_for_news_that_were_announced_in_vain_or_by_another_clock(door: Door) -> None:
    outside = visitor(door)
    outside.knock()
    outside.take_back_knock()
    assert not door._cells[_KNOCK]
    outside._cells[_KNOCK] = time.monotonic_ns() + 3600 * 10**9
    door.wait_for_news()  # does not take an hour


def test_only_doors_of_the_alias_are_found(tmp_path: Path) -> None:
    for name in (
        "a-churn@production",
        "b-churn@production",
        "c-churn@staging",
        "d-x-churn@production",
    ):
        assert make_door(str(tmp_path), name)
    (tmp_path / "e-churn@production").write_bytes(b"not whole yet")
    assert set(find_doors(str(tmp_path), "churn@production")) == {"a", "b"}
    assert set(find_doors(str(tmp_path), "x-churn@production")) == {"d"}
    assert not find_doors(str(tmp_path / "none"), "churn@production")
    assert not find_doors(None, "churn@production")


def test_no_answer_is_by_what_was_changed_before_it_began(tmp_path: Path) -> None:
    """Two processes: one answers without pause, the other changes what is right to answer."""
    door = make_door(str(tmp_path), "a-churn@production")
    assert door is not None
    truth = tmp_path / "truth"
    truth.write_bytes((0).to_bytes(8, "little"))
    # What was changed, and the newest change that had returned, in memory shared by the fork.
    told = visitor(door)._cells
    changed, returned = 100, 101
    door.hold(1, 1)
    door.followed(0)
    child = os.fork()
    if not child:
        code = 2
        try:
            code = _answer(door, changed, returned)
        finally:
            os._exit(code)
    for number in range(1, N_CHANGES + 1):
        told[changed] = number
        outside = visitor(door)
        outside.leave_news()
        while not outside.answers_by(entry(number, 1)):
            if os.waitpid(child, os.WNOHANG)[0]:
                pytest.fail("an answer was by what had been changed before")
        told[returned] = number
    assert os.waitpid(child, 0)[1] == 0


def _answer(door: Door, changed: int, returned: int) -> int:
    lock, value, cells = threading.Lock(), 0, door._cells
    while value < N_CHANGES:
        with lock:
            door.begin(1)
        has_returned = cells[returned]
        if door.has_news():
            news = door.news()
            value = cells[changed]
            door.saw(news)
        if value < has_returned:
            return 1
        with lock:
            door.begin(0)
    return 0


def test_a_version_that_somebody_counts_on_is_kept_until_the_news_was_seen(door: Door) -> None:
    slots = [Slot(_version(n), lambda rows: rows) for n in range(4)]
    deployment = Deployment("churn", "production")
    deployment.door = door
    deployment.swap(slots[2], 1)
    deployment.stand_by(slots[1])
    outside = visitor(door)
    outside.leave_news()
    assert outside.answers_by(entry(2, 1))
    deployment.swap(slots[3], 2)  # by an older entry, whose version has loaded only now
    deployment.let_go()
    assert deployment.find(1) is slots[1]
    door.saw(door.news())
    deployment.let_go()
    assert deployment.find(1) is None
    assert deployment.find(2) is slots[2]


def test_what_a_killed_process_left_is_removed_after_a_while(tmp_path: Path) -> None:
    for name in ("old-churn@production", "known-churn@production", "new-churn@production"):
        assert make_door(str(tmp_path), name)
    long_ago = time.time() - 7200
    for name in ("old-churn@production", "known-churn@production"):
        os.utime(tmp_path / name, (long_ago, long_ago))
    sweep_doors(str(tmp_path), ["known"])
    assert {path.name[:3] for path in tmp_path.iterdir()} == {"kno", "new"}


def test_a_place_without_shared_memory_has_no_doors(tmp_path: Path) -> None:
    assert make_door(None, "a") is None
    (tmp_path / "file").touch()
    assert make_door(str(tmp_path / "file"), "a") is None
    with pytest.raises(OSError, match="No such file"):
        open_door(str(tmp_path), "a")
    (tmp_path / "short").write_bytes(b"short")
    with pytest.raises(ValueError, match="length is greater"):
        open_door(str(tmp_path), "short")


def _version(number: int) -> Version:
    return Version(
        model="churn",
        number=number,
        digest="sha256:" + "0" * 64,
        format="skops",
        size_bytes=1,
        created_at=from_us(0),
        created_by="ana",
    )
