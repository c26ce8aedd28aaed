"""Published and independently computed values; each case names its source.

A tolerance is half of the last printed digit, or as far as the source says its own value moves.
"""

import csv
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.reference.data import DELONG, HOCHBERG, LAW, MAIZE, SIXTEEN

from detent.stats.auc import AucTable, auc_table, compare_auc, contrast_aucs
from detent.stats.bootstrap import BootstrapMethod, bootstrap_mean, jackknife
from detent.stats.calibration import calibration_error
from detent.stats.claim import Claim
from detent.stats.confidence_sequences import (
    asymptotic_interval,
    beta_binomial_interval,
    betting_wealth,
    empirical_bernstein_interval,
    hoeffding_interval,
    normal_mixture_bound,
    normal_mixture_log_value,
    normal_mixture_rho,
    stitched_bound,
)
from detent.stats.counts import PairedCounts, churn, count_pairs
from detent.stats.detector import sprt_thresholds
from detent.stats.distributions import binomial_tail, t_tail
from detent.stats.drift import psi, wasserstein_distance
from detent.stats.evidence import PairedEvidence, Side, sign_mixture
from detent.stats.group_sequential import obrien_fleming_limits
from detent.stats.losses import brier_losses, log_losses
from detent.stats.mcnemar import mcnemar_chi_square, mcnemar_exact, mcnemar_mid_p
from detent.stats.means import corrected_t, paired_t
from detent.stats.multiplicity import benjamini_hochberg, bonferroni, holm
from detent.stats.planning import (
    mean_labels_at_least,
    rows_to_show_difference,
    rows_without_disagreement,
)
from detent.stats.power import decision_probability
from detent.stats.proportions import (
    agresti_min_interval,
    bonett_price_interval,
    newcombe_interval,
    tango_interval,
    wald_interval,
)
from detent.stats.signs import sign_flip, wilcoxon


def counts(a: int, b: int, c: int, d: int) -> PairedCounts:
    return PairedCounts(both_right=a, newly_wrong=b, newly_right=c, both_wrong=d)


CAVO = counts(59, 6, 16, 80)  # Cavo et al. (2012): the example of R's contingencytables
TABLES = "R contingencytables, tests of chapter 8"


def old_minus_new(interval: Callable[[PairedCounts], Any], table: PairedCounts) -> list[float]:
    """The R packages print baseline minus candidate."""
    return list(interval(table).negated())


def delong() -> AucTable:
    rows = np.array(DELONG)
    return auc_table(rows[:, 3] == 1, [10 - rows[:, 2], rows[:, 0], rows[:, 1]])


def both_chi_squares(table: PairedCounts) -> list[float]:
    plain, corrected = mcnemar_chi_square(table), mcnemar_chi_square(table, correction=True)
    return [plain.statistic, corrected.statistic, corrected.p]


def law() -> list[float]:
    def correlation(x: Any, y: Any) -> float:
        return float(np.corrcoef(x, y)[0, 1])

    left_out = jackknife(correlation, *LAW)
    return [correlation(*LAW), left_out.standard_error, left_out.acceleration]


def maize() -> list[float]:
    result = paired_t(np.zeros(15), MAIZE, greater_is_better=True)
    return [result.difference / result.standard_error, result.p]


def folds(*, is_corrected: bool) -> list[float]:
    """Return t and one-sided p of 100 folds with the example's mean and deviation."""
    wave = np.tile([1.0, -1.0], 50)
    values = 0.01 + 0.0382970843 * wave / wave.std(ddof=1)
    if is_corrected:
        result = corrected_t(values, n_train=90, n_test=10, claim=Claim.BETTER)
        return [result.difference / result.standard_error, result.p]
    plain = paired_t(np.zeros(100), values, greater_is_better=True, claim=Claim.BETTER)
    t = plain.difference / plain.standard_error
    assert plain.p == pytest.approx(t_tail(t, 99))
    return [t, plain.p]


def straight_losses() -> list[float]:
    harm = PairedEvidence(Side.HARM)
    return [next(k for k in range(99) if harm.value(k, 0, k) >= limit) for limit in (20, 100)]


def naive(b: Any, c: Any) -> Any:
    return c >= b


def exact_is_better(b: Any, c: Any) -> Any:
    """One-sided exact McNemar at 5 %: how many must be newly right, by disagreements."""
    needed, k = [], 0
    for n in range(int((b + c).max()) + 1):
        while k <= n and binomial_tail(k, n) > 0.05:  # never fewer than for one row less
            k += 1
        needed.append(k)
    return c >= np.array(needed)[b + c]


def probabilities(rule: Any, n: int, *rates: tuple[float, float]) -> list[float]:
    return [
        decision_probability(rule, n, newly_wrong_rate=wrong, newly_right_rate=right)
        for wrong, right in rates
    ]


def flips() -> list[float]:
    truth, old, new = (
        np.array([int(digit) for digit in digits])
        for digits in ("1111100000", "1111000001", "1110100001")
    )
    table = count_pairs(old == truth, new == truth)
    return [
        table.newly_wrong,
        table.negative_flip_rate,
        churn(old, new),
        table.trust_compatibility,
    ]


def n_shown(corrected: tuple[float, ...]) -> int:
    return sum(p <= 0.05 for p in corrected)


STREAM = [1, 1, 1, 1, 1, 1, 1, 0, 0, 0] * 100
RHO = normal_mixture_rho(100)
MANY = 1_000_000  # resamples, as many as the source took
RETRAIN = [(0.04, 0.03), (0.05, 0.03), (0.08, 0.03)]  # newly wrong and right, at -1, -2, -5 points

CASES: list[tuple[str, Callable[[], Any], Any, float, str]] = [
    ("O1 McNemar, exact", lambda: mcnemar_exact(CAVO), 0.052479, 5e-7, TABLES),
    ("O2 McNemar, mid-p", lambda: mcnemar_mid_p(CAVO), 0.03469, 5e-7, TABLES),
    (
        "O3 McNemar, asymptotic",
        lambda: [mcnemar_chi_square(CAVO).p, mcnemar_chi_square(CAVO, correction=True).p],
        (0.033006, 0.055009),
        6e-7,
        TABLES,
    ),
    (
        "O4 McNemar, corrected",
        lambda: both_chi_squares(counts(9945, 25, 15, 15))[1:],
        (2.025, 0.154729),
        5e-7,
        "mlxtend documentation",
    ),
    (
        "O5 McNemar, exact",
        lambda: mcnemar_exact(counts(9959, 11, 1, 29)),
        0.00634765625,
        1e-12,
        "mlxtend and statsmodels",
    ),
    (
        "O6 McNemar, approval",
        lambda: both_chi_squares(counts(794, 150, 86, 570)),
        (17.3559, 16.8178, 4.11456e-5),
        5e-5,
        "Agresti; R mcnemar.test",
    ),
    ("O7 Wald", lambda: old_minus_new(wald_interval, CAVO), (-0.1184, -0.0058), 5e-5, TABLES),
    (
        "O8 Agresti-Min",
        lambda: old_minus_new(agresti_min_interval, CAVO),
        (-0.1182, -0.0045),
        5e-5,
        TABLES,
    ),
    (
        "O9 Bonett-Price",
        lambda: old_minus_new(bonett_price_interval, CAVO),
        (-0.1195, -0.0032),
        5e-5,
        TABLES,
    ),
    (
        "O10 Newcombe",
        lambda: old_minus_new(newcombe_interval, CAVO),
        (-0.1186, -0.0046),
        5e-5,
        TABLES,
    ),
    ("O11 Tango", lambda: old_minus_new(tango_interval, CAVO), (-0.124, -0.0054), 5e-5, TABLES),
    (
        "O12 Tango",
        lambda: old_minus_new(tango_interval, counts(4, 9, 3, 16)),
        (-0.027, 0.39),
        5e-4,
        "Tango (1998); R ratesci",
    ),
    (
        "O13 Tango",
        lambda: old_minus_new(tango_interval, counts(53, 16, 8, 9)),
        (-0.02, 0.207),
        5e-4,
        "Agresti and Min (2005); R ratesci",
    ),
    (
        "O14 Tango, 3 rows",
        lambda: old_minus_new(tango_interval, counts(0, 3, 0, 0)),
        (-0.123, 1),
        5e-5,
        TABLES,
    ),
    (
        "O15 Newcombe, 2 rows",
        lambda: old_minus_new(newcombe_interval, counts(1, 0, 0, 1)),
        (-0.5734, 0.5734),
        5e-5,
        TABLES,
    ),
    (
        "O16 pairs needed",
        lambda: rows_to_show_difference(0.7, difference=0.3, is_one_sided=False),
        59,
        0,
        "Chow, Shao and Wang, example 6.4.3",
    ),
    (
        "O17 rows without disagreement",
        lambda: [rows_without_disagreement(0.01), rows_without_disagreement(0.01, is_exact=True)],
        (268, 299),
        0,
        "(1 - m)**n <= alpha",
    ),
    (
        "O18 DeLong, areas",
        lambda: delong().areas,
        (0.7258, 0.7366, 0.6478),
        5e-5,
        "SAS/STAT, Comparing ROC curves",
    ),
    (
        "O19 DeLong, chi-square",
        lambda: [(c := contrast_aucs(delong(), [[1, -1, 0], [1, 0, -1]])).statistic, c.p],
        (2.534, 0.2817),
        5e-5,
        "SAS/STAT, Comparing ROC curves",
    ),
    (
        "O22 DeLong, by pairs",
        lambda: [delong().areas[0], delong().covariance[0][0]],
        (0.7258064516, 0.01057228327),
        1e-10,
        "all pairs of rows",
    ),
    (
        "O23 percentile",
        lambda: (
            bootstrap_mean(SIXTEEN, method=BootstrapMethod.PERCENTILE, n_resamples=MANY).interval
        ),
        (28.86, 84.21),
        0.25,
        "R boot, 1e6 resamples",
    ),
    (
        "O24 basic",
        lambda: bootstrap_mean(SIXTEEN, method=BootstrapMethod.BASIC, n_resamples=MANY).interval,
        (23.77, 79.12),
        0.25,
        "R boot, 1e6 resamples",
    ),
    (
        "O25 BCa",
        lambda: bootstrap_mean(SIXTEEN, n_resamples=MANY).interval,
        (32.31, 91.43),
        0.35,
        "R boot, 1e6 resamples",
    ),
    ("O26 jackknife", law, (0.776, 0.143, -0.0757), 6e-4, "Efron and Tibshirani (1993)"),
    ("O27 paired t", maize, (2.148, 0.0497), 5e-4, "Fisher (1935)"),
    ("O28 sign flips", lambda: sign_flip(MAIZE), 0.05267333984375, 1e-12, "Fisher (1935)"),
    (
        "O29 Wilcoxon",
        lambda: [wilcoxon(MAIZE).statistic, wilcoxon(MAIZE).p],
        (24, 0.041259765625),
        1e-12,
        "SciPy documentation",
    ),
    (
        "O30 corrected t",
        lambda: folds(is_corrected=True),
        (0.75, 0.227),
        5e-4,
        "scikit-learn, Statistical comparison of models",
    ),
    ("O31 uncorrected t", lambda: folds(is_corrected=False), (2.611, 0.005), 5e-4, "the same"),
    (
        "O32 many questions",
        lambda: [n_shown(f(HOCHBERG)) for f in (bonferroni, holm, benjamini_hochberg)],
        (3, 3, 4),
        0,
        "Benjamini and Hochberg (1995)",
    ),
    ("O33 normal mixture, rho", lambda: RHO, 12.60056, 1e-5, "confseq, unit tests"),
    (
        "O34 normal mixture",
        lambda: [normal_mixture_log_value(10, 100, rho=RHO), normal_mixture_bound(100, rho=RHO)],
        (-0.6510052, 30.35209),
        1e-5,
        "confseq, unit tests",
    ),
    (
        "O35 stitching",
        lambda: stitched_bound(100, best_from=10, scale=3),
        64.48755,
        1e-5,
        "confseq, unit tests",
    ),
    (
        "O36 beta-binomial",
        lambda: beta_binomial_interval(700, 1000, best_at=100),
        (0.651629, 0.745949),
        2e-6,
        "confseq, unit tests",
    ),
    (
        "O37 empirical Bernstein",
        lambda: empirical_bernstein_interval(STREAM),
        (0.6453420213, 0.7584116807),
        1e-9,
        "confseq.predmix, run",
    ),
    (
        "O38 Hoeffding",
        lambda: hoeffding_interval(STREAM),
        (0.6456385796, 0.7679111008),
        1e-9,
        "confseq.predmix, run",
    ),
    (
        "O39 betting",
        lambda: betting_wealth([1] * 7 + [0], 0.5),
        (0.75, 1.125, 1.6875, 2.53125, 3.796875, 5.6953125, 8.54296875, 4.271484375),
        1e-9,
        "confseq.betting, run",
    ),
    (
        "O40 asymptotic",
        lambda: asymptotic_interval(0.50386, 0.03386, 6461, best_at=5000),
        (0.40098, 0.60675),
        2e-5,
        "GrowthBook gbstats, tests",
    ),
    ("O41 Wald's test", sprt_thresholds, (-2.944438979, 2.944438979), 1e-8, "Wald (1945)"),
    (
        "O42 O'Brien-Fleming",
        lambda: obrien_fleming_limits([0.2, 0.4, 0.6, 0.8, 1]),
        (4.877, 3.357, 2.68, 2.29, 2.031),
        0.002,
        "Lan and DeMets, standard tables",
    ),
    ("O43 sign mixture", lambda: sign_mixture(9, 1), 18.509090909, 1e-4, "by hand"),
    (
        "O44 sixteen bets",
        lambda: PairedEvidence(Side.HARM).value(9, 1, 10),
        8.878377546729528,
        1e-6,
        "by hand",
    ),
    ("O45 straight losses", straight_losses, (9, 12), 0, "by hand"),
    (
        "O46 labels at least",
        lambda: [mean_labels_at_least(*rates) for rates in RETRAIN],
        (4180, 1186, 254),
        0.6,
        "ln(20) / KL",
    ),
    (
        "O47 the plain rule",
        lambda: probabilities(naive, 54, (0.03, 0.03), *RETRAIN),
        (0.6153, 0.4962, 0.3925, 0.1773),
        6e-5,
        "exact sum",
    ),
    (
        "O48 exact McNemar",
        lambda: probabilities(exact_is_better, 5000, (0.03, 0.04), (0.03, 0.03)),
        (0.8364, 0.0443),
        6e-5,
        "exact sum",
    ),
    (
        "O49 log loss",
        lambda: log_losses([1, 0, 0, 1], [0.9, 0.1, 0.2, 0.65]).mean(),
        0.21616,
        5e-6,
        "scikit-learn documentation",
    ),
    (
        "O50 Brier",
        lambda: brier_losses([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.3]).mean(),
        0.0375,
        1e-12,
        "scikit-learn documentation",
    ),
    (
        "O51 Wasserstein",
        lambda: [
            wasserstein_distance([0, 1, 3], [5, 6, 8]),
            wasserstein_distance([0, 1], [0, 1], reference_weights=[3, 1], current_weights=[2, 2]),
        ],
        (5, 0.25),
        1e-12,
        "SciPy documentation",
    ),
    (
        "O52 stability index",
        lambda: psi([10, 20, 30, 40], [20, 20, 30, 30]),
        0.0980829,
        1e-6,
        "0.1 ln 2 - 0.1 ln 0.75",
    ),
    ("O53 flips", flips, (1, 0.1, 0.2, 0.875), 1e-12, "Yan et al. (2021); Bansal et al. (2019)"),
    (
        "O54 calibration error",
        lambda: calibration_error([0.95, 0.95, 0.85, 0.65], [True, False, True, True], n_bins=10),
        0.35,
        1e-12,
        "by hand",
    ),
]


@pytest.mark.parametrize(
    ("compute", "expected", "tolerance"),
    [pytest.param(case[1], case[2], case[3], id=case[0]) for case in CASES],
)
def test_value(compute: Callable[[], Any], expected: Any, tolerance: float) -> None:
    value = compute()
    found = [value] if np.isscalar(value) else list(value)
    assert found == pytest.approx(np.atleast_1d(expected).tolist(), abs=tolerance)


def test_delong_of_the_haemorrhage_data() -> None:
    """O20 and O21: z, p, variances and covariance as pROC's tests have them (GPL-3 data)."""
    folder = os.environ.get("DETENT_REFERENCE_DATA")
    if folder is None:
        pytest.skip("NOT CHECKED: set DETENT_REFERENCE_DATA to the folder that holds asah.csv")
    with (Path(folder) / "asah.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    is_poor = [row["poor"] == "1" for row in rows]
    wfns, s100b = ([float(row[name]) for row in rows] for name in ("wfns", "s100b"))
    result = compare_auc(is_poor, s100b, wfns)
    assert result.difference / result.standard_error == pytest.approx(2.20898359144091, abs=1e-10)
    assert result.p == pytest.approx(0.0271757822291882, abs=1e-10)
    covariance = auc_table(is_poor, [wfns, s100b]).covariance
    expected = [0.00146991470882363, 0.00266868245717244, 0.00119615567376754]
    found = [covariance[0][0], covariance[1][1], covariance[0][1]]
    assert found == pytest.approx(expected, abs=1e-12)
    assert math.isclose(covariance[0][1], covariance[1][0])
