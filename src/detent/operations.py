"""What a registry can be asked and told: the seam between `Registry` and where the work is done.

`Operations` does it here, with functions over stores. A registry behind a server has the same
methods, made from the table in ``detent.api``, and does it there: the bytes of a version are the
only thing that both ends handle. What computes on data (loading a model, evaluating it, lineage)
is above this line and runs where it is called; what decides (numbers, gates, holds) is below it
and runs where the rows are.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from detent.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from detent.blobs.base import Blobs, Progress
    from detent.charts.chart import Chart
    from detent.domain.access import NewToken, Token
    from detent.domain.alias import Activation, AliasStatus, Hold, Move
    from detent.domain.events import Event, Link
    from detent.domain.evidence import (
        Approval,
        Comparison,
        Decision,
        Evaluation,
        Policy,
        Ranking,
        Trial,
    )
    from detent.domain.manifest import Manifest
    from detent.domain.report import (
        JournalReport,
        NeededBlob,
        PruneReport,
        Registration,
        VerifyReport,
        VersionCard,
    )
    from detent.domain.rollout import Joined, LabelWanted, Plan, Reading, Rollout, StoppedRollout
    from detent.domain.server import Confirmation, Server
    from detent.domain.version import Model, Version
    from detent.domain.webhook import Delivery, NewWebhook, Webhook
    from detent.registry.stores import Stores
    from detent.rollout.driver import Driver


class Operations:
    """Everything that is asked of one registry, by one actor. May be shared between threads.

    Names are text (``churn/7``, ``churn@production``), times are aware. What is refused is
    described where the work is done: see the function that a method calls.
    """

    _driver: Driver | None = None  # of rollouts, where this process drives them

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    @property
    def stores(self) -> Stores:
        """The stores, where they are at hand."""
        return self._stores

    @property
    def blobs(self) -> Blobs:
        """The bytes."""
        return self.stores.blobs

    @property
    def clock(self) -> Callable[[], datetime]:
        """Gives the present time, for times such as ``3d`` ago."""
        return self.stores.clock

    @property
    def location(self) -> str:
        """Where the registry lies."""
        return self.stores.metadata.location

    @property
    def user(self) -> str:
        """Who acts."""
        return self.stores.actor

    def create(self) -> bool:
        """Make the registry if there is none; return whether it was made."""
        from detent.registry.register import create_registry

        return create_registry(self.stores)

    def close(self) -> None:
        """Release this thread's connection."""
        self.stores.metadata.close()

    # Look ---------------------------------------------------------------------------------

    def models(self, *, after: str | None = None, limit: int | None = None) -> list[Model]:
        """Return models by name, those behind the name `after`."""
        return self.stores.metadata.current.list_models(after=after, limit=limit)

    def versions(
        self,
        model: str,
        *,
        search: str | None = None,
        since: datetime | None = None,
        below: int | None = None,
        limit: int | None = None,
    ) -> list[Version]:
        """Return a model's versions, newest first, those with a number below `below`."""
        from detent.registry.read import versions

        return versions(self.stores, model, search=search, since=since, below=below, limit=limit)

    def version(self, reference: str) -> Version:
        """Return the version that a reference names."""
        from detent.registry.read import resolve

        return resolve(self.stores.metadata.current, reference)

    def card(self, reference: str) -> VersionCard:
        """Return all that is known of a version."""
        from detent.registry.describe import describe

        return describe(self.stores, reference)

    def status(
        self,
        *,
        name: str | None = None,
        at: datetime | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> list[AliasStatus]:
        """Return what aliases hold: all, a model's, or one; now, or at a time; behind `after`."""
        from detent.registry.read import status

        return status(self.stores, name, at=at, after=after, limit=limit)

    def alias_names(self, model: str) -> list[str]:
        """Return the names of a model's aliases, also of those that never held a version."""
        return self.stores.metadata.current.alias_names(model)

    def history(
        self, alias: str, *, before: datetime | None = None, limit: int | None = None
    ) -> list[Move]:
        """Return an alias's activations and refused tries, newest first, those before a time."""
        from detent.domain.alias import Activation, Move
        from detent.registry.read import history

        items = history(self.stores, alias, before=before, limit=limit)
        return [
            Move(activation=item) if isinstance(item, Activation) else Move(refusal=item)
            for item in items
        ]

    def evaluations(
        self, name: str, *, below: int | None = None, limit: int | None = None
    ) -> list[Evaluation]:
        """Return evaluations of a model or a version, newest first, those below a number."""
        from detent.registry.read import evaluations

        return evaluations(self.stores, name, below=below, limit=limit)

    def decision(self, id: int) -> Decision:
        """Return a recorded decision."""
        decision = self.stores.metadata.current.find_decision(id)
        if decision is None:
            raise NotFoundError(f"there is no decision {id}")
        return decision

    def events(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        by: str | None = None,
        type: str | None = None,
        below: int | None = None,
        limit: int | None = None,
    ) -> list[Event]:
        """Return the journal's events, newest first, those with a number below `below`."""
        from detent.domain.clock import to_us

        return self.stores.metadata.current.list_events(
            since_us=to_us(since) if since else 0,
            until_us=to_us(until) if until else None,
            actor=by,
            type=type,
            below=below,
            limit=limit,
        )

    def verify_journal(self) -> JournalReport:
        """Check that no event, and no row that the journal tells of, was tampered with."""
        from detent.registry.verify import verify_journal

        return verify_journal(self.stores)

    # Register and judge -------------------------------------------------------------------

    def register_manifest(
        self,
        model: str,
        manifest: Manifest,
        *,
        note: str | None = None,
        duration_s: float | None = None,
        dry_run: bool = False,
    ) -> Registration:
        """Give a manifest, whose blobs are stored, the next number of a model."""
        from detent.domain.report import Registration
        from detent.registry.annotate import check_text
        from detent.registry.register import register_manifest

        version, is_new = register_manifest(
            self.stores,
            model,
            manifest,
            note=check_text(note, "a note") if note is not None else None,
            duration_s=duration_s,
            dry_run=dry_run,
        )
        return Registration(version=version, is_new=is_new)

    def record_evaluation(self, evaluation: Evaluation) -> Evaluation:
        """Keep an evaluation whose outcomes are stored; ``id``, ``at`` and ``by`` are given."""
        from detent.registry.record import record_evaluation

        return record_evaluation(self.stores, evaluation)

    def compare(
        self,
        baseline: str,
        candidate: str,
        *,
        dataset: str | None = None,
        metrics: Sequence[str] = (),
    ) -> Comparison:
        """Compare two versions on the same rows, from their evaluations."""
        from detent.registry.compare import compare

        return compare(self.stores, baseline, candidate, dataset=dataset, metrics=metrics)

    def charts(self, model: str, *, baseline: int, candidate: int) -> list[Chart]:
        """Return the charts of what two evaluations answered; the rows stay where they are."""
        from detent.registry.compare import charts

        return charts(self.stores, model, baseline, candidate)

    def rank(
        self, baseline: str, candidates: Sequence[str], *, dataset: str | None = None
    ) -> Ranking:
        """Compare several candidates with one baseline, and order them."""
        from detent.registry.compare import rank

        return rank(self.stores, baseline, candidates, dataset=dataset)

    def gate(self, alias: str, reference: str) -> Decision:
        """Ask what the gate would say to an activation; nothing is changed or recorded."""
        from detent.registry.decide import gate

        return gate(self.stores, reference, _alias_for(alias, reference))

    def policy(self, alias: str) -> Policy | None:
        """Return what an alias demands; None when it demands nothing."""
        from detent.registry.read import alias_reference

        reference = alias_reference(alias)
        assert reference.alias is not None
        return self.stores.metadata.current.find_policy(reference.model, reference.alias)

    def set_policy(self, alias: str, policy: Mapping[str, Any], *, dry_run: bool = False) -> Policy:
        """Set what an alias demands of each activation from now on."""
        from detent.registry.annotate import set_policy

        return set_policy(self.stores, alias, policy, dry_run=dry_run)

    def try_policy(self, alias: str, policy: Mapping[str, Any], *, limit: int = 20) -> list[Trial]:
        """Return what a policy would have said to past changes of an alias, newest first."""
        from detent.registry.annotate import read_policy
        from detent.registry.decide import try_policy
        from detent.registry.read import alias_reference

        reference = alias_reference(alias)
        assert reference.alias is not None
        tried = read_policy(
            reference.model, reference.alias, policy, id=0, at=self.clock(), by=self.user
        )
        return list(try_policy(self.stores, str(reference), tried, limit=limit))

    def approve(
        self, alias: str, reference: str, *, reason: str | None = None, dry_run: bool = False
    ) -> Approval:
        """Record that one is for activating a version on an alias."""
        from detent.registry.annotate import approve

        return approve(
            self.stores,
            reference,
            _alias_for(alias, reference),
            reason=_text(reason),
            dry_run=dry_run,
        )

    # Roll out -----------------------------------------------------------------------------

    def rollouts(
        self,
        *,
        name: str | None = None,
        running: bool = False,
        below: int | None = None,
        limit: int | None = None,
    ) -> list[Rollout]:
        """Return rollouts, newest first: all, those of a model or an alias, those that go on.

        Those with a number below `below`.
        """
        from detent.domain.reference import parse_reference

        reference = None if name is None else parse_reference(name)
        return self.stores.metadata.current.list_rollouts(
            reference.model if reference else None,
            reference.alias if reference else None,
            running=running,
            below=below,
            limit=limit,
        )

    def rollout(self, *, name: str) -> Rollout:
        """Return a rollout by its number, or the newest one of an alias."""
        from detent.registry.rollout import get_rollout

        return get_rollout(self.stores, name)

    def start_rollout(
        self,
        alias: str,
        reference: str,
        *,
        plan: Plan | None = None,
        expected: int | None = None,
        dry_run: bool = False,
    ) -> Rollout:
        """Begin to roll a version out into an alias."""
        from detent.domain.rollout import Plan
        from detent.rollout.plan import check_plan
        from detent.rollout.steer import start

        plan = check_plan(plan or Plan())
        name = _alias_for(alias, reference)
        return start(self.stores, reference, name, plan, expected=expected, dry_run=dry_run)

    def rollout_course(self, *, name: str) -> list[Reading]:
        """Return how what a rollout watches has come about, each signal from its first outcome."""
        from detent.rollout.course import get_course

        return get_course(self.stores, name)

    def advance_rollout(self, alias: str, *, expected: int | None = None) -> Rollout:
        """Go on to the next phase or step now."""
        from detent.rollout.steer import advance

        return advance(self.stores, alias, expected=expected)

    def pause_rollout(
        self, alias: str, *, reason: str | None = None, expected: int | None = None
    ) -> Rollout:
        """Keep a rollout where it is until it is resumed."""
        from detent.rollout.steer import pause

        return pause(self.stores, alias, _text(reason), expected=expected)

    def resume_rollout(self, alias: str, *, expected: int | None = None) -> Rollout:
        """Go on with a paused rollout."""
        from detent.rollout.steer import resume

        return resume(self.stores, alias, expected=expected)

    def stop_rollout(
        self, alias: str, *, reason: str | None = None, expected: int | None = None
    ) -> StoppedRollout:
        """End a rollout; the version before answers every request again."""
        from detent.domain.rollout import StoppedRollout
        from detent.rollout.steer import stop

        rollout, entry = stop(self.stores, alias, _text(reason), expected=expected)
        return StoppedRollout(rollout=rollout, entry=entry)

    def drive_rollout(self, name: str) -> Rollout:
        """Count, decide and act once, unless another process does."""
        from detent.registry.rollout import get_rollout
        from detent.rollout.driver import Driver

        rollout = get_rollout(self.stores, name)
        if self._driver is None:
            self._driver = Driver(self.stores)
        if not rollout.has_ended:
            self._driver.try_drive(rollout)
        return get_rollout(self.stores, str(rollout.id))

    def labels_wanted(self, alias: str, *, most: int = 100) -> list[LabelWanted]:
        """Return rows that the two versions of a rollout answer differently, without a label."""
        from detent.rollout.steer import labels_wanted

        return labels_wanted(self.stores, alias, limit=most)

    def feedback(self, model: str, labels: Sequence[Mapping[str, Any]]) -> Joined:
        """Join true answers to what was predicted."""
        from detent.rollout.machines import accept_labels

        _ = self.stores.metadata.current  # where there is no registry, none is begun by a label
        return accept_labels(self.stores, labels, model=model)

    # Change -------------------------------------------------------------------------------

    def activate(
        self,
        alias: str,
        reference: str,
        *,
        reason: str | None = None,
        override: str | None = None,
        expected: int | None = None,
        dry_run: bool = False,
    ) -> Activation:
        """Make a version the active one of an alias, if the gate lets it pass."""
        from detent.registry.activate import activate

        return activate(
            self.stores,
            reference,
            _alias_for(alias, reference),
            reason=_text(reason),
            override=override,
            expected=expected,
            dry_run=dry_run,
        )

    def deactivate(
        self,
        alias: str,
        *,
        reason: str | None = None,
        expected: int | None = None,
        dry_run: bool = False,
    ) -> Activation:
        """Leave an alias without an active version."""
        from detent.registry.activate import deactivate

        return deactivate(
            self.stores, alias, reason=_text(reason), expected=expected, dry_run=dry_run
        )

    def confirm(self, entry: Activation, *, wait_s: float = 5.0) -> Confirmation:
        """Wait until every live server has followed a change of its alias, and say which did.

        Apart from the change itself: what is repeated under one key, or made in one transaction,
        must not wait for servers that can only see it afterwards.
        """
        from detent.runtime.fence import confirm

        return confirm(self.stores.metadata, entry, wait_s=wait_s)

    def servers(self, *, name: str | None = None) -> list[Server]:
        """Return the processes that follow aliases: all of them, a model's, or an alias's."""
        from detent.runtime.fence import list_servers

        return list_servers(self.stores.metadata, name)

    def rollback(
        self,
        alias: str,
        *,
        to: int | None = None,
        reason: str | None = None,
        hold: bool = False,
        expected: int | None = None,
        dry_run: bool = False,
    ) -> Activation:
        """Put back the version that an alias held before."""
        from detent.registry.activate import rollback
        from detent.runtime.fence import announced

        with nullcontext() if dry_run else announced(self.stores.metadata, alias):
            return rollback(
                self.stores,
                alias,
                to=to,
                reason=_text(reason),
                hold=hold,
                expected=expected,
                dry_run=dry_run,
            )

    def hold(self, alias: str, *, reason: str | None = None, dry_run: bool = False) -> Hold:
        """Stop further activations of an alias until it is released."""
        from detent.registry.hold import hold

        return hold(self.stores, alias, reason=_text(reason), dry_run=dry_run)

    def release(self, alias: str, *, reason: str | None = None, dry_run: bool = False) -> Hold:
        """End a hold, and return what it was."""
        from detent.registry.hold import release

        return release(self.stores, alias, reason=_text(reason), dry_run=dry_run)

    def withdraw(self, reference: str, *, reason: str, dry_run: bool = False) -> Version:
        """Mark a version as never to be activated again."""
        from detent.registry.annotate import withdraw

        return withdraw(self.stores, reference, reason=reason, dry_run=dry_run)

    def delete(
        self, reference: str, *, reason: str | None = None, dry_run: bool = False
    ) -> Version:
        """Delete a version; its number is not given again."""
        from detent.registry.annotate import delete

        return delete(self.stores, reference, reason=_text(reason), dry_run=dry_run)

    def note(self, name: str, text: str, *, dry_run: bool = False) -> None:
        """Set the note of a version, or say afterwards why an alias was changed."""
        from detent.registry.annotate import note

        note(self.stores, name, text, dry_run=dry_run)

    # Keep ---------------------------------------------------------------------------------

    def verify(
        self, *, reference: str | None = None, progress: Progress | None = None
    ) -> VerifyReport:
        """Re-hash all stored bytes, or those of one version."""
        from detent.registry.verify import verify_blobs

        return verify_blobs(self.stores, reference, progress=progress)

    def record_repair(self, digests: Sequence[str]) -> None:
        """Write into the journal which blobs were restored."""
        from detent.registry.record import record_repair

        record_repair(self.stores, digests)

    def links(self, *, after: int = 0, limit: int | None = None) -> list[Link]:
        """Return the journal's events as the chain sees them, oldest first, those behind `after`.

        With the bytes they are all that a copy needs: the rows are what they tell.
        """
        from detent.registry.copy import links

        return links(self.stores, after=after, limit=limit)

    def needed_blobs(self) -> list[NeededBlob]:
        """Return every blob that the registry reaches, once, with its size."""
        from detent.registry.copy import needs

        return needs(self.stores)

    def stored_blobs(self, digests: Sequence[str]) -> dict[str, int]:
        """Return the sizes in bytes of those of some blobs that are stored."""
        from detent.registry.copy import stored

        try:
            return stored(self.stores, digests)
        except NotFoundError:
            return {}

    def receive(self, journal: str) -> JournalReport:
        """Write events of another registry, which a blob holds, and all rows as they tell."""
        from detent.registry.copy import receive

        return receive(self.stores, journal)

    def prune(self, *, grace_s: float = 3600.0, dry_run: bool = False) -> PruneReport:
        """Remove bytes that no version and no evaluation reaches."""
        from detent.registry.prune import prune

        return prune(self.stores, grace_s=grace_s, dry_run=dry_run)

    # Who ----------------------------------------------------------------------------------

    def create_token(self, name: str, *, role: str, models: Sequence[str] = ()) -> NewToken:
        """Make a token for a server; its secret is in the answer and nowhere else."""
        from detent.registry.tokens import create_token

        return create_token(self.stores, name, role=role, models=models)

    def tokens(self) -> list[Token]:
        """Return all tokens, also those that were revoked, the oldest first."""
        return self.stores.metadata.current.list_tokens()

    def revoke_token(self, id: int) -> Token:
        """Accept a token no more."""
        from detent.registry.tokens import revoke_token

        return revoke_token(self.stores, id)

    # Tell ---------------------------------------------------------------------------------

    def create_webhook(
        self, url: str, *, types: Sequence[str] = (), models: Sequence[str] = ()
    ) -> NewWebhook:
        """Tell an address of the events to come; its secret is in the answer, shown once."""
        from detent.webhooks.manage import create_webhook

        return create_webhook(self.stores, url, types=types, models=models)

    def webhooks(self) -> list[Webhook]:
        """Return the webhooks, the oldest first."""
        return self.stores.metadata.current.list_webhooks()

    def delete_webhook(self, id: int) -> Webhook:
        """Tell an address nothing more."""
        from detent.webhooks.manage import delete_webhook

        return delete_webhook(self.stores, id)

    def test_webhook(self, id: int) -> Delivery:
        """Tell a webhook of nothing, once and at once, and return how it went."""
        from detent.webhooks.deliver import test_webhook

        return test_webhook(self.stores, id)

    def deliveries(
        self, id: int, *, below: int | None = None, limit: int | None = None
    ) -> list[Delivery]:
        """Return how the tries to tell a webhook went, newest first."""
        from detent.webhooks.manage import deliveries

        return deliveries(self.stores, id, below=below, limit=limit)


def _alias_for(alias: str, reference: str) -> str:
    """Return the bare name of an alias, which has to be of the model that is activated."""
    from detent.domain.reference import parse_reference
    from detent.registry.read import alias_reference

    named = alias_reference(alias)
    if named.model != parse_reference(reference).model or named.alias is None:
        raise InvalidError(
            f"`{alias}` is not an alias of `{parse_reference(reference).model}`; nothing was"
            " changed",
            hint=f"name it without its model: `{named.alias or 'production'}`",
        )
    return named.alias


def _text(reason: str | None) -> str | None:
    if reason is None or not reason.strip():
        return None
    from detent.registry.annotate import check_text

    return check_text(reason, "a reason")
