"""Each metric is compared by the method that suits it, and says so."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sk

from detent.comparison.differences import difference_of_counts, find_difference
from detent.comparison.measures import MEASURES, own_measure
from detent.comparison.outcomes import Outcomes, Pair, from_columns, pair_by_id
from detent.comparison.verdict import judge_counts, level_of_use
from detent.domain.evidence import Verdict
from detent.errors import InvalidError
from detent.stats.counts import PairedCounts


def made(n: int, *, seed: int = 0, skill: float = 1.0, classes: int = 2) -> Outcomes:
    """Outcomes of a version with some skill, on rows that depend on n and classes alone."""
    rows = np.random.default_rng(n * classes)
    y_true = rows.integers(0, classes, n)
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, classes)) + skill * np.eye(classes)[y_true]
    proba = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return Outcomes(
        y_true=y_true, y_pred=proba.argmax(axis=1), proba=proba, classes=np.arange(classes)
    )


def numbers(n: int, *, seed: int, noise: float) -> Outcomes:
    y_true = np.random.default_rng(n).normal(size=n)
    return Outcomes(
        y_true=y_true, y_pred=y_true + noise * np.random.default_rng(seed).normal(size=n)
    )


OLD, NEW = made(2000, seed=1), made(2000, seed=2, skill=1.4)
PAIR = Pair(baseline=OLD, candidate=NEW)
KNOWN = {
    "accuracy": lambda o: sk.accuracy_score(o.y_true, o.y_pred),
    "balanced_accuracy": lambda o: sk.balanced_accuracy_score(o.y_true, o.y_pred),
    "matthews_corrcoef": lambda o: sk.matthews_corrcoef(o.y_true, o.y_pred),
    "cohen_kappa": lambda o: sk.cohen_kappa_score(o.y_true, o.y_pred),
    "roc_auc": lambda o: sk.roc_auc_score(o.y_true, o.proba[:, 1]),
    "log_loss": lambda o: sk.log_loss(o.y_true, o.proba),
    "brier_score_loss": lambda o: sk.brier_score_loss(o.y_true, o.proba[:, 1]),
    "f1": lambda o: sk.f1_score(o.y_true, o.y_pred),
    "f1_macro": lambda o: sk.f1_score(o.y_true, o.y_pred, average="macro"),
    "precision_weighted": lambda o: sk.precision_score(o.y_true, o.y_pred, average="weighted"),
    "recall_micro": lambda o: sk.recall_score(o.y_true, o.y_pred, average="micro"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_both_values_are_those_of_scikit_learn(name: str) -> None:
    difference = find_difference(PAIR, MEASURES[name])
    assert difference.baseline == pytest.approx(KNOWN[name](OLD), abs=1e-9)
    assert difference.candidate == pytest.approx(KNOWN[name](NEW), abs=1e-9)
    assert difference.low is not None
    assert difference.high is not None
    assert difference.low < difference.value < difference.high
    assert difference.verdict is Verdict.BETTER
    assert difference.method


@pytest.mark.parametrize("name", KNOWN)
def test_the_other_way_round_is_the_negative(name: str) -> None:
    there = find_difference(PAIR, MEASURES[name])
    back = find_difference(Pair(baseline=NEW, candidate=OLD), MEASURES[name])
    assert back.value == pytest.approx(-there.value)
    assert back.verdict is Verdict.WORSE
    assert back.low == pytest.approx(-(there.high or 0), rel=0.2)


@pytest.mark.parametrize("name", KNOWN)
def test_the_same_input_gives_the_same_answer(name: str) -> None:
    assert find_difference(PAIR, MEASURES[name]) == find_difference(PAIR, MEASURES[name])


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("n", [2, 20, 150])
def test_versions_that_answer_alike_prove_nothing_on_few_rows(name: str, n: int) -> None:
    """A resampling of rows that never differ has no width: taken at its word it passes anything."""
    same = made(n + 2, seed=3, skill=1.0)
    difference = find_difference(Pair(baseline=same, candidate=same), MEASURES[name])
    assert difference.verdict is Verdict.UNDECIDED
    assert difference.value == 0
    assert difference.high is not None
    assert difference.high > 0


def test_enough_rows_that_are_answered_alike_show_not_worse() -> None:
    same = made(3000, seed=3)
    pair = Pair(baseline=same, candidate=same)
    for name in ("accuracy", "f1_macro", "roc_auc", "balanced_accuracy"):
        assert find_difference(pair, MEASURES[name]).verdict is Verdict.NOT_WORSE


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("mean_absolute_error", sk.mean_absolute_error),
        ("mean_squared_error", sk.mean_squared_error),
        ("root_mean_squared_error", lambda y, p: sk.mean_squared_error(y, p) ** 0.5),
        ("r2", sk.r2_score),
    ],
)
def test_regression(name: str, known: object) -> None:
    old, new = numbers(800, seed=1, noise=0.5), numbers(800, seed=2, noise=0.4)
    difference = find_difference(Pair(baseline=old, candidate=new), MEASURES[name])
    assert callable(known)
    assert difference.baseline == pytest.approx(known(old.y_true, old.y_pred))
    assert difference.candidate == pytest.approx(known(new.y_true, new.y_pred))
    assert difference.verdict is Verdict.BETTER
    draws = resampled(old, new, known)
    low, high = np.quantile(draws, [0.025, 0.975])
    assert difference.low == pytest.approx(low, abs=0.2 * (high - low))
    assert difference.high == pytest.approx(high, abs=0.2 * (high - low))


def resampled(old: Outcomes, new: Outcomes, known: object) -> NDArray[np.float64]:
    """A second implementation of the interval: rows drawn with replacement."""
    assert callable(known)
    rng, n, draws = np.random.default_rng(0), len(old), []
    for _ in range(800):
        rows = rng.integers(0, n, n)
        draws.append(
            known(new.y_true[rows], new.y_pred[rows]) - known(old.y_true[rows], old.y_pred[rows])
        )
    return np.array(draws)


def test_rows_of_one_customer_are_one_unit() -> None:
    """Five copies of each row tell no more than one of them."""
    five = np.repeat(np.arange(2000), 5)
    copied = PAIR.take(five)
    old, new = (
        Outcomes(y_true=o.y_true, y_pred=o.y_pred, proba=o.proba, classes=o.classes, groups=five)
        for o in (copied.baseline, copied.candidate)
    )
    grouped = Pair(baseline=old, candidate=new)
    for name in KNOWN:
        alone = find_difference(PAIR, MEASURES[name])
        together = find_difference(grouped, MEASURES[name])
        assert together.n == 2000
        assert together.value == pytest.approx(alone.value, abs=1e-9)
        assert width(together) == pytest.approx(width(alone), rel=0.15)


def width(difference: object) -> float:
    low, high = getattr(difference, "low"), getattr(difference, "high")  # noqa: B009
    return float(high - low)


def test_equal_weights_change_nothing_and_zero_weights_leave_out() -> None:
    measure = MEASURES["log_loss"]
    plain = find_difference(PAIR, measure)
    weighted = find_difference(with_weights(np.full(2000, 3.0)), measure)
    assert weighted.value == pytest.approx(plain.value)
    assert width(weighted) == pytest.approx(width(plain), rel=0.05)
    half = np.arange(2000) < 1000
    some = find_difference(with_weights(half.astype(float)), measure)
    assert some.value == pytest.approx(find_difference(PAIR.take(half), measure).value)


def with_weights(weights: NDArray[np.float64]) -> Pair:
    old, new = (
        Outcomes(
            y_true=o.y_true,
            y_pred=o.y_pred,
            proba=o.proba,
            classes=o.classes,
            sample_weight=weights,
        )
        for o in (OLD, NEW)
    )
    return Pair(baseline=old, candidate=new)


def test_a_relative_margin_is_a_share_of_the_baselines_loss() -> None:
    difference = find_difference(PAIR, MEASURES["log_loss"], margin=0.02)
    assert difference.margin == pytest.approx(0.02 * difference.baseline)
    absolute = find_difference(PAIR, MEASURES["log_loss"], margin=0.02, is_relative=False)
    assert absolute.margin == 0.02


@pytest.mark.parametrize("margin", [0.0, -0.01, float("nan")])
def test_a_margin_of_the_wrong_sign(margin: float) -> None:
    with pytest.raises(InvalidError, match="above 0"):
        find_difference(PAIR, MEASURES["accuracy"], margin=margin)


def test_an_own_metric_of_rows() -> None:
    old, new = (
        Outcomes(y_true=o.y_true, y_pred=o.y_pred, values={"cost": 1.0 * (o.y_pred != o.y_true)})
        for o in (OLD, NEW)
    )
    measure = own_measure("cost", new, greater_is_better=False)
    difference = find_difference(Pair(baseline=old, candidate=new), measure)
    accuracy = find_difference(PAIR, MEASURES["accuracy"])
    assert difference.value == pytest.approx(-accuracy.value)
    assert difference.verdict is Verdict.BETTER


counts = st.builds(
    PairedCounts,
    both_right=st.integers(0, 3000),
    newly_wrong=st.integers(0, 200),
    newly_right=st.integers(0, 200),
    both_wrong=st.integers(1, 300),
)


class TestVerdicts:
    """A verdict follows from the four counts and the margin alone, and from nothing else."""

    @given(counts, st.sampled_from([0.005, 0.01, 0.05]))
    def test_a_verdict_is_what_its_limit_says(self, table: PairedCounts, margin: float) -> None:
        difference = difference_of_counts(table, margin=margin)
        assert difference.verdict is judge_counts(table, margin=margin)
        assert difference.at_worst is not None
        is_shown = difference.at_worst > -margin
        assert is_shown == (
            difference.verdict in (Verdict.BETTER, Verdict.NOT_WORSE, Verdict.WORSE_WITHIN_MARGIN)
        )
        assert (difference.rows_needed is not None) == (difference.verdict is Verdict.UNDECIDED)
        assert difference.counts is not None
        again = PairedCounts(
            both_right=difference.counts[0],
            newly_wrong=difference.counts[1],
            newly_right=difference.counts[2],
            both_wrong=difference.counts[3],
        )
        assert difference_of_counts(again, margin=margin) == difference, "a verdict replays"

    @given(counts)
    def test_never_better_and_worse_at_once(self, table: PairedCounts) -> None:
        there, back = judge_counts(table), judge_counts(table.swapped())
        if there is Verdict.BETTER:
            assert back in (Verdict.WORSE, Verdict.WORSE_WITHIN_MARGIN)

    def test_all_uses_together_err_little_more_than_the_first(self) -> None:
        levels = [level_of_use(use) for use in range(1, 5000)]
        assert levels == sorted(levels, reverse=True)
        assert sum(levels) < 1.05 * 0.05


class TestRowIds:
    """Rows are matched by their ids; what only one has is counted and left out."""

    def test_order_does_not_matter(self) -> None:
        ids = np.array([f"row{i}" for i in range(2000)])
        shuffled = np.random.default_rng(0).permutation(2000)[:1500]
        old = Outcomes(y_true=OLD.y_true, y_pred=OLD.y_pred, ids=ids)
        new = Outcomes(y_true=NEW.y_true, y_pred=NEW.y_pred, ids=ids).take(shuffled)
        pair = pair_by_id(old, new)
        assert pair is not None
        assert pair.unmatched == (500, 0)
        expected = PAIR.take(np.sort(shuffled))
        assert (
            find_difference(pair, MEASURES["accuracy"]).counts
            == find_difference(expected, MEASURES["accuracy"]).counts
        )

    def test_other_true_values_are_refused(self) -> None:
        ids = np.arange(2000)
        old = Outcomes(y_true=OLD.y_true, y_pred=OLD.y_pred, ids=ids)
        new = Outcomes(y_true=1 - NEW.y_true, y_pred=NEW.y_pred, ids=ids)
        with pytest.raises(InvalidError, match="other true values"):
            pair_by_id(old, new)

    def test_nothing_in_common(self) -> None:
        old = Outcomes(y_true=OLD.y_true, y_pred=OLD.y_pred, ids=np.arange(2000))
        new = Outcomes(y_true=NEW.y_true, y_pred=NEW.y_pred, ids=np.arange(2000) + 2000)
        with pytest.raises(InvalidError, match="no row id in common"):
            pair_by_id(old, new)
        assert pair_by_id(OLD, NEW) is None


@pytest.mark.parametrize("labels", [[0, 1], ["no", "yes"], [False, True], [0.5, 1.5]])
def test_outcomes_come_back_from_their_columns(labels: list[object]) -> None:
    classes = np.array(labels)
    outcomes = Outcomes(
        y_true=classes[OLD.y_true],
        y_pred=classes[OLD.y_pred],
        proba=OLD.proba,
        classes=classes,
        groups=np.arange(2000) // 2,
        slices={"region": np.array(["north", "south"])[OLD.y_true]},
    )
    back = from_columns(outcomes.to_columns())
    assert back.classes is not None
    assert back.classes.tolist() == labels
    assert np.array_equal(back.y_pred, outcomes.y_pred)
    assert back.proba is not None
    assert np.array_equal(back.proba, OLD.proba if OLD.proba is not None else [])
    assert back.slices.keys() == {"region"}
