"""A process that is killed at any moment leaves the state before or the state after."""

import os
import random
from pathlib import Path
from time import perf_counter

import pytest
from tests.fault.conftest import Check, Opener, Starter

from detent import Registry, connect
from detent.blobs.base import hash_stream

MB = 1_000_000
PATIENCE_S = 600.0
REGISTER = [
    pytest.param(20 * MB, 10, id="20 MB, 10 kills"),
    pytest.param(200 * MB, 40, id="200 MB, 40 kills", marks=pytest.mark.slow),
]
SWITCH = [
    pytest.param(10, id="10 kills"),
    pytest.param(40, id="40 kills", marks=pytest.mark.slow),
]


class TestRegister:
    """Blobs are durable before a row names them: no version is half there.

    What an interrupted registration left behind is seen by no reader, and removed by `prune`.
    """

    @pytest.mark.parametrize(("size_bytes", "n_kills"), REGISTER)
    def test_killed_while_registering(
        self,
        folder: Path,
        tmp_path: Path,
        start: Starter,
        check: Check,
        rng: random.Random,
        size_bytes: int,
        n_kills: int,
    ) -> None:
        path = tmp_path / "model.bin"
        path.write_bytes(rng.randbytes(1 * MB) * (size_bytes // MB))
        duration_s = 0.0
        n_registered, n_inside, n_leftovers = 2, 0, 0
        for i in range(n_kills + 1):
            with path.open("r+b") as file:
                file.write(b"%8d" % i)  # another model each time
            with path.open("rb") as stream:
                digest = hash_stream(stream)[1]
            child = start("register", folder, path)
            begun = perf_counter()
            # The first one is left alone: it shows how long an undisturbed one takes.
            child.kill_after(duration_s * rng.random() if i else PATIENCE_S)
            duration_s = perf_counter() - begun if child.done else duration_s
            n_inside += not child.done

            registry = check(folder)
            newest = registry.versions("fraud", limit=1)[0]
            assert newest.number in (2, n_registered + 1)  # 2 is left when all others are deleted
            assert not child.done or child.done == [[newest.number]] == [[n_registered + 1]]
            is_there = newest.number > n_registered
            if is_there:
                n_registered += 1
                (file_,) = registry.show(newest).manifest.files
                assert (file_.digest, file_.size_bytes) == (digest, size_bytes)
                registry.delete(newest)
            n_leftovers += check_prune(registry) > 0 and not is_there
        assert n_inside
        assert n_leftovers


class TestSwitch:
    """Every change of an alias is one commit: the entry before, or the entry after."""

    @pytest.mark.parametrize("n_kills", SWITCH)
    @pytest.mark.parametrize("operation", ["activate", "rollback"])
    def test_killed_while_switching(
        self,
        folder: Path,
        start: Starter,
        check: Check,
        open_stores: Opener,
        rng: random.Random,
        operation: str,
        n_kills: int,
    ) -> None:
        registry = Registry(open_stores(folder))
        begun = perf_counter()
        for i in range(300):  # something to roll back
            registry.activate(f"fraud/{1 + i % 2}", "production", override="a test")
        duration_s = (perf_counter() - begun) / 300
        registry.close()
        n_done = 0
        for _ in range(n_kills):
            before = connect(folder).status("fraud@production").activation
            assert before.version is not None
            child = start(operation, folder, 100)
            child.kill_after(rng.random() * duration_s * 5)
            n_done += len(child.done)
            entry, version = child.done[-1] if child.done else (before.entry, before.version)

            registry = check(folder)
            after = registry.status("fraud@production").activation
            assert (after.entry, after.version) in ((entry, version), (entry + 1, 3 - version))
            assert registry.version("fraud@production").number == after.version
            assert len(registry.history("fraud@production")) == after.entry
            registry.activate("fraud/1", "production", override="it can be changed again")
            registry.close()
        assert n_done < n_kills * 100


def check_prune(registry: Registry) -> int:
    """Remove what is left behind; return how much it was, and see that nothing else is gone."""
    report = registry.prune(grace_s=0)
    assert registry.prune(grace_s=0).n_blobs == 0
    assert registry.verify().problems == ()
    unfinished = Path(registry.location) / "blobs" / "unfinished"
    assert os.listdir(unfinished) == []
    return report.n_blobs + report.n_unfinished
