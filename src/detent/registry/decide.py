"""What the gate says to an activation, and what it has to be told to say it.

The rows of many evaluations may have to be compared, which takes longer than a transaction should.
So the answer is prepared on a snapshot, with a mark of all that it depends on; in the transaction
of the activation the mark is taken again, and only where something moved is it judged anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from detent.domain.alias import Activation, ActivationKind, Hold
from detent.domain.reference import Reference, check_alias_name, parse_reference
from detent.domain.version import Version
from detent.registry.kept import Kept
from detent.registry.read import resolve
from detent.registry.stores import Change, Stores

if TYPE_CHECKING:
    from datetime import datetime

    from detent.domain.evidence import Decision, Evaluation, Outcome, Policy, RuleResult, Trial
    from detent.metadata.tables import Tables
    from detent.policy.rules import Evidence

_PREPARED: Kept[Prepared] = Kept(64)
_CLAIMS = ("not_worse", "better")  # rules whose evidence names a verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An answer, and the mark of what it was made from."""

    mark: tuple[Any, ...]
    outcome: Outcome
    results: tuple[RuleResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that an answer depends on, cheap to read."""

    candidate: Version
    alias: str
    policy: Policy | None
    current: Activation | None
    rolled_back: Activation | None
    hold: Hold | None
    approvers: tuple[str, ...]
    newest_evaluation: int

    def mark(self) -> tuple[Any, ...]:
        """Return what is another value when any of it changed."""
        return (
            self.candidate.digest,
            self.candidate.withdrawn,
            self.policy.id if self.policy else None,
            self.current.entry if self.current else 0,
            self.rolled_back.entry if self.rolled_back else None,
            self.hold,
            self.approvers,
            self.newest_evaluation,
        )


def prepare(stores: Stores, reference: str | Reference | Version, alias: str) -> Prepared | None:
    """Judge on a snapshot; None where no rule needs it, or the version is active already.

    Raises
    ------
    NotFoundError
        If the version does not exist, and a rule needs it.
    """
    if isinstance(reference, str):
        reference = parse_reference(reference)
    if not stores.metadata.current.has_policy(reference.model, alias):
        return None
    with stores.metadata.read() as tables:
        version = resolve(tables, reference)
        current = tables.newest_activation(version.model, alias)
        if current is not None and current.version == version.number:
            return None
        policy = tables.find_policy(version.model, alias)
        facts = read_facts(tables, version, alias, current, policy)
        evidence = _evidence(stores, tables, facts)
        return _judge(facts, evidence)


def decide(
    stores: Stores,
    step: Change,
    version: Version,
    alias: str,
    current: Activation | None,
    policy: Policy | None,
    prepared: Prepared | None,
    *,
    override: str | None = None,
) -> Decision | None:
    """Return the gate's answer in a transaction; None when nothing was demanded or objected."""
    tables = step.tables
    facts = read_facts(tables, version, alias, current, policy)
    if not (version.withdrawn or facts.rolled_back or facts.hold or facts.policy or override):
        return None
    if prepared is None or prepared.mark != facts.mark():
        prepared = _judge(facts, _evidence(stores, tables, facts))
    return _decision(
        facts,
        prepared,
        id=tables.next_decision(),
        at=step.at,
        by=step.actor,
        override=override,
    )


def gate(stores: Stores, reference: str | Reference | Version, alias: str) -> Decision:
    """Ask the gate what it would say to an activation; nothing is changed or recorded.

    Raises
    ------
    NotFoundError
        If the version does not exist.
    """
    check_alias_name(alias)
    with stores.metadata.read() as tables:
        version = resolve(tables, reference)
        current = tables.newest_activation(version.model, alias)
        policy = tables.find_policy(version.model, alias)
        facts = read_facts(tables, version, alias, current, policy)
        # The newest event's digest names all that this registry holds: see `docs/design/format.md`.
        _, head = tables.journal_head()
        prepared = _PREPARED.get(
            (head, version.name, alias, stores.actor),
            lambda: _judge(facts, _evidence(stores, tables, facts)),
        )
    return _decision(facts, prepared, id=None, at=stores.clock(), by=stores.actor)


def read_facts(
    tables: Tables, version: Version, alias: str, current: Activation | None, policy: Policy | None
) -> Facts:
    """Read what an answer depends on, beside the policy that the alias has now."""
    approvers: tuple[str, ...] = ()
    newest = 0
    if policy is not None:
        approvals = tables.list_approvals(version.model, alias, version.number)
        approvers = tuple(sorted({approval.by for approval in approvals}))
        newest = tables.newest_evaluation(version.model)
    return Facts(
        candidate=version,
        alias=alias,
        policy=policy,
        current=current,
        rolled_back=tables.find_rollback_from(version.model, alias, version.number),
        hold=tables.find_hold(version.model, alias),
        approvers=approvers,
        newest_evaluation=newest,
    )


def try_policy(stores: Stores, name: str, policy: Policy, *, limit: int) -> tuple[Trial, ...]:
    """Return what a policy would have said to the newest changes of an alias, newest first."""
    from detent.domain.alias import Refusal
    from detent.domain.evidence import Trial
    from detent.policy.gate import judge
    from detent.registry.read import history

    found: list[Trial] = []
    for item in history(stores, name):
        if isinstance(item, Activation) and item.kind is not ActivationKind.ACTIVATE:
            continue
        if item.version is None or len(found) == limit:
            continue
        with stores.metadata.read() as tables:
            version = tables.find_version(item.model, item.version)
            if version is None:
                continue
            before = _held_before(tables, item)
            facts = read_facts(tables, version, item.alias, before, policy)
            evidence = _evidence(stores, tables, facts, until=item.at)
            outcome, results = judge(policy, _without_present(evidence, item.by))
        found.append(
            Trial(
                version=version.number,
                baseline=evidence.baseline.number if evidence.baseline else None,
                at=item.at,
                by=item.by,
                activated=not isinstance(item, Refusal),
                outcome=outcome,
                results=results,
            )
        )
    return tuple(found)


def _held_before(tables: Tables, item: Any) -> Activation | None:
    from detent.domain.clock import to_us

    return tables.activation_at(item.model, item.alias, to_us(item.at) - 1)


def _without_present(evidence: Evidence, actor: str) -> Evidence:
    """Leave out what is so now: that the alias is on hold, or was rolled back since."""
    from dataclasses import replace

    return replace(evidence, hold=None, rolled_back=None, actor=actor)


def _judge(facts: Facts, evidence: Evidence) -> Prepared:
    from detent.policy.gate import judge

    outcome, results = judge(facts.policy, evidence)
    return Prepared(mark=facts.mark(), outcome=outcome, results=results)


def _evidence(
    stores: Stores, tables: Tables, facts: Facts, *, until: datetime | None = None
) -> Evidence:
    from detent.policy.rules import Evidence
    from detent.registry.compare import OutcomesReader, use_of

    policy, candidate, baseline = facts.policy, facts.candidate, None
    if facts.current is not None and facts.current.version is not None:
        baseline = tables.find_version(candidate.model, facts.current.version)
    if policy is None or not policy.rules:
        return Evidence(
            candidate=candidate,
            baseline=baseline,
            alias=facts.alias,
            rolled_back=facts.rolled_back,
            hold=facts.hold,
            approvers=facts.approvers,
            actor=stores.actor,
        )

    def evaluations(version: Version | None) -> tuple[Evaluation, ...]:
        if version is None:
            return ()
        found = tables.list_evaluations(version.model, version.number)
        return tuple(one for one in found if until is None or one.at <= until)

    def count_uses(ours: Evaluation, is_named: bool) -> int:
        return use_of(tables, ours, baseline or candidate, is_named=is_named)

    anchor = _anchor(tables, facts.current)
    return Evidence(
        candidate=candidate,
        baseline=baseline,
        alias=facts.alias,
        candidate_evaluations=evaluations(candidate),
        baseline_evaluations=evaluations(baseline),
        anchor=anchor,
        anchor_evaluations=evaluations(anchor),
        rolled_back=facts.rolled_back,
        hold=facts.hold,
        approvers=facts.approvers,
        actor=stores.actor,
        read=OutcomesReader(stores),
        count_uses=count_uses,
    )


def _anchor(tables: Tables, current: Activation | None) -> Version | None:
    """Return the version last shown to be better, or chosen by a person, that lies in the stack."""
    if current is None:
        return None
    for entry in [current, *tables.activations_beneath(current)]:
        if entry.version is None:
            continue
        chosen = _choice(tables, entry)
        if chosen is None or chosen.override or chosen.decision is None:
            return tables.find_version(current.model, entry.version)
        decision = tables.find_decision(chosen.decision)
        if decision is None or _is_shown_better(decision):
            return tables.find_version(current.model, entry.version)
    return None


def _choice(tables: Tables, entry: Activation) -> Activation | None:
    """Return the entry by which the version of a rollback had come to be held."""
    if entry.kind is not ActivationKind.ROLLBACK:
        return entry
    for other in tables.list_activations(entry.model, entry.alias):
        if other.entry >= entry.entry or other.version != entry.version:
            continue
        if other.kind is ActivationKind.ACTIVATE:
            return other
    return None


def _is_shown_better(decision: Decision) -> bool:
    claims = [result for result in decision.results if result.rule in _CLAIMS]
    if not claims:
        return True  # no rule allowed a loss
    return any(
        result.evidence.get("verdict") == "better" or result.rule == "better" for result in claims
    )


def _decision(
    facts: Facts,
    prepared: Prepared,
    *,
    id: int | None,
    at: datetime,
    by: str,
    override: str | None = None,
) -> Decision:
    from detent.domain.evidence import Decision

    return Decision(
        id=id,
        model=facts.candidate.model,
        alias=facts.alias,
        candidate=facts.candidate.number,
        baseline=facts.current.version if facts.current else None,
        outcome=prepared.outcome,
        results=prepared.results,
        policy_digest=facts.policy.digest if facts.policy else None,
        at=at,
        by=by,
        override=override,
    )
