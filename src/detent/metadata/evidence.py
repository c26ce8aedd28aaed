"""The tables of evaluations, policies and decisions.

The values of ``domain.evidence`` are imported when they are needed, not before: ``status`` and
``rollback`` do without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from detent.domain.alias import Refusal
from detent.domain.clock import from_us
from detent.metadata.statements import END_OF_TIME, Statements, converter

if TYPE_CHECKING:
    from detent.domain.evidence import Approval, Decision, Evaluation, Measured, Policy

_EVALUATION = """id, model, version, dataset, dataset_digest, n_rows, metrics_json, outcomes,
    inputs, one_row_s, computed_on, created_at, created_by"""
_DECISION = """id, model, alias, candidate, baseline, outcome, results_json, policy_digest,
    override, created_at, created_by"""


class EvidenceTables(Statements):
    """What versions were measured to do, what aliases demand, and what was decided."""

    def next_evaluation(self) -> int:
        """Return the number that the next evaluation will have."""
        return self._next("evaluation", "id")

    def insert_evaluation(self, evaluation: Evaluation, *, at_us: int) -> None:
        """Add an evaluation."""
        self._all(
            f"""INSERT INTO evaluation ({_EVALUATION})
            VALUES (:id, :model, :version, :dataset, :dataset_digest, :n_rows, :metrics,
                :outcomes, :inputs, :one_row_s, :computed_on, :at, :by)""",
            id=evaluation.id,
            model=evaluation.model,
            version=evaluation.version,
            dataset=evaluation.dataset,
            dataset_digest=evaluation.dataset_digest,
            n_rows=evaluation.n_rows,
            metrics=_to_json([_metric_row(metric) for metric in evaluation.metrics]),
            outcomes=evaluation.outcomes,
            inputs=evaluation.inputs,
            one_row_s=evaluation.one_row_s,
            computed_on=evaluation.computed_on,
            at=at_us,
            by=evaluation.by,
        )

    def list_evaluations(
        self,
        model: str,
        version: int | None = None,
        *,
        dataset: str | None = None,
        below: int | None = None,
        limit: int | None = None,
    ) -> list[Evaluation]:
        """Return evaluations, newest first: of a model, a version, a dataset's name.

        Those with a number below `below`.
        """
        conditions = ["model = :model", "id < :below"]
        parameters: dict[str, Any] = {"model": model}
        parameters["below"] = END_OF_TIME if below is None else below
        if limit is not None:
            parameters["limit"] = limit
        if version is not None:
            conditions.append("version = :version")
            parameters["version"] = version
        if dataset is not None:
            conditions.append("dataset = :dataset")
            parameters["dataset"] = dataset
        rows = self._all(
            f"""SELECT {_EVALUATION} FROM evaluation WHERE {" AND ".join(conditions)}
            ORDER BY id DESC {"LIMIT :limit" if limit is not None else ""}""",
            **parameters,
        )
        return [_to_evaluation(row) for row in rows]

    def list_last_measured(self, models: Sequence[str], *, each: int) -> list[Measured]:
        """Return what the newest evaluations of many models measured, newest first: so many each.

        Of each the metric that the newest of its model names first. Those without it are left out.
        """
        from detent.metadata.measured import to_measured

        names = {f"model{i}": model for i, model in enumerate(models)}
        if not names:
            return []
        rows = self._all(
            f"""SELECT e.model, e.version, e.dataset, e.dataset_digest, e.metrics_json
            FROM model m JOIN evaluation e ON e.model = m.name
            WHERE m.name IN ({", ".join(f":{name}" for name in names)}) AND e.id IN (
                SELECT f.id FROM evaluation f WHERE f.model = m.name
                ORDER BY f.id DESC LIMIT :each)
            ORDER BY e.id DESC""",
            each=each,
            **names,
        )
        return to_measured(rows)

    def find_evaluation(self, id: int) -> Evaluation | None:
        """Return the evaluation of that number."""
        row = self._one(f"SELECT {_EVALUATION} FROM evaluation WHERE id = :id", id=id)
        return _to_evaluation(row) if row else None

    def count_uses_before(
        self, model: str, version: int, *, baseline: int, dataset_digest: str, dataset: str | None
    ) -> int:
        """Return how often a version's rows were looked at before it was evaluated on them.

        Other versions on the same rows, the baseline left out, and other rows of this version,
        those of one name where a dataset is named.
        """
        first = """(SELECT MIN(f.id) FROM evaluation f WHERE f.model = :model
            AND f.version = :version AND f.dataset_digest = :digest)"""
        same = {"model": model, "version": version, "digest": dataset_digest}
        others = self._number(
            f"""SELECT COUNT(DISTINCT version) FROM evaluation WHERE model = :model
            AND dataset_digest = :digest AND version <> :version AND version <> :baseline
            AND id < {first}""",
            **same,
            baseline=baseline,
        )
        condition = "" if dataset is None else "AND dataset = :dataset"
        looks = self._number(
            f"""SELECT COUNT(DISTINCT dataset_digest) FROM evaluation WHERE model = :model
            AND version = :version AND dataset_digest <> :digest {condition} AND id < {first}""",
            **same,
            **({} if dataset is None else {"dataset": dataset}),
        )
        return (others or 0) + (looks or 0)

    def evaluation_digests(self) -> list[str]:
        """Return the digests of the blobs of every evaluation whose version is there."""
        rows = self._all(
            """SELECT DISTINCT e.outcomes, e.inputs FROM evaluation e JOIN version v
            ON v.model = e.model AND v.number = e.version WHERE v.deleted_at IS NULL"""
        )
        return list(dict.fromkeys(digest for row in rows for digest in row if digest is not None))

    def find_policy(self, model: str, alias: str) -> Policy | None:
        """Return the policy that an alias has now; None when it has none or an empty one."""
        row = self._one(
            """SELECT id, model, alias, rules_json, reason_required, approvals, digest, created_at,
                created_by FROM policy WHERE model = :model AND alias = :alias
            ORDER BY id DESC LIMIT 1""",
            model=model,
            alias=alias,
        )
        policy = _to_policy(row) if row else None
        return policy if policy and not policy.is_empty else None

    def has_policy(self, model: str, alias: str) -> bool:
        """Say whether a policy was ever set: the quick question of an unprotected alias."""
        return bool(
            self._all(
                "SELECT 1 FROM policy WHERE model = :model AND alias = :alias LIMIT 1",
                model=model,
                alias=alias,
            )
        )

    def next_policy(self) -> int:
        """Return the number that the next policy will have."""
        return self._next("policy", "id")

    def insert_policy(self, policy: Policy, *, at_us: int) -> None:
        """Add a policy, which holds for its alias from then on."""
        rules = [{"name": rule.name, "parameters": rule.parameters} for rule in policy.rules]
        self._all(
            """INSERT INTO policy (id, model, alias, rules_json, reason_required, approvals,
                digest, created_at, created_by)
            VALUES (:id, :model, :alias, :rules, :reason_required, :approvals, :digest, :at,
                :by)""",
            id=policy.id,
            model=policy.model,
            alias=policy.alias,
            rules=_to_json(rules),
            reason_required=int(policy.reason_required),
            approvals=policy.approvals,
            digest=policy.digest,
            at=at_us,
            by=policy.by,
        )

    def insert_approval(self, approval: Approval, *, at_us: int) -> int:
        """Add an approval and return its number."""
        id = self._next("approval", "id")
        self._all(
            """INSERT INTO approval (id, model, alias, version, created_at, created_by, reason)
            VALUES (:id, :model, :alias, :version, :at, :by, :reason)""",
            id=id,
            model=approval.model,
            alias=approval.alias,
            version=approval.version,
            at=at_us,
            by=approval.by,
            reason=approval.reason,
        )
        return id

    def list_approvals(self, model: str, alias: str, version: int) -> list[Approval]:
        """Return who approved of activating a version on an alias, oldest first."""
        rows = self._all(
            """SELECT model, alias, version, created_at, created_by, reason FROM approval
            WHERE model = :model AND alias = :alias AND version = :version ORDER BY id""",
            model=model,
            alias=alias,
            version=version,
        )
        return [_to_approval(row) for row in rows]

    def newest_evaluation(self, model: str) -> int:
        """Return the number of a model's newest evaluation; 0 when it has none."""
        return self._number("SELECT MAX(id) FROM evaluation WHERE model = :model", model=model) or 0

    def next_decision(self) -> int:
        """Return the number that the next decision will have."""
        return self._next("decision", "id")

    def insert_decision(self, decision: Decision, *, at_us: int, is_refusal: bool) -> None:
        """Add a decision; `is_refusal` says that nothing was activated because of it."""
        results = [
            {
                "rule": result.rule,
                "outcome": str(result.outcome),
                "text": result.text,
                "evidence": result.evidence,
            }
            for result in decision.results
        ]
        self._all(
            """INSERT INTO decision (id, model, alias, candidate, baseline, outcome, is_refusal,
                results_json, policy_digest, override, created_at, created_by)
            VALUES (:id, :model, :alias, :candidate, :baseline, :outcome, :is_refusal, :results,
                :policy, :override, :at, :by)""",
            id=decision.id,
            model=decision.model,
            alias=decision.alias,
            candidate=decision.candidate,
            baseline=decision.baseline,
            outcome=str(decision.outcome),
            is_refusal=int(is_refusal),
            results=_to_json(results),
            policy=decision.policy_digest,
            override=decision.override,
            at=at_us,
            by=decision.by,
        )

    def find_decision(self, id: int) -> Decision | None:
        """Return a decision by its number."""
        row = self._one(f"SELECT {_DECISION} FROM decision WHERE id = :id", id=id)
        return _to_decision(row) if row else None

    def list_decisions_of_version(self, model: str, number: int) -> list[Decision]:
        """Return the decisions about a version, newest first."""
        rows = self._all(
            f"""SELECT {_DECISION} FROM decision WHERE model = :model AND candidate = :number
            ORDER BY id DESC""",
            model=model,
            number=number,
        )
        return [_to_decision(row) for row in rows]

    def list_refusals(
        self, model: str, alias: str, *, before_us: int | None = None, limit: int | None = None
    ) -> list[Refusal]:
        """Return the refused tries of an alias, newest first: those before a time."""
        rows = self._all(
            f"""SELECT model, alias, candidate, created_at, created_by, id, outcome, results_json
            FROM decision WHERE model = :model AND alias = :alias AND is_refusal = 1
            AND created_at < :before
            ORDER BY id DESC {"LIMIT :limit" if limit is not None else ""}""",
            model=model,
            alias=alias,
            before=END_OF_TIME if before_us is None else before_us,
            **({"limit": limit} if limit is not None else {}),
        )
        return [_to_refusal(row) for row in rows]


def _from_json(text: str) -> Any:
    import json

    return json.loads(text)


def _to_json(value: Any) -> str:
    from detent.domain.digest import canonical_json

    return canonical_json(value).decode()


def _metric_row(metric: Any) -> dict[str, Any]:
    names = ("name", "value", "n", "greater_is_better", "low", "high", "confidence")
    return {name: getattr(metric, name) for name in names}


@converter
def _to_evaluation(row: tuple[Any, ...]) -> Evaluation:
    from detent.domain.evidence import Evaluation, Metric

    return Evaluation(
        id=row[0],
        model=row[1],
        version=row[2],
        dataset=row[3],
        dataset_digest=row[4],
        n_rows=row[5],
        metrics=tuple(Metric(**metric) for metric in _from_json(row[6])),
        outcomes=row[7],
        inputs=row[8],
        one_row_s=row[9],
        computed_on=row[10],
        at=from_us(row[11]),
        by=row[12],
    )


@converter
def _to_policy(row: tuple[Any, ...]) -> Policy:
    from detent.domain.evidence import Policy, Rule

    rules = _from_json(row[3])
    return Policy(
        id=row[0],
        model=row[1],
        alias=row[2],
        rules=tuple(Rule(name=rule["name"], parameters=rule["parameters"]) for rule in rules),
        reason_required=bool(row[4]),
        approvals=row[5],
        digest=row[6],
        at=from_us(row[7]),
        by=row[8],
    )


@converter
def _to_approval(row: tuple[Any, ...]) -> Approval:
    from detent.domain.evidence import Approval

    return Approval(
        model=row[0],
        alias=row[1],
        version=row[2],
        at=from_us(row[3]),
        by=row[4],
        reason=row[5],
    )


@converter
def _to_refusal(row: tuple[Any, ...]) -> Refusal:
    return Refusal(
        model=row[0],
        alias=row[1],
        version=row[2],
        at=from_us(row[3]),
        by=row[4],
        decision=row[5],
        outcome=row[6],
        why="; ".join(r["text"] for r in _from_json(row[7]) if r["outcome"] != "pass"),
    )


@converter
def _to_decision(row: tuple[Any, ...]) -> Decision:
    from detent.domain.evidence import Decision, Outcome, RuleResult

    results = tuple(
        RuleResult(
            rule=result["rule"],
            outcome=Outcome(result["outcome"]),
            text=result["text"],
            evidence=result["evidence"],
        )
        for result in _from_json(row[6])
    )
    return Decision(
        id=row[0],
        model=row[1],
        alias=row[2],
        candidate=row[3],
        baseline=row[4],
        outcome=Outcome(row[5]),
        results=results,
        policy_digest=row[7],
        override=row[8],
        at=from_us(row[9]),
        by=row[10],
    )
