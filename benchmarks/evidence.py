"""What it costs to compare two versions on a million rows, beside the bare work and other ways."""

import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from scipy import stats as scipy_stats
from sklearn.metrics import f1_score, roc_auc_score

from benchmarks.measure import Row, interleave, process
from detent.comparison.differences import difference_of_counts, find_difference
from detent.comparison.measures import MEASURES
from detent.comparison.outcomes import Outcomes, Pair
from detent.stats.auc import compare_auc
from detent.stats.count_metrics import Average, CountMetric, compare_count_metric
from detent.stats.counts import count_pairs
from detent.stats.detector import ChangeDetector
from detent.stats.evidence import PairedEvidence, Side
from detent.stats.resampling import multinomial_blocks

N_ROWS = 1_000_000
N_RESAMPLES = 10_000
LABELS = 10_000


def measure(folder: Path, *, repeats: int = 7, n: int = N_ROWS) -> list[Row]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, n)
    old = np.clip(y * 0.4 + rng.normal(0.3, 0.25, n), 0, 1)
    new = np.clip(old + rng.normal(0, 0.05, n), 0, 1)
    pair = Pair(baseline=_outcomes(y, old), candidate=_outcomes(y, new))
    rows = [
        *_right_answers(pair, repeats),
        *_areas(y, old, new, repeats),
        *_counts_of_labels(y, pair, repeats),
        *_through_comparison(pair, y, repeats),
        *_label_by_label(repeats),
    ]
    ours, theirs = interleave(
        process(sys.executable, "-c", "import detent.stats"),
        process(sys.executable, "-c", "import numpy"),
        repeats=repeats,
    )
    rows.append(
        Row(what="import detent.stats", peer="import numpy", ours=ours, theirs=theirs, limit=1)
    )
    return rows


def _outcomes(y: np.ndarray, score: np.ndarray) -> Outcomes:
    return Outcomes(
        y_true=y,
        y_pred=(score > 0.5).astype(y.dtype),
        proba=np.column_stack([1 - score, score]),
        classes=np.array([0, 1]),
    )


def _right_answers(pair: Pair, repeats: int) -> list[Row]:
    y, old, new = pair.candidate.y_true, pair.baseline.y_pred, pair.candidate.y_pred

    def table() -> object:
        return _table(y, old, new)

    def compare() -> object:
        return difference_of_counts(count_pairs(old == y, new == y))

    def resample() -> object:
        counts = count_pairs(old == y, new == y)
        four = np.array(
            [counts.both_right, counts.newly_wrong, counts.newly_right, counts.both_wrong]
        )
        blocks = multinomial_blocks(four, n_resamples=N_RESAMPLES, rng=np.random.default_rng(0))
        return np.concatenate([drawn[:, 2] - drawn[:, 1] for drawn in blocks]) / counts.n

    n = f"{len(pair):,} rows"
    peer = "the four counts in NumPy, from the answers"
    rows = []
    for what, function in (
        ("compare accuracy", compare),
        (f"{N_RESAMPLES:,} resamples of it", resample),
    ):
        ours, theirs = interleave(function, table, repeats=repeats, inner=3)
        rows.append(Row(what=f"{what}, {n}", peer=peer, ours=ours, theirs=theirs, limit=3))

    few = 3  # resamples that are timed; the rest would take as long each

    def of_scipy(draws: int) -> object:
        # BCa would take a jackknife of all rows besides: the percentile is its quickest.
        return scipy_stats.bootstrap(
            ((new == y).astype(np.float64) - (old == y),),
            np.mean,
            n_resamples=draws,
            batch=1,
            method="percentile",
            rng=np.random.default_rng(0),
        )

    ours, theirs = interleave(resample, partial(of_scipy, few), repeats=3)
    rows.append(
        Row(
            what=f"{N_RESAMPLES:,} resamples of accuracy, {n}",
            peer=f"scipy.stats.bootstrap ({few} of them timed, times {N_RESAMPLES / few:,.0f})",
            ours=ours,
            theirs=theirs * N_RESAMPLES / few,
            limit=1e-4,
        )
    )
    return rows


def _table(y: np.ndarray, old: np.ndarray, new: np.ndarray) -> list[int]:
    before, after = old == y, new == y
    cells = (before & after, before & ~after, ~before & after, ~before & ~after)
    return [int(np.count_nonzero(one)) for one in cells]


def _areas(y: np.ndarray, old: np.ndarray, new: np.ndarray, repeats: int) -> list[Row]:
    truth = y == 1

    def compare() -> object:
        return compare_auc(truth, old, new)

    def of_scikit_learn() -> object:
        return roc_auc_score(y, old), roc_auc_score(y, new)

    ours, theirs = interleave(compare, of_scikit_learn, repeats=repeats)
    what = f"compare two areas (DeLong), {len(y):,} rows"
    rows = [
        Row(what=what, peer="scikit-learn's two areas alone", ours=ours, theirs=theirs, limit=1)
    ]
    other = _mlstatkit(y, old, new)
    if other is None:
        print("MLstatkit is not installed: its comparison of areas is left out", file=sys.stderr)
        return rows
    ours, theirs = interleave(compare, other, repeats=2)
    return [*rows, Row(what=what, peer="MLstatkit", ours=ours, theirs=theirs, limit=0.2)]


def _mlstatkit(y: np.ndarray, old: np.ndarray, new: np.ndarray) -> Callable[[], object] | None:
    try:
        from MLstatkit import Delong_test
    except ImportError:
        return None
    return lambda: Delong_test(y, old, new)


def _counts_of_labels(y: np.ndarray, pair: Pair, repeats: int) -> list[Row]:
    old, new = pair.baseline.y_pred, pair.candidate.y_pred

    def compare() -> object:
        return compare_count_metric(
            y,
            old,
            new,
            metric=CountMetric.F1,
            average=Average.BINARY,
            n_resamples=N_RESAMPLES,
        )

    ours, theirs = interleave(compare, lambda: f1_score(y, new), repeats=repeats)
    return [
        Row(
            what=f"compare F1, {N_RESAMPLES:,} resamples, {len(y):,} rows",
            peer="scikit-learn's F1, once",
            ours=ours,
            theirs=theirs,
            limit=10,
        )
    ]


def _through_comparison(pair: Pair, y: np.ndarray, repeats: int) -> list[Row]:
    """Measure the same as a gate does it: from the outcomes that evaluations kept."""
    old, new = pair.baseline, pair.candidate
    assert old.positive_score is not None
    assert new.positive_score is not None
    scores = (old.positive_score, new.positive_score)

    peers: tuple[tuple[str, str, Callable[[], object], float | None], ...] = (
        (
            "accuracy",
            "the four counts in NumPy, from the answers",
            lambda: _table(y, old.y_pred, new.y_pred),
            3,
        ),
        ("f1", "scikit-learn's F1, once", lambda: f1_score(y, new.y_pred), 10),
        (
            "roc_auc",
            "scikit-learn's two areas alone",
            lambda: [roc_auc_score(y, one) for one in scores],
            None,
        ),
        ("log_loss", "the logarithms of both in NumPy", lambda: [np.log(s) for s in scores], None),
    )
    rows = []
    for name, peer, theirs_do, limit in peers:

        def compare(name: str = name) -> object:
            fresh = Pair(  # nothing that an earlier comparison has kept
                baseline=_again(pair.baseline), candidate=_again(pair.candidate)
            )
            return find_difference(fresh, MEASURES[name])

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a logarithm of 0
            ours, theirs = interleave(compare, theirs_do, repeats=max(3, repeats // 2))
        what = f"judge {name} from kept outcomes, {len(y):,} rows"
        rows.append(Row(what=what, peer=peer, ours=ours, theirs=theirs, limit=limit))
    return rows


def _again(one: Outcomes) -> Outcomes:
    return Outcomes(y_true=one.y_true, y_pred=one.y_pred, proba=one.proba, classes=one.classes)


def _label_by_label(repeats: int) -> list[Row]:
    gains = np.random.default_rng(1).choice([-1, 0, 1], LABELS, p=[0.04, 0.93, 0.03]).tolist()
    bets = np.geomspace(0.03, 0.8, 16)

    def evidence() -> None:
        harm, wrong, right = PairedEvidence(Side.HARM), 0, 0
        for n, gain in enumerate(gains, 1):
            wrong, right = wrong + (gain < 0), right + (gain > 0)
            harm.log_value(wrong, right, n)

    def detector() -> None:
        guard = ChangeDetector()
        for gain in gains:
            guard.add(gain)

    def with_numpy() -> None:
        logs = np.zeros(16)
        for gain in gains:
            logs += np.log1p(-bets * gain)
            most = logs.max()
            most + np.log(np.exp(logs - most).mean())

    rows = []
    for what, function in (("evidence", evidence), ("detector", detector)):
        ours, theirs = interleave(function, with_numpy, repeats=repeats)
        rows.append(
            Row(
                what=f"{what} of one label",
                peer="the same bets with NumPy",
                ours=ours / LABELS,
                theirs=theirs / LABELS,
                limit=1,
            )
        )
    return rows
