"""Rollouts inside a process that answers: candidates loaded, requests by lot, shadows, records."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from detent.domain.rollout import Phase, Rollout
from detent.errors import DetentError
from detent.metadata.predictions import Record
from detent.registry.rollout import pause_rollout
from detent.registry.stores import Stores
from detent.rollout.answers import to_answers
from detent.rollout.driver import Driver
from detent.rollout.inputs import Watch
from detent.rollout.lot import CanaryRouter, draw, draw_number
from detent.rollout.recorder import Recorder
from detent.rollout.shadow import Shadow, Shadowed
from detent.runtime.answered import Answered
from detent.runtime.deployment import Deployment, Role
from detent.runtime.follower import Follower, Tell
from detent.runtime.slot import load_slot

LOOK_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class _Trial:
    """A rollout as this process takes part in it. Not changed: another one takes its place."""

    rollout: Rollout
    shadow: Shadow
    watch: Watch


class Trials:
    """What a process does for the rollouts of the aliases that it follows.

    An observer of answers, with a thread of its own that looks for rollouts, loads candidates, and
    drives what nobody else drives. ``_trials`` is replaced as a whole, so that observers need no
    lock.
    """

    def __init__(
        self,
        stores: Stores,
        follower: Follower,
        *,
        trusted: bool | Sequence[str] = False,
        tell: Tell = lambda _event, _fields: None,
        keep: Callable[[], Recorder] | None = None,
    ) -> None:
        self._stores = stores
        self._follower = follower
        self._trusted = trusted
        self._tell = tell
        self.recorder = keep() if keep else Recorder(stores.predictions)
        self.driver = Driver(
            stores,
            names={d.name for d in follower.deployments},
            id=follower.id,
            tell=tell,
        )
        self._trials: Mapping[str, _Trial] = {}
        self._loading: set[tuple[str, int]] = set()
        self._dropped_before = 0  # by shadows that are gone
        self._problem: str | None = None
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look, in a thread."""
        self._thread = threading.Thread(target=self._run, name="detent-rollout", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take part no more; write what was answered."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        for trial in self._trials.values():
            trial.shadow.close()
        self._trials = {}
        self.recorder.close()

    def rollouts(self) -> list[Rollout]:
        """Return the rollouts that this process takes part in."""
        return [trial.rollout for trial in self._trials.values()]

    def is_on(self, name: str) -> bool:
        """Whether a rollout runs on the alias of this name, and this process takes part."""
        return name in self._trials

    def dropped(self) -> int:
        """Return how many requests were not kept, or not asked in the shadow."""
        in_shadow = sum(trial.shadow.n_dropped for trial in self._trials.values())
        return self.recorder.n_dropped + in_shadow + self._dropped_before

    # Observing: where answers are given, so quick ----------------------------------------------

    def __call__(self, answered: Answered) -> None:
        """Keep an answer, and have it given in the shadow too."""
        trial = self._trials.get(answered.deployment.name)
        if trial is None:
            return
        rollout, number = trial.rollout, answered.slot.version.number
        if rollout.phase is Phase.CANARY:
            self._keep(answered, trial, weight=_weight(answered, rollout))
            return
        answers_now = rollout.baseline if rollout.phase is Phase.SHADOW else rollout.candidate
        asked = rollout.candidate if rollout.phase is Phase.SHADOW else rollout.baseline
        if number != answers_now or answered.role is not Role.ACTIVE:
            return
        share = rollout.plan.sample if rollout.phase is Phase.SHADOW else rollout.plan.guard_sample
        slot = answered.deployment.find(asked)
        if slot is None or draw(rollout.id, answered.request_id, what="shadow") >= share:
            return
        # A version that failed has answered to no method; a plain function has one only.
        asked_for = tuple(answered.answers) or (slot.default,)
        methods = tuple(name if name in slot.methods else slot.default for name in asked_for)
        job = Shadowed(slot, methods, answered.rows, lambda job: self._keep(answered, trial, job))
        trial.shadow.put(job)  # what it does not take says nothing of the two

    def _keep(
        self,
        answered: Answered,
        trial: _Trial,
        shadowed: Shadowed | None = None,
        *,
        weight: float | None = None,
    ) -> None:
        self.recorder.put(lambda: _to_record(answered, trial, shadowed, weight))

    # Looking: in the thread --------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._end.wait(LOOK_EVERY_S):
                self.tick()
        finally:
            self._stores.metadata.release()
            self._stores.predictions.close()

    def tick(self) -> None:
        """Look for rollouts, and drive those that nobody else drives."""
        try:
            self._look()
            self.driver.tick()
            self._problem = None
        except DetentError as error:  # what answers is not affected
            self._cannot(error.message)
        except Exception as error:  # nor by a defect here; the next look may succeed
            self._cannot(f"{type(error).__name__}: {error}")

    def _cannot(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self._tell("cannot", {"what": "rollout", "problem": problem})

    def _look(self) -> None:
        running = self._stores.metadata.current.list_rollouts(running=True)
        by_name = {rollout.name: rollout for rollout in running}
        trials = dict(self._trials)
        for deployment in self._follower.deployments:
            rollout = by_name.get(deployment.name)
            trial = trials.get(deployment.name)
            if rollout is not None and self._take_part(deployment, rollout):
                if trial is None or trial.rollout.id != rollout.id:
                    shadow = Shadow(timeout_s=rollout.plan.timeout_s)
                    trials[deployment.name] = _Trial(rollout, shadow, Watch(self._stores, rollout))
                else:
                    trials[deployment.name] = replace(trial, rollout=rollout)
            elif trial is not None:
                del trials[deployment.name]
                if rollout is None:
                    deployment.end_trial()
        before, self._trials = self._trials, trials
        kept = {id(trial.shadow) for trial in trials.values()}
        for trial in before.values():
            if id(trial.shadow) not in kept:
                self._dropped_before += trial.shadow.n_dropped
                trial.shadow.close()

    def _take_part(self, deployment: Deployment, rollout: Rollout) -> bool:
        """Bring a deployment to where a rollout is; return whether it is there."""
        if deployment.entry != rollout.entry:
            return False  # the change is being followed: look again
        if rollout.phase is Phase.FULL:
            return deployment.find(rollout.baseline) is not None
        slot = deployment.find(rollout.candidate)
        if slot is None:
            self._load(deployment, rollout)
            return False
        router = None
        if rollout.phase is Phase.CANARY:
            router = CanaryRouter(rollout.id, rollout.weight)
        return deployment.try_out(slot, rollout.entry, router, timeout_s=rollout.plan.timeout_s)

    def _load(self, deployment: Deployment, rollout: Rollout) -> None:
        job = (deployment.name, rollout.id)
        if job in self._loading:
            return
        self._loading.add(job)

        def load() -> None:
            problem = None
            try:
                with self._follower.while_loading():
                    slot = load_slot(
                        self._stores, rollout.model, rollout.candidate, trusted=self._trusted
                    )
                deployment.try_out(slot, rollout.entry, None, timeout_s=rollout.plan.timeout_s)
            except DetentError as error:
                problem = error.message
            except Exception as error:  # the candidate's own code
                problem = f"{type(error).__name__}: {error}"
            try:
                if problem is not None:
                    self._refuse(rollout, problem)
            finally:
                self._loading.discard(job)
                self._stores.metadata.release()

        threading.Thread(target=load, name="detent-load", daemon=True).start()

    def _refuse(self, rollout: Rollout, problem: str) -> None:
        why = f"v{rollout.candidate} does not load: {problem}"
        self._tell("candidate_refused", {"alias": rollout.name, "problem": why})
        try:
            if not rollout.why:
                pause_rollout(
                    self._stores.acting_as(f"auto (rollout {rollout.id})"), rollout.id, why
                )
        except DetentError as error:
            self._cannot(error.message)
        # It may come to load: somebody gives trust, or restores bytes. Not at once, though.
        self._end.wait(5.0)


def _weight(answered: Answered, rollout: Rollout) -> float | None:
    """Return the share by which the lot decided, or None where it was not the lot that did."""
    if answered.key is None:
        return None
    was_drawn = draw(rollout.id, answered.key) < rollout.weight
    return rollout.weight if was_drawn == (answered.role is Role.CANARY) else None


def _to_record(
    answered: Answered, trial: _Trial, shadowed: Shadowed | None, weight: float | None
) -> Record:
    rollout = trial.rollout
    error = answered.error
    text = None if error is None else f"{type(error).__name__}: {str(error)[:200]}"
    key = draw_number(rollout.id, answered.key) if answered.has_key and answered.key else None
    return Record(
        request_id=answered.request_id,
        rollout=rollout.id,
        model=rollout.model,
        alias=rollout.alias,
        version=answered.slot.version.number,
        role=str(answered.role),
        at_us=int(answered.started_at * 1e6),
        seconds=answered.seconds,
        error=text,
        key=key,
        weight=weight,
        answers=to_answers(answered.slot, answered.answers),
        shadow_version=shadowed.slot.version.number if shadowed else None,
        shadow_seconds=shadowed.seconds if shadowed else None,
        shadow_error=shadowed.error if shadowed else None,
        shadow_answers=to_answers(shadowed.slot, shadowed.answers) if shadowed else (),
        cells=trial.watch.place(answered.rows),
    )
