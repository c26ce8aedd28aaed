"""Evidence: datasets, evaluations, comparisons, and the decisions made from them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from detent.domain.shown import Charted, Shown


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


class Measured(NamedTuple):
    """One metric of a version on a dataset: of an evaluation what a small drawing needs."""

    model: str
    version: int
    dataset: str
    dataset_digest: str
    metric: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnMetric:
    """A metric of one's own.

    Parameters
    ----------
    name : str
        Not one of scikit-learn's names that `evaluate` knows.
    function : callable
        Called with ``y_true`` and ``y_pred``, arrays of shape (n_samples,). Returns one number for
        each row, whose mean is the metric; or one number for all rows, which can be shown but
        gives no interval when versions are compared.
    greater_is_better : bool, optional
        Which direction is better; None where none is: it is then shown and never judged.

    Examples
    --------
    >>> cost = OwnMetric(name="cost", function=lambda y, p: 5.0 * (p < y), greater_is_better=False)
    >>> cost.name
    'cost'
    """

    name: str
    function: Callable[[Any, Any], Any]
    greater_is_better: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation(Shown):
    """Metrics of one version on one dataset, and the blob of what it answered row by row.

    ``dataset`` is the name given; ``dataset_digest`` is over the rows and their true values, so two
    evaluations with equal digests are of the same rows. ``one_row_s`` is the median time of
    predicting one row, in seconds, on the machine that evaluated. ``inputs`` is the blob of what
    the rows were like, with which a rollout compares those of requests. ``computed_on`` says what
    asked the version where that was not the process itself (``ray 2.60.0``); the numbers do not
    depend on it.
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
    inputs: str | None = None
    computed_on: str | None = None

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


class Verdict(StrEnum):
    """What rows say of a candidate's metric, beside that of the baseline and an allowed loss."""

    BETTER = "better"
    NOT_WORSE = "not worse"
    WORSE_WITHIN_MARGIN = "worse within the margin"
    WORSE = "worse"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Candidate minus baseline of one metric, on the same rows, and how sure it is.

    Parameters
    ----------
    metric : str
        Its name.
    baseline, candidate : float
        The metric of each version on the rows compared.
    n : int
        Independent units: rows, or groups of rows where groups were given.
    greater_is_better : bool, optional
        None where no direction is declared.
    low, high, confidence : float, optional
        The interval of the true difference. None where no method gives one; a difference without
        an interval says nothing about other rows.
    at_worst : float, optional
        One-sided limit: with confidence ``1 - alpha`` the true difference is not worse than this.
    alpha : float, optional
        Allowed probability of error of `at_worst` and of the verdict.
    margin : float, optional
        The loss that is allowed, 0 or more, in the unit of the metric.
    p_better, p_worse : float, optional
        How often chance alone would look as much like better, or worse, as these rows.
    verdict : Verdict, optional
        What follows; None where no direction is declared.
    rows_needed : int, optional
        Rows that would probably decide where the verdict is undecided, those there included.
    method : str, optional
        How the interval was made.
    counts : tuple of int, optional
        Rows that both, only the baseline, only the candidate, and neither got right; all that
        a metric of right and wrong answers depends on.
    caveats : tuple of str
        Why the interval says less than it seems to.
    """

    metric: str
    baseline: float
    candidate: float
    n: int
    greater_is_better: bool | None = None
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    at_worst: float | None = None
    alpha: float | None = None
    margin: float | None = None
    p_better: float | None = None
    p_worse: float | None = None
    verdict: Verdict | None = None
    rows_needed: int | None = None
    method: str | None = None
    counts: tuple[int, int, int, int] | None = None
    caveats: tuple[str, ...] = ()

    @property
    def value(self) -> float:
        """Candidate minus baseline, in the unit of the metric."""
        return self.candidate - self.baseline

    def __repr__(self) -> str:
        """Return one line."""
        interval = "" if self.low is None else f", low={self.low:+.4f}, high={self.high:+.4f}"
        verdict = "" if self.verdict is None else f", {self.verdict}"
        return f"Difference({self.value:+.4f}{interval}{verdict})"


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceDifference:
    """The difference on the rows of one slice, such as ``region=north`` or ``tenure<30``.

    ``p_worse`` is corrected for the number of slices by Holm's method. ``is_worse`` says that the
    candidate is shown to be worse here; ``can_tell`` is False where too few rows disagree for
    that ever to be shown.
    """

    slice: str
    n: int
    difference: Difference | None
    p_worse: float | None
    is_worse: bool
    can_tell: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Charted):
    """Two versions on the same rows.

    ``differences`` has one entry a metric, the main one first. ``n_changed`` counts rows that the
    versions answer differently; ``newly_wrong`` and ``newly_right`` rows where only one of them is
    right (None where right and wrong have no meaning, as in regression), with some row ids of the
    newly wrong in ``newly_wrong_rows``. ``use`` says how often these rows have been used to judge
    candidates, this one included: each use asks for stronger evidence. ``unmatched`` counts rows
    that only the baseline, and only the candidate, was evaluated on, which are left out.
    ``calibration_errors`` says how far the probability that each gives to its own answer lies from
    how often that is right, on average (None without probabilities): to be shown, and never gated.
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
    use: int = 1
    n_groups: int | None = None
    unmatched: tuple[int, int] = (0, 0)
    newly_wrong_rows: tuple[str, ...] = ()
    slices: tuple[SliceDifference, ...] = ()
    calibration_errors: tuple[float, float] | None = None

    def __getitem__(self, metric: str) -> Difference:
        """Return the difference of that metric; KeyError when either evaluation lacks it."""
        for difference in self.differences:
            if difference.metric == metric:
                return difference
        raise KeyError(metric)

    @property
    def verdict(self) -> Verdict | None:
        """What the rows say of the main metric."""
        return self.differences[0].verdict if self.differences else None

    @property
    def churn(self) -> float:
        """The share of rows that the versions answer differently, right or wrong."""
        return self.n_changed / self.n_rows

    @property
    def negative_flip_rate(self) -> float | None:
        """The share of rows that are newly wrong."""
        return None if self.newly_wrong is None else self.newly_wrong / self.n_rows

    def __repr__(self) -> str:
        """Return one line."""
        verdict = f": {self.verdict}" if self.verdict else ""
        return (
            f"<Comparison {self.model}/{self.baseline} and /{self.candidate} on {self.dataset}"
            f" ({self.n_rows} rows, {self.n_changed} answered differently){verdict}>"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking(Charted):
    """Several candidates, each compared with one baseline on the same rows.

    The comparisons are in the order in which the candidates would be preferred: those that are
    not worse first, by the limit that they are at worst at. The verdicts are corrected for the
    number of candidates by Holm's method.
    """

    comparisons: tuple[Comparison, ...]

    @property
    def best(self) -> int | None:
        """The number of the first candidate that is better or not worse; None when none is."""
        for comparison in self.comparisons:
            if comparison.verdict in (Verdict.BETTER, Verdict.NOT_WORSE):
                return comparison.candidate
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One demand of a policy: the name of the rule, and its parameters."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What an alias demands of each activation, from ``at`` on until the next policy.

    ``approvals`` is the number of people, beside the one who activates, that have to approve.
    """

    id: int
    model: str
    alias: str
    rules: tuple[Rule, ...]
    digest: str
    at: datetime
    by: str
    reason_required: bool = False
    approvals: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether it demands nothing."""
        return not (self.rules or self.reason_required or self.approvals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Somebody is for activating a version on an alias."""

    model: str
    alias: str
    version: int
    at: datetime
    by: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """The answer of one rule, in a sentence, with the evidence it used (JSON types)."""

    rule: str
    outcome: Outcome
    text: str
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(Shown):
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a policy would have said to a change in the past.

    ``activated`` says whether the version was activated then; ``outcome`` and ``results`` are what
    the policy on trial says, from the evaluations there were at that time.
    """

    version: int
    baseline: int | None
    at: datetime
    by: str
    activated: bool
    outcome: Outcome
    results: tuple[RuleResult, ...]
