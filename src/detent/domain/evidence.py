"""Evidence: datasets, evaluations, comparisons, and the decisions made from them."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """The answer of a rule, and of a gate."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number about a version on a dataset.

    ``low`` and ``high`` bound it with the given ``confidence``; None where no interval was
    computed. ``greater_is_better`` is None where no direction is declared.
    """

    name: str
    value: float
    n: int
    greater_is_better: bool | None = None
    low: float | None = None
    high: float | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Metrics of one version on one dataset, and the blob of what it answered row by row.

    ``dataset`` is the name given; ``dataset_digest`` is over the rows and their true values, so two
    evaluations with equal digests are of the same rows. ``one_row_s`` is the median time of
    predicting one row, in seconds, on the machine that evaluated.
    """

    id: int
    model: str
    version: int
    dataset: str
    dataset_digest: str
    n_rows: int
    metrics: tuple[Metric, ...]
    outcomes: str
    one_row_s: float | None
    at: datetime
    by: str

    def __getitem__(self, name: str) -> Metric:
        """Return the metric of that name; KeyError when it was not computed."""
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise KeyError(name)

    def __repr__(self) -> str:
        """Return one line."""
        shown = ", ".join(f"{m.name} {m.value:.3g}" for m in self.metrics[:3])
        name = f"{self.model}/{self.version}"
        return f"<Evaluation {self.id} {name} on {self.dataset} ({self.n_rows} rows): {shown}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Candidate minus baseline of one metric, on the same rows.

    ``low``, ``high`` and ``method`` are None until a paired method has been applied: a
    difference without an interval says nothing about other rows.
    """

    metric: str
    baseline: float
    candidate: float
    n: int
    greater_is_better: bool | None = None
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    method: str | None = None

    @property
    def value(self) -> float:
        """Candidate minus baseline, in the unit of the metric."""
        return self.candidate - self.baseline

    def __repr__(self) -> str:
        """Return one line."""
        interval = "" if self.low is None else f", low={self.low:+.4f}, high={self.high:+.4f}"
        return f"Difference({self.value:+.4f}{interval})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two versions on the same rows. ``n_changed`` counts rows that they answer differently.

    ``newly_wrong`` and ``newly_right`` count rows where only one of them is right; None where
    right and wrong have no meaning (regression).
    """

    model: str
    baseline: int
    candidate: int
    dataset: str
    dataset_digest: str
    n_rows: int
    differences: tuple[Difference, ...]
    n_changed: int
    newly_wrong: int | None
    newly_right: int | None
    baseline_size_bytes: int
    candidate_size_bytes: int
    baseline_one_row_s: float | None
    candidate_one_row_s: float | None
    evaluations: tuple[int, int]

    def __getitem__(self, metric: str) -> Difference:
        """Return the difference of that metric; KeyError when either evaluation lacks it."""
        for difference in self.differences:
            if difference.metric == metric:
                return difference
        raise KeyError(metric)

    def __repr__(self) -> str:
        """Return one line."""
        return (
            f"<Comparison {self.model}/{self.baseline} and /{self.candidate} on {self.dataset}"
            f" ({self.n_rows} rows, {self.n_changed} answered differently)>"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One demand of a policy: the name of the rule, and its parameters."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What an alias demands of each activation, from ``at`` on until the next policy."""

    id: int
    model: str
    alias: str
    rules: tuple[Rule, ...]
    digest: str
    at: datetime
    by: str
    reason_required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """The answer of one rule, in a sentence, with the evidence it used (JSON types)."""

    rule: str
    outcome: Outcome
    text: str
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The recorded answer of a gate, with each rule's answer and evidence.

    ``id`` is None when the gate was only asked. ``override`` is the reason for which a person
    went past it.
    """

    model: str
    alias: str
    candidate: int
    baseline: int | None
    outcome: Outcome
    results: tuple[RuleResult, ...]
    policy_digest: str | None
    at: datetime
    by: str
    id: int | None = None
    override: str | None = None

    @property
    def failed(self) -> tuple[RuleResult, ...]:
        """The rules that did not pass."""
        return tuple(result for result in self.results if result.outcome is not Outcome.PASS)

    def __repr__(self) -> str:
        """Return one line."""
        return f"<Decision {self.id} {self.outcome}: {self.model}/{self.candidate} as {self.alias}>"
