"""A registry driven at random does what a plain list does."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.servers.postgres import new_schema

from detent import (
    Activation,
    ConflictError,
    DetentError,
    InconclusiveError,
    NotFoundError,
    RefusedError,
    Registry,
)
from detent.blobs.base import Blobs, put
from detent.blobs.local import LocalBlobs
from detent.blobs.memory import MemoryBlobs
from detent.domain.alias import Refusal
from detent.domain.clock import utc_now
from detent.domain.manifest import File, Manifest
from detent.metadata.base import Metadata
from detent.metadata.postgres import PostgresMetadata
from detent.metadata.sqlite import SqliteMetadata
from detent.registry.stores import Stores
from detent.remote import RemoteOperations
from detent.server.app import make_app
from detent.testing.registries import stores_on
from detent.testing.servers import serving

MODELS = st.sampled_from(["fraud", "wine"])
ALIASES = st.sampled_from(["fraud@production", "fraud@staging", "wine@production"])
NUMBERS = st.integers(1, 6)
REASONS = st.sampled_from([None, "drift", "slower than before"])
POLICIES: dict[str, dict[str, Any]] = {
    "none": {},
    "reason": {"reason_required": True},
    "as good": {"rule": [{"name": "at_least_as_good"}]},
}


@dataclass
class Kept:
    """What the model knows of a version."""

    number: int
    content: bytes
    withdrawn: bool = False
    deleted: bool = False
    note: str | None = None


@dataclass
class Moves:
    """What the model knows of an alias: all its entries, and the stack that a rollback pops."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    stack: list[int | None] = field(default_factory=list)
    left: set[int] = field(default_factory=set)
    refused: list[int] = field(default_factory=list)
    is_held: bool = False
    policy: str = "none"

    @property
    def active(self) -> int | None:
        return self.stack[-1] if self.stack else None


class RegistryMachine(RuleBasedStateMachine):
    """What is active is the newest entry of a history that only grows; rollback pops the stack.

    A version never changes; its number is given once, without gaps, and not again after deletion.
    """

    def __init__(self) -> None:
        super().__init__()
        self.metadata, self.blobs = self.open_stores()
        self.now = utc_now() + timedelta(days=1000)
        self.approved: set[tuple[str, int, str]] = set()
        self.versions: dict[str, list[Kept]] = {"fraud": [], "wine": []}
        self.aliases: dict[str, Moves] = {}
        self.n_entries = 0
        self.user = "ana"
        self.registry = self.connect()
        self.registry.create()
        self.newest = self.registry.audit()[0].at
        self.copied = Registry(stores_on(SqliteMetadata(None), MemoryBlobs()))

    def open_stores(self) -> tuple[Metadata, Blobs]:
        return SqliteMetadata(None), MemoryBlobs()

    def connect(self) -> Registry:
        stores = Stores(
            metadata=self.metadata,
            open_blobs=lambda: self.blobs,
            actor=self.user,
            clock=lambda: self.now,
        )
        self.stores = stores
        return Registry(stores)

    # What a plain list says -----------------------------------------------------------------

    def find(self, model: str, number: int) -> Kept | None:
        kept = self.versions[model]
        return kept[number - 1] if number <= len(kept) and not kept[number - 1].deleted else None

    def is_usable(self, model: str, number: int | None) -> bool:
        kept = self.find(model, number) if number is not None else None
        return kept is not None and not kept.withdrawn

    def tick(self) -> datetime:
        """Return the time of a change: behind the newest, even if the clock was set back."""
        self.newest = max(self.newest + timedelta(microseconds=1), self.now)
        return self.newest

    def move(self, alias: str, kind: str, version: int | None, **more: Any) -> None:
        moves = self.aliases.setdefault(alias, Moves())
        self.n_entries += 1
        entry = {
            "entry": self.n_entries,
            "kind": kind,
            "version": version,
            "previous": moves.active,
            "by": self.user,
            "at": self.tick(),
            "reason": None,
            "override": False,
        }
        moves.entries.append(entry | more)

    def refusal(self, model: str, alias: str, number: int, override: bool) -> type[DetentError]:
        """Return the error that the gate answers with; `DetentError` itself stands for none."""
        kept, moves = self.versions[model][number - 1], self.aliases.get(alias, Moves())
        if kept.withdrawn:
            return RefusedError
        if override:
            return DetentError
        if number in moves.left or moves.is_held:
            return RefusedError
        if moves.policy == "as good" and moves.active is not None:
            return InconclusiveError
        return DetentError

    # Rules ----------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0, 1, 3600, -1, -86400]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(user=st.sampled_from(["ana", "bo", "ci"]))
    def open_again(self, user: str) -> None:
        self.user = user
        self.metadata.close()
        self.registry = self.connect()

    @rule(model=MODELS, content=st.sampled_from([b"a", b"b", b"c", b"d"]), note=REASONS)
    def register(self, model: str, content: bytes, note: str | None) -> None:
        operations = self.registry._operations
        digest = put(operations.blobs, content)
        files = (File(path="model.bin", digest=digest, size_bytes=len(content)),)
        done = operations.register_manifest(model, Manifest(format="files", files=files), note=note)
        version, is_new = done.version, done.is_new
        same = [k for k in self.versions[model] if k.content == content and not k.deleted]
        assert is_new == (not same)
        if is_new:
            kept = Kept(len(self.versions[model]) + 1, content, note=note)
            self.versions[model].append(kept)
            assert version.created_at == self.tick()
            same = [kept]
        assert version.number == same[0].number

    @rule(alias=ALIASES, number=NUMBERS, reason=REASONS, override=st.booleans())
    def activate(self, alias: str, number: int, reason: str | None, override: bool) -> None:
        model, name = alias.split("@")
        activate = partial(
            self.registry.activate,
            f"{model}/{number}",
            name,
            reason=reason,
            override="all the same" if override else None,
        )
        moves = self.aliases.get(alias, Moves())
        if self.find(model, number) is None:
            with pytest.raises(NotFoundError):
                activate()
        elif moves.active == number:
            assert activate().entry == moves.entries[-1]["entry"]
        elif moves.policy == "reason" and not reason and not override:
            with pytest.raises(RefusedError, match="demands a reason"):
                activate()
        elif (error := self.refusal(model, alias, number, override)) is not DetentError:
            with pytest.raises(error) as caught:
                activate()
            assert self.registry.decision(caught.value.details["decision"]).candidate == number
            self.aliases.setdefault(alias, moves).refused.append(number)
            self.tick()
        else:
            self.move(
                alias,
                "activate",
                number,
                reason=reason or ("all the same" if override else None),
                override=override,
            )
            assert activate().entry == self.n_entries
            self.aliases[alias].stack.append(number)
            self.aliases[alias].left.discard(number)

    @rule(alias=ALIASES, to=st.one_of(st.none(), NUMBERS), reason=REASONS, hold=st.booleans())
    def rollback(self, alias: str, to: int | None, reason: str | None, hold: bool) -> None:
        model = alias.split("@")[0]
        rollback = partial(self.registry.rollback, alias, to=to, reason=reason, hold=hold)
        moves = self.aliases.get(alias, Moves())
        if not moves.entries:
            with pytest.raises(NotFoundError):
                rollback()
            return
        depths = [
            depth
            for depth, version in enumerate(moves.stack[:-1])
            if version != moves.active and self.is_usable(model, version)
            if to is None or version == to
        ]
        if not depths:
            with pytest.raises(RefusedError, match="cannot roll back"):
                rollback()
            return
        version = moves.stack[depths[-1]]
        left = moves.active
        self.move(alias, "rollback", version, reason=reason)
        assert rollback().version == version
        moves.stack = moves.stack[: depths[-1] + 1]
        moves.is_held |= hold
        if left is not None:
            moves.left.add(left)

    @rule(alias=ALIASES, reason=REASONS)
    def deactivate(self, alias: str, reason: str | None) -> None:
        moves = self.aliases.get(alias, Moves())
        if moves.active is None:
            with pytest.raises(NotFoundError):
                self.registry.deactivate(alias)
        else:
            self.move(alias, "deactivate", None, reason=reason)
            assert self.registry.deactivate(alias, reason=reason).version is None
            moves.stack.append(None)

    @rule(alias=ALIASES, is_held=st.booleans())
    def hold_or_release(self, alias: str, is_held: bool) -> None:
        moves = self.aliases.get(alias, Moves())
        change = self.registry.hold if is_held else self.registry.release
        if not moves.entries or not (is_held or moves.is_held):
            with pytest.raises(NotFoundError):
                change(alias)
        else:
            assert change(alias) is not None
            moves.is_held = is_held
            self.tick()

    @rule(model=MODELS, number=NUMBERS)
    def withdraw(self, model: str, number: int) -> None:
        kept = self.find(model, number)
        if kept is None:
            with pytest.raises(NotFoundError):
                self.registry.withdraw(f"{model}/{number}", reason="unsound")
            return
        assert self.registry.withdraw(f"{model}/{number}", reason="unsound").withdrawn == "unsound"
        if not kept.withdrawn:
            kept.withdrawn = True
            self.tick()

    @rule(model=MODELS, number=NUMBERS)
    def delete(self, model: str, number: int) -> None:
        kept = self.find(model, number)
        held = [v for alias, m in self.aliases.items() if alias.startswith(model) for v in m.stack]
        if kept is None:
            with pytest.raises(NotFoundError):
                self.registry.delete(f"{model}/{number}")
        elif number in held:
            with pytest.raises(RefusedError, match="was not deleted"):
                self.registry.delete(f"{model}/{number}")
        else:
            self.registry.delete(f"{model}/{number}")
            kept.deleted = True
            self.tick()

    @rule(alias=ALIASES, policy=st.sampled_from(sorted(POLICIES)))
    def set_policy(self, alias: str, policy: str) -> None:
        if not self.versions[alias.split("@")[0]]:
            with pytest.raises(NotFoundError):
                self.registry.set_policy(alias, POLICIES[policy])
        else:
            self.registry.set_policy(alias, POLICIES[policy])
            self.aliases.setdefault(alias, Moves()).policy = policy
            self.tick()

    @rule(alias=ALIASES, number=NUMBERS)
    def approve(self, alias: str, number: int) -> None:
        """Approving is recorded once a person, and changes nothing that is active."""
        model, name = alias.split("@")
        if self.find(model, number) is None:
            with pytest.raises(NotFoundError):
                self.registry.approve(f"{model}/{number}", name)
            return
        approval = self.registry.approve(f"{model}/{number}", name)
        if (alias, number, self.user) not in self.approved:
            assert approval.at == self.tick()
            self.approved.add((alias, number, self.user))

    @rule(alias=ALIASES, model=MODELS, number=NUMBERS)
    def note(self, alias: str, model: str, number: int) -> None:
        text = f"seen at {self.now:%H:%M:%S}"
        if (kept := self.find(model, number)) is not None:
            self.registry.note(f"{model}/{number}", text)
            kept.note = text
            self.tick()
        if alias in self.aliases and self.aliases[alias].entries:
            self.registry.note(alias, text)
            self.aliases[alias].entries[-1]["reason"] = text
            self.tick()

    @rule(data=st.data())
    def try_without_doing(self, data: st.DataObject) -> None:
        """With ``dry_run`` nothing is left behind, not even an event."""
        alias, number = data.draw(ALIASES), data.draw(NUMBERS)
        model, name = alias.split("@")
        registry, version = self.registry, f"{model}/{number}"
        tries: list[Callable[..., Any]] = [
            partial(registry.activate, version, name),
            partial(registry.activate, version, name, override="all the same"),
            partial(registry.rollback, alias, hold=True),
            partial(registry.deactivate, alias),
            partial(registry.hold, alias),
            partial(registry.release, alias),
            partial(registry.withdraw, version, reason="unsound"),
            partial(registry.delete, version),
            partial(registry.note, version, "seen"),
            partial(registry.set_policy, alias, {"reason_required": True}),
        ]
        before = self.fingerprint()
        with suppress(DetentError):
            data.draw(st.sampled_from(tries))(dry_run=True)
        assert self.fingerprint() == before

    @rule(alias=ALIASES, off=st.sampled_from([-1, 1]))
    def change_on_an_old_entry(self, alias: str, off: int) -> None:
        """With ``expected`` nothing is changed once the alias has moved on."""
        model, name = alias.split("@")
        moves = self.aliases.get(alias, Moves())
        if self.find(model, 1) is None or not moves.entries:
            return
        old = moves.entries[-1]["entry"] + off
        before = self.fingerprint()
        for change in (
            partial(self.registry.activate, f"{model}/1", name),
            partial(self.registry.rollback, alias),
            partial(self.registry.deactivate, alias),
        ):
            with pytest.raises(ConflictError, match="nothing was changed"):
                change(expected=old)
        assert self.fingerprint() == before

    @rule()
    def prune(self) -> None:
        """What a version needs is never removed; what none needs is gone."""
        report = self.registry.prune(grace_s=0)
        if report.n_blobs or report.n_unfinished:
            self.tick()
        needed = {v.digest for m in self.registry.models() for v in self.registry.versions(m.name)}
        contents = {k.content for kept in self.versions.values() for k in kept if not k.deleted}
        left = {info.digest for info in self.blobs.list_all()}
        assert left == needed | {put(MemoryBlobs(), content) for content in contents}

    @precondition(lambda self: self.n_entries > 0)
    @rule(alias=ALIASES, data=st.data())
    def look_back(self, alias: str, data: st.DataObject) -> None:
        entries = self.aliases.get(alias, Moves()).entries
        times = [e["at"] for m in self.aliases.values() for e in m.entries]
        at = data.draw(st.sampled_from(times)) + timedelta(seconds=data.draw(st.integers(-1, 1)))
        before = [entry for entry in entries if entry["at"] <= at]
        if not before:
            with pytest.raises(NotFoundError):
                self.registry.status(alias, at=at)
            return
        status = self.registry.status(alias, at=at)
        assert status.activation.entry == before[-1]["entry"]
        assert status.activation.version == before[-1]["version"]
        later = [entry for entry in entries if entry["entry"] > before[-1]["entry"]]
        assert status.until == (later[0]["at"] if later else None)

    @rule()
    def copy(self) -> None:
        """A copy tells the same, whether it begins or goes on."""
        Registry(self.stores).copy_to(self.copied)  # a server is copied where its stores are
        assert self.copied.audit() == self.registry.audit()
        assert self.copied.list_status() == self.registry.list_status()
        assert self.copied.models() == self.registry.models()
        assert self.copied.verify().problems == ()

    # What always holds ----------------------------------------------------------------------

    def fingerprint(self) -> Any:
        return self.registry.audit(), self.registry.list_status(), self.registry.models()

    @invariant()
    def versions_are_those_registered(self) -> None:
        for model, kept in self.versions.items():
            wanted = [k for k in reversed(kept) if not k.deleted]
            if not kept:
                continue
            versions = self.registry.versions(model)
            assert [v.number for v in versions] == [k.number for k in wanted]
            assert [v.note for v in versions] == [k.note for k in wanted]
            assert [v.withdrawn is not None for v in versions] == [k.withdrawn for k in wanted]
            for version, k in zip(versions, wanted, strict=True):
                assert self.registry.load(version)["model.bin"] == k.content

    @invariant()
    def history_only_grows(self) -> None:
        for alias, moves in self.aliases.items():
            if not moves.entries and not moves.refused:
                continue
            history = self.registry.history(alias)
            entries = [item for item in reversed(history) if isinstance(item, Activation)]
            refused = [item.version for item in reversed(history) if isinstance(item, Refusal)]
            told = [{name: getattr(e, name) for name in moves.entries[0]} for e in entries]
            assert told == moves.entries
            assert refused == moves.refused
            times = [item.at for item in history]
            assert times == sorted(set(times), reverse=True)

    @invariant()
    def the_newest_entry_says_what_is_active(self) -> None:
        for alias, moves in self.aliases.items():
            if moves.entries:
                status = self.registry.status(alias)
                assert (status.version.number if status.version else None) == moves.active
                assert (status.hold is not None) == moves.is_held
            if moves.active is not None:
                version = self.registry.version(alias)
                assert version.number == moves.active
                assert alias.split("@")[1] in version.active_in

    @invariant()
    def the_journal_is_unbroken_and_every_byte_is_there(self) -> None:
        assert self.registry.audit(verify=True).problems == ()
        assert self.registry.verify().problems == ()

    def teardown(self) -> None:
        self.metadata.close()


class RegistryInAFolder(RegistryMachine):
    __doc__ = RegistryMachine.__doc__

    def open_stores(self) -> tuple[Metadata, Blobs]:
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name)
        return SqliteMetadata(path / "detent.db"), LocalBlobs(path / "blobs")

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


class RegistryBehindAServer(RegistryMachine):
    """At a server a registry does what it does in a folder; who acts is told by a token."""

    def connect(self) -> Registry:
        super().connect()
        if not hasattr(self, "serving"):
            self.tokens: dict[str, str] = {}
            Registry(self.stores).create()
            self.serving = ExitStack()
            self.url = self.serving.enter_context(serving(make_app(self.stores)))
        if self.user not in self.tokens:
            made = Registry(self.stores).create_token(self.user, role="admin")
            self.tokens[self.user] = made.secret
            self.newest = made.token.created_at
        token = self.tokens[self.user]
        registry = Registry(RemoteOperations(self.url, user="nobody", token=token))
        assert registry.user == self.user
        return registry

    def teardown(self) -> None:
        self.registry.close()
        self.serving.close()
        super().teardown()


class RegistryForLong(RegistryMachine):
    __doc__ = RegistryMachine.__doc__


@pytest.mark.integration
def test_in_postgres(postgres_server: str) -> None:
    class RegistryInPostgres(RegistryMachine):
        __doc__ = RegistryMachine.__doc__

        def open_stores(self) -> tuple[Metadata, Blobs]:
            self.place = new_schema(postgres_server)
            return PostgresMetadata(self.place.__enter__()), MemoryBlobs()

        def teardown(self) -> None:
            super().teardown()
            self.place.__exit__(None, None, None)

    run_state_machine_as_test(
        RegistryInPostgres, settings=settings(max_examples=8, stateful_step_count=30)
    )


TestInMemory = RegistryMachine.TestCase
TestInMemory.settings = settings(max_examples=60, stateful_step_count=40)
TestInAFolder = RegistryInAFolder.TestCase
TestInAFolder.settings = settings(max_examples=8, stateful_step_count=30)
TestBehindAServer = RegistryBehindAServer.TestCase
TestBehindAServer.settings = settings(max_examples=5, stateful_step_count=25)
TestForLong = pytest.mark.slow(RegistryForLong.TestCase)
TestForLong.settings = settings(max_examples=1500, stateful_step_count=60)
