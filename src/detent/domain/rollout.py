"""Rollouts: a candidate takes the place of an active version in phases, or goes."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from detent.domain.alias import Activation
from detent.domain.clock import to_us


class Phase(StrEnum):
    """How far a rollout is.

    ``SHADOW``: the candidate answers the same requests, and nobody sees it. ``CANARY``: it answers
    a share of them. ``FULL``: it is active, and the version before answers some requests in its
    shadow.
    """

    SHADOW = "shadow"
    CANARY = "canary"
    FULL = "full"


class RolloutStatus(StrEnum):
    """Whether a rollout goes on, and how it ended."""

    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    ROLLED_BACK = "rolled_back"
    STOPPED = "stopped"


class Labels(StrEnum):
    """Which rows the true answers are known of.

    ``ALL``: of rows that were not chosen by what was answered. ``DISAGREEMENTS``: only of rows that
    the two versions answer differently; the others need none, as there both are right or both are
    wrong. ``NONE``: of no rows; failures and latency decide.
    """

    ALL = "all"
    DISAGREEMENTS = "disagreements"
    NONE = "none"


class Unlabelled(StrEnum):
    """What follows when scores drift and no label says whether that is harm."""

    SHOW = "show"
    ROLL_BACK = "roll_back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a rollout goes, and what it may cost. Written down before it starts, never changed.

    Parameters
    ----------
    shadow_s : float, default=3600
        How long the candidate answers in the shadow at least, in seconds; 0 leaves it out.
    canary : tuple of float, default=(0.01, 0.1, 0.5)
        The share of requests that it answers, step by step, each between 0 and 1, rising.
    step_s : float, default=900
        How long each step lasts at least, in seconds.
    step_requests : int, default=100
        How many requests the candidate answers in each step at least.
    guard_s : float, default=86400
        How long it is watched once it is active, in seconds.
    sample : float, default=1.0
        The share of requests that are answered in the shadow, above 0 and at most 1.
    guard_sample : float, default=0.1
        That share once the candidate is active, where the version before is the shadow.
    labels : Labels, default="all"
        Which rows true answers are known of.
    label_window_s : float, default=3600
        A row is looked at so long after it was answered: by then its label is there, or none will
        come. Labels that arrive early are no fair sample. 0 takes each when it arrives.
    margin : float, default=0.01
        The loss that is allowed before the candidate may go on: 0.01 is one point.
    alpha : float, default=0.05
        Allowed probability of rolling back a version that is as good, and of letting one go on that
        is worse by the margin; of each phase and each thing that is watched.
    max_labels : int, default=200000
        So many undecided labels end the rollout: the version before stays.
    loss_bound : float or None
        For numbers: the largest absolute error that counts; a larger one counts as this. None for
        labels, which are right or wrong.
    error_limit : float, default=0.01
        By how much more of the requests may fail.
    slo_s : float or None
        A request that takes longer is slow, in seconds; None does not watch it.
    slow_limit : float, default=0.01
        By how much more of the requests may be slow.
    timeout_s : float, default=1.0
        A candidate that takes longer has failed on the request, in seconds.
    features : int, default=50
        Of how many inputs it is watched whether their values move, 0 to 200; of more, so many that
        are evenly spaced.
    drift_limit : float or None
        An input that has certainly moved further rolls back: a Jensen-Shannon distance between 0
        and 1. None shows drift, and no more.
    unlabelled : Unlabelled, default="show"
        What follows when its scores drift from those of the active version.
    """

    shadow_s: float = 3600.0
    canary: tuple[float, ...] = (0.01, 0.1, 0.5)
    step_s: float = 900.0
    step_requests: int = 100
    guard_s: float = 86400.0
    sample: float = 1.0
    guard_sample: float = 0.1
    labels: Labels = Labels.ALL
    label_window_s: float = 3600.0
    margin: float = 0.01
    alpha: float = 0.05
    max_labels: int = 200_000
    loss_bound: float | None = None
    error_limit: float = 0.01
    slo_s: float | None = None
    slow_limit: float = 0.01
    timeout_s: float = 1.0
    features: int = 50
    drift_limit: float | None = None
    unlabelled: Unlabelled = Unlabelled.SHOW

    @property
    def first(self) -> Phase:
        """The phase that it begins with."""
        return Phase.SHADOW if self.shadow_s > 0 else Phase.CANARY


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What is known of one thing that a rollout watches.

    ``verdict`` is ``harm`` (the limit is passed), ``safe`` (shown to be within it), ``open``,
    ``drift``, or ``broken`` (nothing that the canary counted can be believed). ``difference`` is
    candidate minus baseline in bad outcomes, with bounds that hold at every look; ``limit`` is what
    is allowed. ``phase`` is that in which the outcomes came.
    """

    name: str
    phase: Phase
    verdict: str
    text: str
    n: int = 0
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    evidence: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureDrift:
    """How far the values of one input have moved.

    Attributes
    ----------
    distance : float
        Jensen-Shannon distance of requests from the reference, 0 (alike) to 1 (nothing in common).
    chance : float
        What chance alone exceeds with a probability of 1 %, of all inputs and looks together.
    cells : tuple of str
        Ranges of numbers or names of categories, in words; the last is of missing values.
    before, now : tuple of float
        The share of values in each cell: of the reference, of requests.
    """

    name: str
    distance: float
    chance: float
    cells: tuple[str, ...]
    before: tuple[float, ...]
    now: tuple[float, ...]

    @property
    def has_moved(self) -> bool:
        """Whether it has moved more than chance explains."""
        return self.distance > self.chance

    @property
    def most(self) -> str:
        """Where it has moved most, in words: ``64 and above: 10% → 31%``."""
        gaps = [abs(now - before) for before, now in zip(self.before, self.now, strict=True)]
        i = gaps.index(max(gaps))
        return f"{self.cells[i]}: {self.before[i] * 100:.3g}% → {self.now[i] * 100:.3g}%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How requests differ from the rows that the candidate was judged on.

    Attributes
    ----------
    reference : str
        What they are compared with, in words.
    n_reference, n : int
        Rows of the reference; requests, of each its first row.
    n_features, n_moved : int
        Inputs that are watched, and those of them that have moved more than chance explains.
    features : tuple of FeatureDrift
        The ten that have moved most, the first one furthest.
    """

    reference: str
    n_reference: int
    n: int
    n_features: int
    n_moved: int
    features: tuple[FeatureDrift, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a signal said after `n` outcomes: one point of its course. As in `Signal` otherwise."""

    name: str
    phase: Phase
    n: int
    difference: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One rollout of a version into an alias.

    Attributes
    ----------
    candidate, baseline : int
        The version offered, and the one that was active when it began.
    entry : int
        The entry of the alias's history that it stands on. When the alias moves on, it has ended.
    phase, step : Phase, int
        How far it is; `step` counts the steps of the canary from 0.
    why : str or None
        Why it is paused, or how it ended.
    signals : tuple of Signal
        What is known so far.
    waits_for : tuple of str
        What has to come before it goes on.
    counts : mapping of str to int
        Requests that each version answered, and labels.
    drift : Drift or None
        How the inputs of requests have moved, once there are 100 requests; None where there is
        nothing to compare them with.
    """

    id: int
    model: str
    alias: str
    candidate: int
    baseline: int
    entry: int
    plan: Plan
    status: RolloutStatus
    phase: Phase
    step: int
    at: datetime
    by: str
    phase_at: datetime
    ended_at: datetime | None = None
    why: str | None = None
    decision: int | None = None
    signals: tuple[Signal, ...] = ()
    waits_for: tuple[str, ...] = ()
    counts: dict[str, int] | None = None
    drift: Drift | None = None

    @property
    def name(self) -> str:
        """The alias with its model: ``churn@production``."""
        return f"{self.model}@{self.alias}"

    @property
    def phase_us(self) -> int:
        """`phase_at` in microseconds: another one after each move, so a change can name its own."""
        return to_us(self.phase_at)

    @property
    def has_ended(self) -> bool:
        """Whether nothing follows any more."""
        return self.status not in (RolloutStatus.RUNNING, RolloutStatus.PAUSED)

    @property
    def weight(self) -> float:
        """The share of requests that the candidate is to answer now."""
        if self.has_ended or self.phase is Phase.SHADOW:
            return 0.0
        return self.plan.canary[self.step] if self.phase is Phase.CANARY else 1.0

    def __repr__(self) -> str:
        """Return one line."""
        return f"<Rollout {self.id} {self.model}/{self.candidate} into {self.alias}, {self.where}>"

    @property
    def where(self) -> str:
        """How far it is, or how it ended: ``canary 10%``."""
        if self.has_ended:
            return str(self.status).replace("_", " ")
        share = f" {self.weight * 100:.3g}%" if self.phase is Phase.CANARY else ""
        paused = ", paused" if self.status is RolloutStatus.PAUSED else ""
        return f"{self.phase}{share}{paused}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelWanted:
    """A row that two versions answer differently: its label says which of them is right.

    ``answers`` holds the answer of each version, by its number.
    """

    model: str
    request_id: str
    row: int
    at: datetime
    answers: dict[int, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedRollout:
    """A rollout as it ended, and the entry of the history that servers follow, if there is one."""

    rollout: Rollout
    entry: Activation | None


@dataclass(slots=True, kw_only=True)
class Joined:
    """What became of labels: how many were joined or known before, and why others were refused.

    ``waiting`` are of answers that this machine has not made: the one that has takes them within
    seconds. ``refused`` names the line of each, and what is wrong with it.
    """

    joined: int = 0
    known: int = 0
    waiting: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)

    def add(self, other: "Joined") -> None:
        """Take in what became of more labels."""
        self.joined += other.joined
        self.known += other.known
        self.waiting += other.waiting
        self.refused += other.refused
