"""What every database of a registry promises, as tests.

A package that adds a database makes a subclass in its own tests, gives it the fixtures, and runs
pytest::

    class TestPostgresMetadata(MetadataContract):
        @pytest.fixture
        def opener(self, database):
            return partial(PostgresMetadata, database.url)
"""

# ruff: noqa: D102  the name of a test says what it is about

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from detent.domain.clock import from_us, utc_now
from detent.domain.events import EventType, check_chain
from detent.domain.evidence import Evaluation, Metric
from detent.domain.rollout import Plan, Rollout, RolloutStatus
from detent.domain.server import Server
from detent.domain.value import replace as replace_value
from detent.domain.version import Version
from detent.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from detent.metadata.base import SCHEMA_VERSION, Metadata
from detent.metadata.rollouts import WaitingLabel
from detent.metadata.tables import Tables
from detent.testing.rollouts import make_rollout

Opener = Callable[[], Metadata]
N_THREADS, N_PROCESSES, N_EACH = 8, 4, 15


class MetadataContract:
    """Reads see one commit, writes come one after the other, whole or not at all."""

    @pytest.fixture
    def opener(self) -> Opener | None:
        """Return what opens the one place of this test, with a registry or not.

        It has to be picklable, as other processes call it; None when the registry is gone with its
        process.
        """
        raise NotImplementedError

    @pytest.fixture
    def metadata(self, opener: Opener | None) -> Iterator[Metadata]:
        """Return a new registry."""
        assert opener is not None
        made = opener()
        made.create(at_us=1_000_000, actor="ana")
        yield made
        made.close()

    @pytest.fixture
    def other(self, metadata: Metadata, opener: Opener | None) -> Iterator[Metadata]:
        """Return the same registry, opened once more."""
        if opener is None:
            pytest.skip("this registry is gone with its process")
        opened = opener()
        yield opened
        opened.close()

    def test_making_a_registry_twice_is_safe(self, metadata: Metadata) -> None:
        _write(metadata, "fraud")
        assert metadata.create(at_us=2_000_000, actor="bo") is False
        assert _names(metadata) == ["fraud"]

    def test_a_registry_is_made_once(self, opener: Opener | None) -> None:
        if opener is None:
            pytest.skip("this registry is there as soon as it is opened")
        first, second = opener(), opener()
        assert first.create(at_us=1_000_000, actor="ana") is True
        assert second.create(at_us=2_000_000, actor="bo") is False
        with second.read() as tables:
            (event,) = tables.list_events()
            assert tables.schema_version() == SCHEMA_VERSION
        assert (event.seq, event.type) == (1, EventType.REGISTRY_CREATED)
        assert event.actor == "ana"
        assert event.body == {"schema_version": SCHEMA_VERSION}
        first.close()
        second.close()

    def test_without_a_registry_nothing_is_found(self, opener: Opener | None) -> None:
        if opener is None:
            pytest.skip("this registry is there as soon as it is opened")
        missing = opener()
        with pytest.raises(NotFoundError, match="there is no registry"):
            missing.current  # noqa: B018  it connects
        with pytest.raises(NotFoundError, match="there is no registry"), missing.read():
            pass
        with pytest.raises(NotFoundError, match="there is no registry"), missing.write():
            pass
        assert missing.create(at_us=1_000_000, actor="ana") is True
        assert _names(missing) == []
        missing.close()

    def test_a_commit_is_seen_by_another_connection(
        self, metadata: Metadata, other: Metadata
    ) -> None:
        assert _names(other) == []
        _write(metadata, "fraud")
        assert _names(other) == ["fraud"]
        _write(other, "wine")
        assert _names(metadata) == ["fraud", "wine"]

    def test_a_commit_is_seen_by_another_process(
        self, metadata: Metadata, opener: Opener | None
    ) -> None:
        if opener is None:
            pytest.skip("this registry is gone with its process")
        _write(metadata, "fraud")
        with _processes(1) as pool:
            assert pool.submit(_names_elsewhere, opener).result() == ["fraud"]
            pool.submit(_write_elsewhere, opener, "wine").result()
        assert _names(metadata) == ["fraud", "wine"]

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit])
    def test_after_an_exception_nothing_is_there(
        self, metadata: Metadata, error: type[BaseException]
    ) -> None:
        def write_half() -> None:
            with metadata.write() as tables:
                tables.insert_model("fraud", at_us=1, actor="ana")
                tables.append_event("Half", {}, at_us=1, actor="ana")
                raise error

        before = metadata.current.journal_head()
        with pytest.raises(error):
            write_half()
        assert _names(metadata) == []
        assert metadata.current.journal_head() == before
        _write(metadata, "wine")
        assert _names(metadata) == ["wine"]

    def test_what_is_not_committed_is_not_seen(self, metadata: Metadata, other: Metadata) -> None:
        with metadata.write() as tables:
            tables.insert_model("fraud", at_us=1, actor="ana")
            assert [model.name for model in tables.list_models()] == ["fraud"]
            assert _names(other) == []
        assert _names(other) == ["fraud"]

    def test_a_snapshot_stays_as_it_is(self, metadata: Metadata, other: Metadata) -> None:
        with metadata.read() as tables:
            assert tables.model_names() == []
            _write(other, "fraud")
            assert tables.model_names() == []
            with metadata.read() as nested:
                assert nested.model_names() == []
            assert metadata.current.model_names() == []
        assert _names(metadata) == ["fraud"]

    def test_a_read_in_a_write_sees_what_was_written(self, metadata: Metadata) -> None:
        with metadata.write() as tables:
            tables.insert_model("fraud", at_us=1, actor="ana")
            with metadata.read() as nested:
                assert nested.model_names() == ["fraud"]
            tables.insert_model("wine", at_us=1, actor="ana")
        assert _names(metadata) == ["fraud", "wine"]

    def test_an_exception_in_a_nested_read_spoils_nothing(self, metadata: Metadata) -> None:
        with metadata.write() as tables:
            tables.insert_model("fraud", at_us=1, actor="ana")
            with suppress(ValueError), metadata.read():
                raise ValueError
        assert _names(metadata) == ["fraud"]

    def test_a_write_in_a_transaction_is_a_defect_and_does_not_wait(
        self, metadata: Metadata
    ) -> None:
        for outer in (metadata.read, metadata.write):
            with outer(), pytest.raises(AssertionError), metadata.write():
                pass
        _write(metadata, "fraud")
        assert _names(metadata) == ["fraud"]

    def test_threads_write_one_after_the_other(self, metadata: Metadata) -> None:
        _write(metadata, "fraud")
        with ThreadPoolExecutor(N_THREADS) as pool:
            given = pool.map(lambda _: _take_numbers(metadata, N_EACH), range(N_THREADS))
            numbers = [number for each in given for number in each]
        assert sorted(numbers) == list(range(1, N_THREADS * N_EACH + 1))
        assert _problems(metadata) == []

    def test_processes_write_one_after_the_other(
        self, metadata: Metadata, opener: Opener | None
    ) -> None:
        if opener is None:
            pytest.skip("this registry is gone with its process")
        _write(metadata, "fraud")
        take = partial(_take_numbers_elsewhere, opener)
        with _processes(N_PROCESSES) as pool:
            numbers = [n for each in pool.map(take, [N_EACH] * N_PROCESSES) for n in each]
        assert sorted(numbers) == list(range(1, N_PROCESSES * N_EACH + 1))
        assert _problems(metadata) == []

    def test_threads_read_while_one_writes(self, metadata: Metadata) -> None:
        def read(_: int) -> bool:
            with metadata.read() as tables:
                return len(tables.list_events()) == tables.journal_head()[0] > 0

        with ThreadPoolExecutor(N_THREADS) as pool:
            whole = pool.map(read, range(60))
            for i in range(20):
                _write(metadata, f"fraud{i}")
            assert all(whole)

    def test_the_counter_moves_with_every_commit(self, metadata: Metadata) -> None:
        seen = [metadata.change_counter()]
        assert metadata.change_counter() == seen[0]
        for i in range(3):
            _write(metadata, f"fraud{i}")
            assert metadata.change_counter() not in seen
            seen.append(metadata.change_counter())
        _names(metadata)
        assert metadata.change_counter() == seen[-1]

    def test_the_counter_moves_with_commits_of_others(
        self, metadata: Metadata, other: Metadata
    ) -> None:
        seen = [metadata.change_counter()]
        for i in range(3):
            _write(other, f"fraud{i}")
            _write(metadata, f"wine{i}")
            _write(other, f"churn{i}")
            assert metadata.change_counter() not in seen
            seen.append(metadata.change_counter())

    def test_a_closed_registry_opens_again(self, metadata: Metadata) -> None:
        _write(metadata, "fraud")
        metadata.close()
        metadata.close()
        assert _names(metadata) == ["fraud"]
        _write(metadata, "wine")
        assert _names(metadata) == ["fraud", "wine"]

    def test_numbers_are_given_in_the_order_of_commits(self, metadata: Metadata) -> None:
        _write(metadata, "fraud")
        _write(metadata, "wine")
        assert _take_numbers(metadata, 2) == [1, 2]
        with suppress(ValueError), metadata.write() as tables:
            assert tables.take_number("fraud") == 3
            raise ValueError
        assert _take_numbers(metadata, 1) == [3]
        with metadata.write() as tables:
            assert tables.take_number("wine") == 1

    def test_a_model_is_added_once(self, metadata: Metadata) -> None:
        _write(metadata, "fraud")
        _take_numbers(metadata, 1)
        _write(metadata, "fraud")
        assert _names(metadata) == ["fraud"]
        assert _take_numbers(metadata, 1) == [2]

    def test_the_journal_is_a_chain(self, metadata: Metadata) -> None:
        for i in range(7):
            with metadata.write() as tables:
                for j in range(3):
                    body = {"i": i, "text": "ü \n\0 \U0001f600", "nothing": None, "f": 0.1}
                    actor = "bo" if j else "ana"
                    seq = tables.append_event("Tried", body, at_us=i * 10 + j, actor=actor)
                    assert seq == 2 + i * 3 + j
        with metadata.read() as tables:
            for page in (1, 5, 1000):
                links = list(tables.walk_journal(page=page))
                assert [link.seq for link in links] == list(range(1, 23))
                assert list(check_chain(links, head=tables.journal_head())) == []
            assert tables.journal_end() == (tables.journal_head(), 62)
            assert [event.seq for event in tables.list_events()] == list(range(22, 0, -1))
            assert tables.list_events(limit=1)[0].body["text"] == "ü \n\0 \U0001f600"
            found = tables.list_events(since_us=20, until_us=31, actor="bo")
            assert [(event.body["i"], event.seq) for event in found] == [(3, 12), (2, 10), (2, 9)]
            assert len(tables.list_events(after=20)) == 2

    def test_a_value_that_fits_in_no_row_is_refused(self, metadata: Metadata) -> None:
        def write(tables: Tables, value: Any) -> None:
            tables.insert_model("fraud", at_us=1, actor="ana")
            tables.insert_model("wine", at_us=value, actor=value)

        for value in ("\ud800", 1 << 80):
            with pytest.raises(InvalidError, match="fits in no row"), metadata.write() as tables:
                write(tables, value)
        assert _names(metadata) == []

    def test_looks_at_rows_are_counted_in_their_order(self, metadata: Metadata) -> None:
        _write(metadata, "fraud")
        with metadata.write() as tables:
            for number in (1, 2, 3, 4):
                tables.insert_version(_version(number), at_us=number, duration_s=None)
            for id, (version, name, digest) in enumerate(
                [(1, "a", "x"), (2, "a", "x"), (3, "b", "y"), (3, "a", "z"), (3, "a", "x")], start=1
            ):
                tables.insert_evaluation(_evaluation(id, version, name, digest), at_us=id)

        def uses(version: int, baseline: int, dataset: str | None = None) -> int:
            return metadata.current.count_uses_before(
                "fraud", version, baseline=baseline, dataset_digest="x", dataset=dataset
            )

        assert uses(2, baseline=1) == 0
        assert uses(1, baseline=2) == 0, "later looks do not count"
        assert uses(3, baseline=1) == 1 + 2, "version 2 on these rows, and two other data sets"
        assert uses(3, baseline=1, dataset="a") == 1 + 1
        assert uses(4, baseline=1) == 0, "never evaluated on these rows"
        assert metadata.current.newest_evaluation("fraud") == 5
        assert metadata.current.newest_evaluation("wine") == 0

    def test_of_many_models_the_newest_evaluations_are_measured(self, metadata: Metadata) -> None:
        kinds = [("f1", "auc"), ("auc", "f1"), ("auc",), (), ("f1", "auc")]
        with metadata.write() as tables:
            for model in ("fraud", "wine", "tea"):
                tables.insert_model(model, at_us=1, actor="ana")
                if model != "tea":
                    version = replace_value(_version(1), model=model)
                    tables.insert_version(version, at_us=1, duration_s=None)
            for id, names in enumerate(kinds * 2, start=1):
                metrics = tuple(Metric(name=name, value=id / 8, n=1) for name in names)
                evaluation = _evaluation(id, 1, "a", "x")
                model = "fraud" if id <= len(kinds) else "wine"
                evaluation = replace_value(evaluation, model=model, metrics=metrics)
                tables.insert_evaluation(evaluation, at_us=id)

        def measured(*models: str, each: int) -> list[tuple[str, str, float]]:
            found = metadata.current.list_last_measured(models, each=each)
            return [(one.model, one.metric, one.value * 8) for one in found]

        assert measured("fraud", "tea", each=3) == [("fraud", "f1", 5)], "4 has no metric, 3 no f1"
        assert measured("wine", "fraud", each=4) == [
            ("wine", "f1", 10),
            ("wine", "f1", 7),
            ("fraud", "f1", 5),
            ("fraud", "f1", 2),
        ]
        assert measured(each=4) == measured("tea", "none such", each=4) == []

    def test_an_alias_has_one_running_rollout(self, metadata: Metadata) -> None:
        rollout = _rollout(1)
        with metadata.write() as tables:
            tables.insert_rollout(rollout)
        with pytest.raises(ConflictError), metadata.write() as tables:
            tables.insert_rollout(_rollout(2))
        ended = replace(
            rollout, status=RolloutStatus.STOPPED, why="another day", ended_at=from_us(2)
        )
        with metadata.write() as tables:
            tables.update_rollout(ended)
            assert not tables.has_running_rollout("fraud", "production")
            tables.insert_rollout(_rollout(2))
        with metadata.read() as tables:
            assert tables.find_rollout(1) == ended
            assert tables.find_running_rollout("fraud", "production") == _rollout(2)
            assert tables.list_rollouts("fraud") == [_rollout(2), ended]
            assert tables.list_rollouts("fraud", limit=1) == [_rollout(2)]
            assert tables.list_rollouts("fraud", below=2) == [ended]
            assert tables.list_rollouts("fraud", "staging") == []
            assert tables.list_rollouts(running=True) == [_rollout(2)]
            assert tables.next_rollout() == 3

    def test_of_two_that_count_one_is_too_late(self, metadata: Metadata) -> None:
        with metadata.write() as tables:
            tables.insert_rollout(_rollout(1))
        seen = metadata.current.find_progress(1)
        assert (seen.revision, seen.driver, seen.state) == (0, None, {})
        taken = []
        for driver in ("one", "other"):
            with metadata.write() as tables:
                mine = replace_value(seen, revision=1, driver=driver, state={"waits_for": [driver]})
                taken.append(tables.put_progress(mine, expected=seen.revision))
        assert taken == [True, False]
        assert metadata.current.find_progress(1).driver == "one"
        found = metadata.current.find_rollout(1)
        assert found is not None
        assert found.waits_for == ("one",)

    def test_each_machine_has_one_tally(self, metadata: Metadata) -> None:
        with metadata.write() as tables:
            tables.insert_rollout(_rollout(1))
        seen = metadata.current.find_tally(1, "here")
        assert (seen.revision, seen.teller, seen.state) == (0, None, {})
        taken = []
        for place, teller in (("here", "one"), ("there", "two"), ("here", "three")):
            mine = replace_value(seen, revision=1, place=place, teller=teller, state={"n": 1})
            with metadata.write() as tables:
                taken.append(tables.put_tally(mine, expected=0))
        assert taken == [True, True, False]
        assert [one.teller for one in metadata.current.list_tallies(1)] == ["one", "two"]
        assert metadata.current.find_tally(1, "there").state == {"n": 1}

    def test_labels_wait_until_they_are_taken(self, metadata: Metadata) -> None:
        first, again, other = (
            WaitingLabel(model=model, request_id="r", row=0, label_json=text, at_us=at_us)
            for model, text, at_us in (("fraud", "1", 1), ("fraud", "2", 2), ("churn", "3", 3))
        )
        with metadata.write() as tables:
            tables.put_waiting_labels([first, other])
            tables.put_waiting_labels([again])  # the first stays
        assert metadata.current.list_waiting_labels("fraud", since_us=0) == [first]
        assert metadata.current.list_waiting_labels("fraud", since_us=2) == []
        with metadata.write() as tables:
            tables.remove_waiting_labels([first])
        assert metadata.current.list_waiting_labels("fraud", since_us=0) == []
        assert metadata.current.list_waiting_labels("churn", since_us=0) == [other]

    def test_what_servers_say_is_seen_and_moves_nothing_else(self, metadata: Metadata) -> None:
        before = metadata.change_counter(), metadata.current.journal_head()
        assert metadata.servers.list_servers() == []
        for server in (_server("a"), _server("b", alias="staging"), _server("a", model="wine")):
            counter = metadata.servers.change_counter()
            metadata.servers.put_server(server)
            assert metadata.servers.change_counter() != counter
        found = _told(metadata)
        assert found == [_server("a"), _server("b", alias="staging"), _server("a", model="wine")]
        assert _told(metadata, "fraud", "staging") == found[1:2]
        assert (metadata.change_counter(), metadata.current.journal_head()) == before

    def test_what_was_acknowledged_never_goes_back(self, metadata: Metadata) -> None:
        servers = metadata.servers
        for entry, version in ((3, 1), (5, 2), (4, 1)):
            servers.put_server(_server("a", entry=entry, version=version))
        assert _told(metadata) == [_server("a", entry=5, version=2)]
        told = _server("a", entry=5, version=2, problem="v3 does not load", problem_entry=6)
        servers.put_server(told)
        assert _told(metadata) == [told]

    def test_servers_leave_or_are_forgotten(self, metadata: Metadata) -> None:
        servers, now, hour = metadata.servers, utc_now(), timedelta(hours=1)
        for id, model in (("a", "fraud"), ("a", "wine"), ("b", "fraud")):
            told = _server(id, model=model)
            servers.put_server(replace_value(told, heard_at=now, lease_until=now + hour))
        servers.remove_servers("a")
        assert [server.id for server in servers.list_servers()] == ["b"]
        servers.remove_lapsed_servers(for_s=0)
        assert [server.id for server in servers.list_servers()] == ["b"]
        told = _server("c")
        servers.put_server(replace_value(told, heard_at=now, lease_until=now - hour))
        servers.remove_lapsed_servers(for_s=7200)
        assert [server.id for server in servers.list_servers()] == ["b", "c"]
        servers.remove_lapsed_servers(for_s=1800)
        assert [server.id for server in servers.list_servers()] == ["b"]
        servers.remove_lapsed_servers(for_s=-7200)
        assert servers.list_servers() == []

    def test_a_lease_lasts_as_long_for_whoever_looks(self, metadata: Metadata) -> None:
        now, lease = utc_now(), timedelta(seconds=30)
        told = _server("a", is_strict=True)
        metadata.servers.put_server(replace_value(told, heard_at=now, lease_until=now + lease))
        (found,) = metadata.servers.list_servers()
        assert found.is_strict
        assert found.lease_until - found.heard_at == lease
        # Nobody's clock is better than another's here: all are this machine's.
        assert abs(found.heard_at - now) < timedelta(seconds=20)

    def test_many_servers_acknowledge_at_once(self, metadata: Metadata) -> None:
        def acknowledge(i: int) -> None:
            for entry in range(1, N_EACH + 1):
                _until_written(partial(metadata.servers.put_server, _server(f"{i}", entry=entry)))

        with ThreadPoolExecutor(N_THREADS) as pool:
            list(pool.map(acknowledge, range(N_THREADS)))
        assert {server.entry for server in metadata.servers.list_servers()} == {N_EACH}

    def test_servers_of_other_processes_are_seen(
        self, metadata: Metadata, opener: Opener | None
    ) -> None:
        if opener is None:
            pytest.skip("this registry is gone with its process")
        counter = metadata.servers.change_counter()
        with _processes(1) as pool:
            pool.submit(_serve_elsewhere, opener).result()
            assert metadata.servers.change_counter() != counter
            assert _told(metadata) == [_server("elsewhere")]
            counter = metadata.servers.change_counter()
            pool.submit(_serve_elsewhere, opener, 7).result()
            assert metadata.servers.change_counter() != counter

    def test_a_new_database_finds_no_damage(self, metadata: Metadata) -> None:
        _write(metadata, "fraud")
        assert metadata.find_damage() == []


def _version(number: int) -> Version:
    return Version(
        model="fraud",
        number=number,
        digest=f"sha256:{number:064d}",
        format="files",
        size_bytes=1,
        created_at=from_us(number),
        created_by="ana",
    )


def _evaluation(id: int, version: int, dataset: str, digest: str) -> Evaluation:
    return Evaluation(
        id=id,
        model="fraud",
        version=version,
        dataset=dataset,
        dataset_digest=digest,
        n_rows=1,
        metrics=(),
        outcomes="none",
        one_row_s=None,
        at=from_us(id),
        by="ana",
    )


def _server(
    id: str,
    *,
    model: str = "fraud",
    alias: str = "production",
    version: int = 1,
    entry: int = 1,
    problem: str | None = None,
    problem_entry: int = 0,
    is_strict: bool = False,
) -> Server:
    return Server(
        id=id,
        model=model,
        alias=alias,
        host="web-1",
        pid=812,
        place="here",
        version=version,
        entry=entry,
        heard_at=from_us(7),
        lease_until=from_us(99),
        problem=problem,
        problem_entry=problem_entry,
        is_strict=is_strict,
    )


def _told(metadata: Metadata, model: str | None = None, alias: str | None = None) -> list[Server]:
    """Return what servers said, but for the times: a database may have a clock of its own."""
    return [
        replace_value(server, heard_at=from_us(7), lease_until=from_us(99))
        for server in metadata.servers.list_servers(model, alias)
    ]


def _serve_elsewhere(opener: Opener, entry: int = 1) -> None:
    opener().servers.put_server(_server("elsewhere", entry=entry))


def _until_written(write: Callable[[], None]) -> None:
    """Write as servers do: who cannot now tries again."""
    while True:
        try:
            return write()
        except UnavailableError:
            continue


def _rollout(id: int) -> Rollout:
    plan = Plan(canary=(0.05, 0.5), slo_s=0.2)
    return make_rollout(id=id, model="fraud", plan=plan, at=from_us(1), phase_at=from_us(1))


def _write(metadata: Metadata, model: str) -> None:
    with metadata.write() as tables:
        tables.insert_model(model, at_us=1, actor="ana")
        tables.append_event("Tried", {"model": model}, at_us=1, actor="ana")


def _names(metadata: Metadata) -> list[str]:
    return metadata.current.model_names()


def _take_numbers(metadata: Metadata, n: int) -> list[int]:
    """Take numbers of `fraud`, each in a transaction that first reads, as real ones do."""
    numbers = []
    for _ in range(n):
        with metadata.write() as tables:
            assert tables.find_model("fraud") is not None
            number = tables.take_number("fraud")
            tables.append_event("Tried", {"number": number}, at_us=number, actor="ana")
        numbers.append(number)
    return numbers


def _problems(metadata: Metadata) -> list[str]:
    with metadata.read() as tables:
        return list(check_chain(tables.walk_journal(), head=tables.journal_head()))


def _processes(n: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(n, mp_context=multiprocessing.get_context("spawn"))


def _names_elsewhere(opener: Opener) -> list[str]:
    return _names(opener())


def _write_elsewhere(opener: Opener, model: str) -> None:
    _write(opener(), model)


def _take_numbers_elsewhere(opener: Opener, n: int) -> list[int]:
    return _take_numbers(opener(), n)
