"""How often a gate passes a version that is worse by exactly what it allows.

`docs/statistics.md`: "A version that is worse by the margin passes with a probability of about
5 %, however often one asks." Summed over all tables where that can be, simulated where not.
"""

import bisect
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.tree import DecisionTreeClassifier

import detent
from detent.comparison.verdict import judge_counts, level_of_use
from detent.domain.evidence import Verdict
from detent.stats.arrays import Flags, Ints
from detent.stats.counts import PairedCounts, count_pairs
from detent.stats.power import decision_probability, shows_not_worse
from detent.stats.proportions import tango_interval

MARGIN = 0.01
ALPHA = 0.05
# Shares of newly wrong and newly right rows of a version as good as the active one: retrained on
# more data, and trained anew so that errors of both are independent at 90 % right answers.
SCENARIOS = {"retrained": (0.03, 0.03), "independent": (0.09, 0.09)}
WITHIN = (Verdict.BETTER, Verdict.NOT_WORSE, Verdict.WORSE_WITHIN_MARGIN)
PASS = (Verdict.BETTER, Verdict.NOT_WORSE)
NOT_BAD = tuple(verdict for verdict in Verdict if verdict is not Verdict.WORSE)
N_STREAMS = 20_000


def table(newly_wrong: int, newly_right: int, n: int) -> PairedCounts:
    return PairedCounts(
        both_right=n - newly_wrong - newly_right,
        newly_wrong=newly_wrong,
        newly_right=newly_right,
        both_wrong=0,
    )


def first_of(
    newly_wrong: int, n: int, verdicts: tuple[Verdict, ...], *, near: int | None = None
) -> int:
    """Return from how many newly right rows on the verdict is one of these.

    Where it is thought to be known, both sides of it are asked, else it is found by bisection.
    """

    def is_said(c: int) -> bool:
        return judge_counts(table(newly_wrong, c, n), margin=MARGIN) in verdicts

    if near is not None:
        assert near > n - newly_wrong or is_said(near)
        assert near == 0 or not is_said(near - 1)
        return near
    return bisect.bisect_left(range(n - newly_wrong + 1), True, key=is_said)


def probability_within(n: int, wrong: float, right: float) -> float:
    """Return how probable it is that the limit lies above the margin, over all tables.

    Where it does is computed for all tables at once, and asked of `judge_counts` itself on both
    sides of the border, at every number of newly wrong rows within 5 standard deviations.
    """

    def decides(b: Ints, c: Ints) -> Flags:
        said = shown(b, c, n)
        reach = 5 * math.sqrt(n * wrong)
        for row, newly_wrong in enumerate(b[:, 0].tolist()):
            if abs(newly_wrong - n * wrong) <= reach and said[row].any() and not said[row, 0]:
                near = int(c[row, said[row].argmax()])
                assert first_of(newly_wrong, n, WITHIN, near=near) == near
                possible = said[row][b[row] + c[row] <= n]
                assert (np.diff(possible.astype(int)) >= 0).all(), "there is one border"
        return said

    return decision_probability(decides, n, newly_wrong_rate=wrong, newly_right_rate=right)


def shown(b: Ints, c: Ints, n: int) -> Flags:
    """Return where the limit lies above the margin; elsewhere, and where no table is, False."""
    said = np.zeros(b.shape, dtype=np.bool_)
    possible = b + c <= n
    said[possible] = shows_not_worse(b[possible], c[possible], n=n, margin=MARGIN, alpha=ALPHA)
    return said


class TestTables:
    """The verdict of every table, and what follows from all of them together."""

    @given(n=st.integers(1, 5_000), data=st.data(), margin=st.sampled_from([0.001, 0.01, 0.05]))
    def test_many_tables_at_once_are_judged_as_one(
        self, n: int, data: st.DataObject, margin: float
    ) -> None:
        b = data.draw(st.integers(0, n))
        c = data.draw(st.integers(0, n - b))
        alpha = data.draw(st.sampled_from([0.05, level_of_use(2), level_of_use(20)]))
        low = tango_interval(table(b, c, n), confidence=1 - 2 * alpha).low
        if abs(low + margin) > 1e-9:
            shown = shows_not_worse(np.array([b]), np.array([c]), n=n, margin=margin, alpha=alpha)
            assert shown.tolist() == [low > -margin]

    @pytest.mark.parametrize("verdicts", [WITHIN, PASS])
    def test_more_newly_right_rows_never_unsay_it(self, verdicts: tuple[Verdict, ...]) -> None:
        n = 54
        for b in range(n + 1):
            said = [
                judge_counts(table(b, c, n), margin=MARGIN) in verdicts for c in range(n - b + 1)
            ]
            assert said == sorted(said)

    @pytest.mark.parametrize("scenario", SCENARIOS)
    @pytest.mark.parametrize("n", [54, 200, 1_000, 2_000, 5_000, 10_000])
    def test_a_version_worse_by_the_margin(self, n: int, scenario: str) -> None:
        wrong, right = SCENARIOS[scenario]
        if scenario == "retrained":
            wrong += MARGIN
        else:  # one point worse than 90 %: 89 %
            wrong, right = 0.9 * 0.11, 0.1 * 0.89
        assert probability_within(n, wrong, right) <= 0.052

    @pytest.mark.parametrize("n", [30, 54, 100, 200, 500, 1_000])
    def test_whatever_the_rate_of_disagreement(self, n: int) -> None:
        worst = max(
            decision_probability(
                lambda b, c: shown(b, c, n),
                n,
                newly_wrong_rate=(rate + MARGIN) / 2,
                newly_right_rate=(rate - MARGIN) / 2,
            )
            for rate in np.geomspace(MARGIN * 1.01, 0.4, 25).tolist()
        )
        assert worst <= 0.056

    @pytest.mark.parametrize(
        ("n", "least"), [(1_000, 0.35), (2_000, 0.56), (5_000, 0.89), (10_000, 0.99)]
    )
    def test_power_for_an_equal_version(self, n: int, least: float) -> None:
        assert probability_within(n, *SCENARIOS["retrained"]) >= least

    @pytest.mark.parametrize("n", [30, 54, 100, 200])
    def test_an_equal_version_is_seldom_called_worse(self, n: int) -> None:
        def decides(b: Ints, c: Ints) -> Flags:
            least = [first_of(one, n, NOT_BAD) for one in b[:, 0].tolist()]
            said: Flags = c < np.array(least)[:, None]
            return said

        for rates in SCENARIOS.values():
            p = decision_probability(
                decides, n, newly_wrong_rate=rates[0], newly_right_rate=rates[1]
            )
            assert p <= ALPHA

    def test_fifty_four_rows(self) -> None:
        n = 54
        for b in range(3):
            for c in range(3 - b):
                assert judge_counts(table(b, c, n), margin=MARGIN) is Verdict.UNDECIDED
        assert [first_of(b, n, WITHIN) for b in range(4)] == [3, 5, 7, 8]
        verdicts = [judge_counts(table(b, 0, n), margin=MARGIN) for b in range(6)]
        assert verdicts.index(Verdict.WORSE) == 4


def allowed(repetitions: int) -> float:
    """Return what a share of wrong passes may be: the bound, and 3 standard errors above it."""
    bound = 1.05 * ALPHA
    return bound + 3 * math.sqrt(bound * (1 - bound) / repetitions)


class TestManyUses:
    """All uses of a data set together pass a version worse by the margin as seldom as one does."""

    def test_the_levels_of_all_uses_together(self) -> None:
        levels = [level_of_use(j) for j in range(1, 10_001)]
        assert levels == sorted(levels, reverse=True)
        assert 1.0499 * ALPHA < sum(levels) < 1.05 * ALPHA

    @pytest.mark.parametrize("rates", [(0.04, 0.03), (0.099, 0.089)])
    def test_asked_after_every_hundred_rows(self, rates: tuple[float, float]) -> None:
        rng = np.random.default_rng(20_260_301)
        wrong = right = np.zeros(N_STREAMS, dtype=np.int64)
        has_passed = np.zeros(N_STREAMS, dtype=np.bool_)
        for look in range(1, 101):
            new = rng.multinomial(100, [*rates, 1 - sum(rates)], size=N_STREAMS)
            wrong, right = wrong + new[:, 0], right + new[:, 1]
            has_passed |= shows_not_worse(
                wrong, right, n=100 * look, margin=MARGIN, alpha=level_of_use(look)
            )
        assert has_passed.mean() <= allowed(N_STREAMS)

    @pytest.mark.parametrize("rates", [(0.04, 0.03), (0.099, 0.089)])
    def test_best_of_twenty_candidates(self, rates: tuple[float, float]) -> None:
        rng = np.random.default_rng(20_260_302)
        has_passed = np.zeros(N_STREAMS, dtype=np.bool_)
        without_ledger = has_passed.copy()
        for use in range(1, 21):
            wrong, right, _ = rng.multinomial(2_000, [*rates, 1 - sum(rates)], size=N_STREAMS).T
            has_passed |= shows_not_worse(
                wrong, right, n=2_000, margin=MARGIN, alpha=level_of_use(use)
            )
            without_ledger |= shows_not_worse(wrong, right, n=2_000, margin=MARGIN, alpha=ALPHA)
        assert has_passed.mean() <= allowed(N_STREAMS)
        assert without_ledger.mean() > 0.5, "this is what the ledger is for"


POLICY = {"rule": [{"name": "not_worse", "metric": "accuracy", "margin": MARGIN}]}


def registry_of(n_models: int, *, repetitions: int) -> detent.Registry:
    """Return a registry of models that answer with a column of their rows, each with its own."""
    registry = detent.connect("memory:", user="ana")
    truth = np.arange(2)
    for repetition in range(repetitions):
        name = f"m{repetition}"
        for column in range(n_models):
            X = np.zeros((2, n_models))
            X[:, column] = truth
            registry.register(name, DecisionTreeClassifier().fit(X, truth))
        registry.activate(f"{name}/1", "production", reason="the first")
        registry.set_policy(f"{name}@production", POLICY)
    return registry


class TestThroughTheRegistry:
    """The same, where the registry counts the uses."""

    def test_best_of_twenty_candidates(self) -> None:
        rng, repetitions, n_candidates = np.random.default_rng(20_260_303), 5, 20
        registry = registry_of(1 + n_candidates, repetitions=repetitions)
        n_passed = 0
        for repetition in range(repetitions):
            model = f"m{repetition}"
            X, y, tables = _answers(rng, 2_000, 1 + n_candidates)
            registry.evaluate(f"{model}/1", X, y, dataset="holdout", metrics=["accuracy"])
            outcomes = []
            for use, counts in enumerate(tables, 1):
                candidate = f"{model}/{use + 1}"
                registry.evaluate(candidate, X, y, dataset="holdout", metrics=["accuracy"])
                outcomes.append(_judged(registry, candidate, counts, use))
            n_passed += detent.Outcome.PASS in outcomes
        assert _is_likely(n_passed, repetitions)

    def test_asked_after_every_hundred_rows(self) -> None:
        rng, repetitions = np.random.default_rng(20_260_304), 8
        registry = registry_of(2, repetitions=repetitions)
        n_passed = 0
        for repetition in range(repetitions):
            model = f"m{repetition}"
            X, y, _ = _answers(rng, 1_000, 2)
            outcomes = []
            for use, n in enumerate(range(100, 1_001, 100), 1):
                for version in (1, 2):
                    registry.evaluate(
                        f"{model}/{version}", X[:n], y[:n], dataset="grown", metrics=["accuracy"]
                    )
                right = X[:n] == y[:n, None]
                counts = count_pairs(right[:, 0], right[:, 1])
                outcomes.append(_judged(registry, f"{model}/2", counts, use))
            n_passed += detent.Outcome.PASS in outcomes
        assert _is_likely(n_passed, repetitions)


def _judged(
    registry: detent.Registry, candidate: str, counts: PairedCounts, use: int
) -> detent.Outcome:
    """Ask the gate, and see that it judged this table as this use of the rows."""
    decision = registry.gate(candidate, "production")
    result = next(one for one in decision.results if one.rule == "not_worse")
    assert result.evidence["use"] == use
    verdict = judge_counts(counts, margin=MARGIN, alpha=level_of_use(use))
    assert (decision.outcome is detent.Outcome.PASS) == (verdict in PASS)
    return decision.outcome


def _answers(
    rng: np.random.Generator, n: int, n_models: int
) -> tuple[np.ndarray, np.ndarray, list[PairedCounts]]:
    """Return rows that hold each model's answers, true values, and each candidate's table."""
    y = rng.integers(0, 2, n)
    is_right = np.empty((n, n_models), dtype=np.bool_)
    is_right[:, 0] = rng.random(n) < 0.9
    old = is_right[:, :1]
    # One point worse: 4 % of all rows newly wrong, 3 % newly right.
    flips = rng.random((n, n_models - 1)) < np.where(old, 0.04 / 0.9, 0.03 / 0.1)
    is_right[:, 1:] = old ^ flips
    X = np.where(is_right, y[:, None], 1 - y[:, None]).astype(np.float64)
    tables = [count_pairs(old[:, 0], new) for new in is_right[:, 1:].T]
    return X, y, tables


def _is_likely(n_passed: int, repetitions: int) -> bool:
    """Say whether chance gives so many passes at the bound at least once in a thousand times."""
    p = 1.05 * ALPHA
    at_least = sum(
        math.comb(repetitions, k) * p**k * (1 - p) ** (repetitions - k)
        for k in range(n_passed, repetitions + 1)
    )
    return at_least > 0.001


def test_the_recipe_is_undecided_and_says_how_many_rows_would_do() -> None:
    from detent.comparison.differences import difference_of_counts

    same = difference_of_counts(
        PairedCounts(both_right=50, newly_wrong=0, newly_right=0, both_wrong=4), margin=MARGIN
    )
    assert same.verdict is Verdict.UNDECIDED
    assert same.rows_needed == 268
    assert judge_counts(table(0, 0, 267), margin=MARGIN) is Verdict.UNDECIDED
    assert judge_counts(table(0, 0, 268), margin=MARGIN) is Verdict.NOT_WORSE
