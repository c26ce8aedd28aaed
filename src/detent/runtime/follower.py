"""A follower: looks at the registry, moves the deployments of a process, and says so."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from detent.domain.alias import Activation, rollback_target
from detent.domain.reference import Reference
from detent.domain.server import Server
from detent.errors import CorruptError, DetentError, UnavailableError
from detent.registry.read import find_alias
from detent.registry.stores import Stores
from detent.registry.verify import damage_text
from detent.runtime.deployment import Deployment
from detent.runtime.door import door_name, make_door, sweep_doors
from detent.runtime.place import host_name, this_place, time_passed
from detent.runtime.slot import Slot, load_slot

if TYPE_CHECKING:
    from datetime import datetime

LEASE_S = 10.0
TICK_S = 0.02  # how often an idle process looks, and says what it has seen
_HEARD_S = 0.25  # how often it is done by the thread that is told of commits
_RENEWALS = 3  # of a lease, in its time: two may fail
# The next rollback's version is looked for a little later: right after a change the other processes
# of this machine need its processors to acknowledge.
_PREPARE_AFTER_S = 0.05
_RETRY_S = 10.0  # until a version that did not load is tried again
_BLOCKED_S = 0.1  # the longest that an answer waits for a look that is under way
_KEEP_LAPSED_S = 3600.0  # rows of processes that nobody heard of are shown so long

Tell = Callable[[str, dict[str, object]], None]  # what happened, and to what


class Follower:
    """Keeps deployments at what their aliases hold. May be shared between threads.

    Every `TICK_S` seconds call `tick`. Its deployments see what was committed before each answer:
    at their doors, or where there are none, in the registry. Where the registry tells of commits,
    a thread of its own does all of that, so that an answer never waits for the network.

    Parameters
    ----------
    stores : Stores
        The registry.
    aliases : iterable of Reference
        What to follow.
    trusted : bool or sequence of str, default=False
        As for `Registry.load`.
    lease_s : float, default=10
        For how long a change waits for this process after it was last heard of, in seconds.
    is_strict : bool, default=False
        Stop answering when the lease has ended, and cannot be renewed.
    tell : callable, optional
        Told what happens: ``(event, fields)``, for a log. May be called from any thread.
    loading : callable, optional
        Gives a context that is open while a version is loaded, in whatever thread that is.
    """

    def __init__(
        self,
        stores: Stores,
        aliases: Iterable[Reference],
        *,
        trusted: bool | Sequence[str] = False,
        lease_s: float = LEASE_S,
        is_strict: bool = False,
        tell: Tell = lambda _event, _fields: None,
        loading: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self.id = secrets.token_hex(8)
        self.deployments = [Deployment(a.model, str(a.alias)) for a in aliases]
        for deployment in self.deployments:
            deployment.glance = partial(self._glance, deployment)
        self.is_strict = is_strict
        self._stores = stores
        self._trusted = trusted
        self._lease_s = lease_s
        self._tell = tell
        self.while_loading = loading
        self._looked_at = float("-inf")
        self._end_listening: Callable[[], None] | None = None
        self._seen = threading.local()  # the counter of each thread's connection
        self._lock = threading.RLock()  # one look at a time moves the deployments
        self._told = threading.Lock()  # held while the thread that is told of commits looks
        self._loading: set[tuple[str, int]] = set()  # aliases, and versions being loaded for them
        self._prepare_at: dict[str, float] = {}
        self._retry_at = float("inf")
        self._is_retry = False
        self._renew_at = 0.0
        self._lease_ends = 0.0
        self._is_closed = False
        self._cannot: dict[str, str] = {}  # what fails, so that each failure is told once

    def start(self) -> None:
        """Load what the aliases hold now, and say so. What does not load is told as a problem.

        Raises
        ------
        NotFoundError
            If there is no such registry or model, or an alias has never held a version.
        """
        metadata = self._stores.metadata
        for deployment in self.deployments:
            name = door_name(self.id, deployment.model, deployment.alias)
            deployment.door = make_door(metadata.servers.doors, name)
            if deployment.door is None:  # there, whoever waits sees that it has drained
                deployment.on_drained = self._acknowledge_soon
        newest = [
            find_alias(metadata.current, Reference(model=d.model, alias=d.alias))
            for d in self.deployments
        ]
        for deployment, entry in zip(self.deployments, newest, strict=True):
            with self._lock:
                self._move(deployment, entry, in_background=False)
        self.tick()
        every_s = min(_HEARD_S, self._lease_s / (2 * _RENEWALS))
        self._end_listening = metadata.listen(self._hear, every_s=every_s)
        with suppress(UnavailableError):
            metadata.servers.remove_lapsed_servers(for_s=_KEEP_LAPSED_S)
            sweep_doors(metadata.servers.doors, {s.id for s in metadata.servers.list_servers()})

    def _glance(self, deployment: Deployment) -> None:
        """See what was committed, before a deployment chooses what answers."""
        if deployment.door is not None:
            if deployment.door.has_news() and not self.look():
                # Somebody has changed something, and may count on this process to know of it.
                raise UnavailableError(
                    f"`{deployment.name}` was changed, and the registry cannot be read to see how:"
                    f" {self._cannot.get('look', 'it is being read')}",
                    hint="ask again in a moment",
                )
        elif self._end_listening is None:
            self.look()
        elif time.monotonic() - self._looked_at > self._lease_s and "look" not in self._cannot:
            # The whole process was stopped: no change has waited for it meanwhile. Or a look waits
            # for a network that delivers nothing: no answer waits for that more than once.
            if self._told.acquire(timeout=_BLOCKED_S):
                self._told.release()
                self.look()
            else:
                self._cannot_now("look", UnavailableError("the registry does not answer"))

    def see(self) -> None:
        """See what was committed before now, where that is not told: no question waits for it."""
        if self._end_listening is None:
            self.look()

    def look(self) -> bool:
        """See what was committed before now; return whether it could be seen."""
        self._looked_at = time.monotonic()
        news = [(door, door.news()) for d in self.deployments if (door := d.door) is not None]
        try:
            counter = self._stores.metadata.change_counter()
            if counter != getattr(self._seen, "counter", None):
                with self._lock:
                    self._follow()
                self._seen.counter = counter
            self._can("look")
        except DetentError as error:  # not even a damaged registry stops what answers
            self._cannot_now("look", error)
            return False
        for door, number in news:
            door.saw(number)
        return True

    def tick(self) -> None:
        """Do what is due: look, load again what did not load, acknowledge, renew the lease."""
        if self._end_listening is None:
            self._tick()

    def _hear(self) -> None:
        with self._told:
            self._tick()

    def _tick(self) -> None:
        if self._is_closed:
            return
        now = time.monotonic()
        if now >= self._retry_at:
            self._retry_at = float("inf")
            self._is_retry = True
            self._seen.counter = None
        self.look()
        for deployment in self.deployments:
            deployment.let_go()
        if (
            now >= self._renew_at
            or (self.is_strict and self._is_lapsed)
            or any(d.acknowledged < d.entry for d in self.deployments)
        ):
            with self._lock:
                self._acknowledge(self.deployments)
        if self._prepare_at:
            self._prepare_due(now)

    @property
    def may_answer(self) -> bool:
        """Whether the lease, if it is a strict one, is alive. Tries to renew one that is not."""
        if not self.is_strict or not self._is_lapsed:
            return True
        if self._end_listening is None:
            with self._lock:
                self._acknowledge(self.deployments)
        return not self._is_lapsed

    @property
    def _is_lapsed(self) -> bool:
        return time_passed() >= self._lease_ends

    def close(self) -> None:
        """Answer no more, and say so. Twice is safe."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._end_listening is not None:
            self._end_listening()
        with self._lock, suppress(UnavailableError):
            self._stores.metadata.servers.remove_servers(self.id)
        for deployment in self.deployments:
            if deployment.door is not None:
                deployment.door.remove()

    # Following: under the lock ------------------------------------------------------------

    def _follow(self) -> None:
        is_retry, self._is_retry = self._is_retry, False
        with self._stores.metadata.read() as tables:
            newest = [tables.newest_activation(d.model, d.alias) for d in self.deployments]
        for deployment, entry in zip(self.deployments, newest, strict=True):
            if entry is None or entry.entry <= deployment.entry:
                continue
            if entry.entry > deployment.problem_entry or is_retry:
                self._move(deployment, entry)

    def _move(
        self, deployment: Deployment, entry: Activation, *, in_background: bool = True
    ) -> None:
        if self._swap_to(deployment, entry) or entry.version is None:
            return
        if not in_background:
            self._load(deployment, entry.version, entry)
            return
        # What came before it may have been counted on, and holds until this one is loaded.
        tables = self._stores.metadata.current
        for earlier in tables.activations_since(entry.model, entry.alias, deployment.entry):
            if earlier.entry < entry.entry and self._swap_to(deployment, earlier):
                break
        if (deployment.name, entry.version) not in self._loading:
            self._loading.add((deployment.name, entry.version))
            self._start_thread(self._load, deployment, entry.version, entry)

    def _swap_to(self, deployment: Deployment, entry: Activation) -> bool:
        """Answer by an entry, if that needs no loading; return whether it did."""
        slot = None if entry.version is None else deployment.find(entry.version)
        if entry.version is not None and slot is None:
            return False
        self._swap(deployment, slot, entry)
        return True

    def _swap(self, deployment: Deployment, slot: Slot | None, entry: Activation) -> None:
        before = deployment.active
        deployment.swap(slot, entry.entry)
        if deployment.door is None:  # whoever waits sees it there; the row has time until a tick
            self._acknowledge([deployment])
        self._tell(
            "switched",
            {
                "alias": deployment.name,
                "entry": entry.entry,
                "from": before.version.number if before else None,
                "to": entry.version,
                "at": entry.at,
            },
        )
        self._prepare_at[deployment.name] = time.monotonic() + _PREPARE_AFTER_S

    def _acknowledge(self, deployments: Sequence[Deployment]) -> None:
        if self._is_closed:
            return
        started, granted_at, now = time.monotonic(), time_passed(), self._stores.clock()
        try:
            for deployment in deployments:
                # What is still being answered with another version holds the entry back.
                entry = deployment.entry
                if not deployment.is_drained:
                    entry = deployment.acknowledged
                self._stores.metadata.servers.put_server(self._row(deployment, entry, now))
                deployment.acknowledged = entry
        except UnavailableError as error:
            self._renew_at = 0.0
            self._cannot_now("acknowledge", error)
            return
        self._can("acknowledge")
        if len(deployments) == len(self.deployments):
            self._renew_at = started + self._lease_s / _RENEWALS
            if not self.is_strict or not self._is_lapsed or self._demand_newest():
                self._lease_ends = granted_at + self._lease_s

    def _demand_newest(self) -> bool:
        """See to it that a lease that had ended is not answered under as if it had not.

        Whoever changed an alias meanwhile was told that nothing answers here. So it is asked, after
        the renewal, which entries that may concern: before those, nothing is answered.
        """
        try:
            with self._stores.metadata.read() as tables:
                newest = [tables.newest_activation(d.model, d.alias) for d in self.deployments]
        except DetentError as error:
            self._cannot_now("look", error)
            return False
        for deployment, entry in zip(self.deployments, newest, strict=True):
            if entry is not None:
                deployment.demand(entry.entry)
        return True

    def _row(self, deployment: Deployment, entry: int, now: datetime) -> Server:
        active = deployment.active
        return Server(
            id=self.id,
            model=deployment.model,
            alias=deployment.alias,
            host=host_name(),
            pid=os.getpid(),
            place=this_place(),
            version=active.version.number if active else None,
            entry=entry,
            heard_at=now,
            lease_until=now + timedelta(seconds=self._lease_s),
            problem=deployment.problem,
            problem_entry=deployment.problem_entry,
            is_strict=self.is_strict,
        )

    def _acknowledge_soon(self, deployment: Deployment) -> None:
        # Called where an answer ended. Whoever holds the lock now acknowledges, or the next tick.
        # Not where the registry does not answer: the answers would have to wait for it.
        if "acknowledge" in self._cannot:
            return
        if self._end_listening is None:
            self._acknowledge_now(deployment)
        else:  # over a network, which may deliver nothing from now on
            threading.Thread(
                target=self._acknowledge_now, args=(deployment,), name="detent-drained", daemon=True
            ).start()

    def _acknowledge_now(self, deployment: Deployment) -> None:
        if self._lock.acquire(blocking=False):
            try:
                self._acknowledge([deployment])
            finally:
                self._lock.release()

    # Loading: in threads of their own -----------------------------------------------------

    def _start_thread(self, work: Callable[..., None], *arguments: object) -> None:
        # One for each job, not a pool: a version that hangs while it loads must not be in the way
        # of the next one. A daemon, so that it is not in the way of the process's end either.
        def run() -> None:
            try:
                work(*arguments)
            finally:
                self._stores.metadata.release()

        threading.Thread(target=run, name="detent-load", daemon=True).start()

    def _load(self, deployment: Deployment, number: int, entry: Activation | None = None) -> None:
        """Load a version once, whoever asked; then see for what it is wanted now."""
        slot, problem = None, ""
        try:
            with self.while_loading():
                slot = self._load_slot(deployment.model, number)
        except CorruptError as error:
            problem = f"v{number} was not loaded: {self._damage(deployment.model, number, error)}"
        except DetentError as error:
            problem = f"v{number} does not load: {error.message}"
        except Exception as error:  # the version's own code: whatever it does, others answer on
            problem = f"v{number} does not load: {type(error).__name__}: {error}"
        with self._lock:
            self._loading.discard((deployment.name, number))
            newest = self._newest(deployment) or entry
            if newest and newest.version == number and newest.entry > deployment.entry:
                if slot is not None:
                    self._swap(deployment, slot, newest)
                else:
                    self._refuse(deployment, newest, problem)
            elif slot is None:
                # A rollback will load it then, or say why it cannot.
                self._tell("standby_failed", {"alias": deployment.name, "problem": problem})
            elif number == self._rollback_number(deployment):
                deployment.stand_by(slot)

    def _refuse(self, deployment: Deployment, newest: Activation, problem: str) -> None:
        is_new = (deployment.problem, deployment.problem_entry) != (problem, newest.entry)
        deployment.refuse(newest.entry, problem)
        self._retry_at = time.monotonic() + _RETRY_S
        self._acknowledge([deployment])
        if is_new:  # not each time that it is tried again
            self._tell(
                "refused",
                {"alias": deployment.name, "entry": newest.entry, "problem": problem},
            )

    def _damage(self, model: str, number: int, error: CorruptError) -> str:
        """Return which files are damaged, all of them: loading stops at the first."""
        try:
            return damage_text(self._stores, f"{model}/{number}") or error.message
        except DetentError:
            return error.message

    def _load_slot(self, model: str, number: int) -> Slot:
        slot = load_slot(self._stores, model, number, trusted=self._trusted)
        if slot.form_problem is not None:
            fields: dict[str, object] = {"version": slot.version.name, "problem": slot.form_problem}
            self._tell("form_unused", fields)
        return slot

    def _prepare_due(self, now: float) -> None:
        with self._lock:
            for deployment in self.deployments:
                if self._prepare_at.get(deployment.name, float("inf")) <= now:
                    del self._prepare_at[deployment.name]
                    self._prepare(deployment)

    def _prepare(self, deployment: Deployment) -> None:
        """Load the version that a rollback would return to, unless it is here or on its way."""
        number = self._rollback_number(deployment)
        if number is None or deployment.find(number) is not None:
            return
        if (deployment.name, number) not in self._loading:
            self._loading.add((deployment.name, number))
            self._start_thread(self._load, deployment, number)

    def _rollback_number(self, deployment: Deployment) -> int | None:
        with suppress(DetentError), self._stores.metadata.read() as tables:
            current = tables.newest_activation(deployment.model, deployment.alias)
            if current is None:
                return None
            target, _ = rollback_target(
                current,
                tables.activations_beneath(current),
                name=deployment.name,
                is_usable=lambda number: tables.is_usable(deployment.model, number),
            )
            return target.version
        return None

    def _newest(self, deployment: Deployment) -> Activation | None:
        try:
            tables = self._stores.metadata.current
            return tables.newest_activation(deployment.model, deployment.alias)
        except DetentError:
            return None

    # Telling ------------------------------------------------------------------------------

    def _cannot_now(self, what: str, error: DetentError) -> None:
        if what not in self._cannot:
            self._cannot[what] = error.message
            self._tell("cannot", {"what": what, "problem": error.message})

    def _can(self, what: str) -> None:
        if self._cannot and what in self._cannot:
            del self._cannot[what]
            self._tell("can_again", {"what": what})
