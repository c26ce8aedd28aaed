"""The engine: one request in, one answer out, whatever protocol it came by."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Protocol

from detent.domain.reference import parse_reference
from detent.errors import DetentError, InvalidError, NotFoundError, UnavailableError
from detent.inference.batch import Batcher
from detent.inference.candidate import Aside
from detent.inference.protocol import Asked
from detent.inference.tensors import Tensor, find_not_finite, to_rows, to_tensors, wrong
from detent.inference.turns import Turns
from detent.registry.stores import Stores
from detent.runtime.answered import Answered
from detent.runtime.deployment import Deployment, Role
from detent.runtime.follower import Follower
from detent.runtime.slot import CALL, Slot

# What takes less is asked on the event loop: handing it to a thread and back takes as long. What
# takes more must not keep health, metrics and the fence waiting.
INLINE_S = 0.002
MAX_THREADS = 8


class Observer(Protocol):
    """Is told of each answer before it is sent. It must be quick, and must not raise."""

    def __call__(self, answered: Answered) -> None:
        """Look at an answer."""
        ...


class Engine:
    """Answers requests on one event loop.

    Parameters
    ----------
    stores : Stores
        The registry, to name what it has when something is not here.
    follower : Follower
        Its deployments answer.
    batch_s : float, default=0
        How long a request waits for others of its kind, in seconds.
    observers : sequence of Observer, optional
        Told of each answer.
    n_workers : int, default=1
        How many processes like this one answer on this machine.
    """

    def __init__(
        self,
        stores: Stores,
        follower: Follower,
        *,
        batch_s: float = 0.0,
        observers: Sequence[Observer] = (),
        n_workers: int = 1,
    ) -> None:
        self.follower = follower
        self.observers = list(observers)
        self._stores = stores
        self._names = _names(follower.deployments)
        self._ids = itertools.count(1)
        threads = min(MAX_THREADS, (os.cpu_count() or 1) + 2)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="detent-predict")
        self._batcher = Batcher(batch_s, self._call) if batch_s > 0 else None
        self._aside = Aside()
        self._turns = Turns(n_workers)

    @property
    def names(self) -> list[str]:
        """The names that requests may use."""
        return list(self._names)

    def new_id(self) -> str:
        """Return an id for a request that has none."""
        return f"{self.follower.id}-{next(self._ids)}"

    def find(self, name: str) -> Deployment:
        """Return the deployment that a request names.

        Raises
        ------
        NotFoundError
            If nothing of that name is served here.
        """
        found = self._names.get(name)
        if found is None:
            raise NotFoundError(
                f"no model `{name[:100]}` is served here; there are"
                f" {', '.join(f'`{known}`' for known in self._names)}",
                details={"field": "model"},
            )
        return found

    def check_version(self, deployment: Deployment, slot: Slot | None, version: str) -> None:
        """Check that the version a request names is the one that answers.

        Raises
        ------
        NotFoundError
            If it is another one. What was withdrawn does not answer, not even by its number.
        """
        if slot is not None and version == str(slot.version.number):
            return
        newest = None
        with suppress(DetentError):  # what answers is known without the registry
            newest = self._stores.metadata.current.newest_number(deployment.model)
        answers = f"version {slot.version.number} answers" if slot else "no version answers"
        raise NotFoundError(
            f"version {version[:40]} of `{deployment.model}` is not served here: {answers}"
            + (f"; the newest in the registry is {newest}" if newest else ""),
            hint="leave the version out to be answered by the active one",
            details={"field": "version", "newest": newest},
        )

    async def answer(
        self, deployment: Deployment, asked: Asked, request_id: str, *, version: str = ""
    ) -> tuple[list[Tensor], Slot]:
        """Answer a request with the version that is active when it begins.

        The caller calls `finish` once the answer was sent: until then a change waits for it.

        Returns
        -------
        tensors : list of Tensor
            The answer.
        slot : Slot
            What gave it.

        Raises
        ------
        InvalidError
            If the request is not what the version takes.
        NotFoundError
            If the alias holds no version, or another one than the request names.
        UnavailableError
            If nothing may answer here now.
        DetentError
            If the model raised.
        """
        self._check_lease()
        if version:  # whoever names one takes no part in a trial
            slot, role, key = deployment.acquire_active(), Role.ACTIVE, None
        else:
            key = asked.key or request_id
            slot, role = deployment.acquire(key)
        failed: Answered | None = None
        if role is Role.CANARY:
            tried = _begin(deployment, slot, role, asked, request_id, key)
            tensors = await self._by_candidate(tried, asked)
            if tensors is not None:
                try:
                    self._check_lease()
                except UnavailableError:
                    deployment.release(slot)
                    raise
                return tensors, slot
            # A trial is no reason to fail a request.
            failed, slot, role, key = tried, deployment.acquire_active(), Role.ACTIVE, None
        try:
            if version:
                self.check_version(deployment, slot, version)
            answered = _begin(deployment, slot, role, asked, request_id, key)
            methods = self._read(answered, asked)
            if failed is not None:  # the active version takes the request, so it is a good one
                self._tell(failed)
            await self._ask(answered, methods, asked.tensors)
            self._check_lease()  # it may have ended meanwhile, and a change be done with us
            return _to_tensors(methods, answered.answers), slot
        except BaseException:
            deployment.release(slot)
            raise

    def _check_lease(self) -> None:
        if self.follower.is_strict and not self.follower.may_answer:
            raise UnavailableError(
                "the lease of this server has ended and cannot be renewed: it may have missed a"
                " change, and does not answer",
                hint="see `detent status`, and whether the registry can be written to",
            )

    async def _by_candidate(self, answered: Answered, asked: Asked) -> list[Tensor] | None:
        """Return the candidate's answer; None where it failed, which its slot is released for."""
        started = time.perf_counter()
        slot, deployment = answered.slot, answered.deployment
        try:
            methods = self._read(answered, asked)
            rows, n = answered.rows, answered.n_rows
            answered.answers = await self._aside.run(
                slot,
                lambda: _call(slot, methods, rows, n),
                timeout_s=deployment.candidate_timeout_s,
            )
            tensors = _to_tensors(methods, answered.answers)
        except Exception as error:
            answered.error = error
            answered.seconds = time.perf_counter() - started
            deployment.release(slot)
            return None
        except BaseException:  # who asked has left
            deployment.release(slot)
            raise
        answered.seconds = time.perf_counter() - started
        self._tell(answered)
        return tensors

    def finish(self, deployment: Deployment, slot: Slot) -> None:
        """Give back the slot of an answer that was sent, and the processor to whoever waits."""
        deployment.release(slot)
        self._turns.end()

    def _read(self, answered: Answered, asked: Asked) -> tuple[str, ...]:
        """Read the rows of a request as its version takes them; return the methods asked for."""
        methods = _methods(asked, answered.slot)
        answered.rows, answered.n_rows = to_rows(asked.tensors, answered.slot)
        return methods

    def _tell(self, answered: Answered) -> None:
        for observer in self.observers:
            observer(answered)

    async def _ask(
        self, answered: Answered, methods: tuple[str, ...], tensors: Sequence[Tensor]
    ) -> None:
        slot = answered.slot
        started = time.perf_counter()
        try:
            call = self._call if self._batcher is None else self._batcher.ask
            answered.answers = await call(slot, methods, answered.rows, answered.n_rows)
        except Exception as raised:
            rejected = find_not_finite(tensors, slot, raised)
            if rejected is not None:  # the request's fault, not the version's
                raise rejected from raised
            answered.error = raised
        answered.seconds = time.perf_counter() - started
        self._tell(answered)
        if answered.error is not None:
            raise DetentError(
                f"`{slot.version}` failed on this request: {type(answered.error).__name__}:"
                f" {str(answered.error)[:500]}",
                details={"request_id": answered.request_id, "version": slot.version.number},
            ) from answered.error

    async def _call(
        self, slot: Slot, methods: tuple[str, ...], rows: Any, n: int
    ) -> dict[str, Any]:
        expected = slot.expected_s(n)
        if expected is not None and expected * len(methods) < INLINE_S:
            return _call(slot, methods, rows, n)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, _call, slot, methods, rows, n)

    def close(self) -> None:
        """Let go of the threads; one that hangs is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _begin(
    deployment: Deployment, slot: Slot, role: Role, asked: Asked, request_id: str, key: str | None
) -> Answered:
    return Answered(
        deployment,
        slot,
        role,
        request_id,
        None,
        0,
        time.time(),
        key=key,
        has_key=asked.key is not None and key is not None,
    )


def _to_tensors(methods: tuple[str, ...], answers: dict[str, Any]) -> list[Tensor]:
    if len(methods) == 1:
        return to_tensors(methods[0], answers[methods[0]])
    return [tensor for name in methods for tensor in to_tensors(name, answers[name])]


def _call(slot: Slot, methods: tuple[str, ...], rows: Any, n: int) -> dict[str, Any]:
    started = time.perf_counter()
    answers = {name: slot.methods[name](rows) for name in methods}
    slot.note_time(n, (time.perf_counter() - started) / len(methods))
    return answers


def _methods(asked: Asked, slot: Slot) -> tuple[str, ...]:
    """Return the methods that a request asks for; an output has the name of its method."""
    if asked.outputs:
        names = [(name.partition("[")[0], f"outputs[{i}]") for i, name in enumerate(asked.outputs)]
    elif asked.method is not None:
        names = [(asked.method, "parameters.method")]
    else:
        return (slot.default,)
    found = []
    for name, place in names:
        method = CALL if name == "predict" and CALL in slot.methods else name
        if method not in slot.methods:
            known = ", ".join(f"`{known}`" for known in slot.methods)
            raise wrong(f"`{slot.version}` has no `{name[:100]}`; it has {known}", place)
        if method not in found:
            found.append(method)
    return tuple(found)


def _names(deployments: Sequence[Deployment]) -> dict[str, Deployment]:
    """Return what requests may call each: with its alias, and the first of a model without."""
    names: dict[str, Deployment] = {}
    for deployment in deployments:
        names.setdefault(deployment.model, deployment)
    return names | {deployment.name: deployment for deployment in deployments}


def parse_aliases(names: Sequence[str]) -> tuple[str, ...]:
    """Return what to serve, each with its alias: ``churn`` means ``churn@production``.

    Raises
    ------
    InvalidError
        If a name is that of a version, or one is given twice.
    """
    found = []
    for name in names:
        reference = parse_reference(name)
        if reference.number is not None or reference.digest is not None:
            raise InvalidError(
                f"`{name}` names a version: what is served follows an alias",
                hint=f"serve `{reference.model}@production`",
            )
        found.append(f"{reference.model}@{reference.alias or 'production'}")
    if len(set(found)) < len(found):
        raise InvalidError(f"an alias was named twice: {', '.join(found)}")
    return tuple(found)
