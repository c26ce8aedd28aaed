"""Evidence label by label errs as seldom as it says, however often one looks.

`docs/statistics.md`: "Their money exceeds 1 / alpha with a probability of at most alpha, ever."
"""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.property.streams import stopping_labels

from detent.errors import InvalidError
from detent.stats.detector import ChangeDetector, sprt_log_ratio
from detent.stats.evidence import (
    N_BETS,
    BoundedEvidence,
    CanaryEvidence,
    CanaryState,
    PairedEvidence,
    Side,
    bets_of,
    sign_mixture,
)
from detent.stats.planning import mean_labels_at_least
from detent.stats.traffic import log_split_evidence

GAINS = st.lists(st.sampled_from([-1, 0, 1]), max_size=60)
SIDES = st.sampled_from(Side)
MARGINS = st.sampled_from([0.0, 0.01, 0.1])
ALPHA = 0.05


def most(repetitions: int, alpha: float = ALPHA) -> float:
    """Return what a share of false alarms is at most, but for 3 standard errors."""
    return alpha + 3 * math.sqrt(alpha * (1 - alpha) / repetitions)


class TestOneRule:
    """The same evidence in several ways: from counts, gain by gain, and by its definition."""

    @given(GAINS, SIDES, MARGINS)
    def test_counts_are_gains_one_by_one(self, gains: list[int], side: Side, margin: float) -> None:
        one_by_one = BoundedEvidence(side, margin=margin)
        for gain in gains:
            one_by_one.add(gain)
        wrong, right = gains.count(-1), gains.count(1)
        counted = PairedEvidence(side, margin=margin).log_value(wrong, right, len(gains))
        assert one_by_one.log_value() == pytest.approx(counted, abs=1e-9)
        sign = -1 if side is Side.HARM else 1
        wealth = [
            math.prod(1 + bet * (sign * gain - m) for gain in gains)
            for m, bet in bets_of(side, margin)
        ]
        assert math.exp(counted) == pytest.approx(sum(wealth) / N_BETS)

    @given(SIDES, MARGINS, st.floats(0, 1), st.integers(0, 40), st.integers(0, 40))
    def test_no_next_row_gains_where_the_claim_is_just_untrue(
        self, side: Side, margin: float, rate: float, wrong: int, right: int
    ) -> None:
        # A row's shares of newly wrong and newly right whose difference is the margin itself.
        rate = max(rate, margin)
        p_wrong, p_right = (rate + margin) / 2, (rate - margin) / 2
        evidence, n = PairedEvidence(side, margin=margin), wrong + right + 5
        expected = (
            p_wrong * evidence.value(wrong + 1, right, n + 1)
            + p_right * evidence.value(wrong, right + 1, n + 1)
            + (1 - rate) * evidence.value(wrong, right, n + 1)
        )
        assert expected == pytest.approx(evidence.value(wrong, right, n), rel=1e-9)

    @given(GAINS, MARGINS)
    def test_the_detector_is_its_recursion(self, gains: list[int], margin: float) -> None:
        detector = ChangeDetector(margin=margin)
        for gain in gains:
            detector.add(gain)
        # Evidence begun at each label, added up.
        total = 0.0
        for begin in range(len(gains)):
            since = gains[begin:]
            total += PairedEvidence(Side.HARM, margin=margin).value(
                since.count(-1), since.count(1), len(since)
            )
        assert detector.value == pytest.approx(total, rel=1e-9)

    @given(GAINS, st.integers(0, 60))
    def test_a_restart_changes_nothing(self, gains: list[int], at: int) -> None:
        through, detector = BoundedEvidence(Side.SAFE, margin=0.01), ChangeDetector()
        canary = CanaryEvidence(Side.HARM, weight=0.2)
        again, again_detector, again_canary = through, detector, canary
        for i, gain in enumerate(gains):
            if i == at:
                again = BoundedEvidence(Side.SAFE, margin=0.01, state=through.state)
                again_detector = ChangeDetector(state=detector.state)
                again_canary = CanaryEvidence(Side.HARM, weight=0.2, state=canary.state)
            for one in {id(through): through, id(again): again}.values():
                one.add(gain)
            for two in {id(detector): detector, id(again_detector): again_detector}.values():
                two.add(gain)
            for three in {id(canary): canary, id(again_canary): again_canary}.values():
                three.add(is_candidate=gain == 0, loss=abs(gain))
        assert through.state == again.state
        assert detector.state == again_detector.state
        assert canary.state == again_canary.state

    @given(st.integers(0, 200), st.integers(0, 200))
    def test_the_mixture_of_signs_is_its_integral(self, wrong: int, right: int) -> None:
        q = np.linspace(0.5, 1, 20_001)[1:-1]
        logs = wrong * np.log(2 * q) + right * np.log(2 * (1 - q))
        integral = np.exp(logs).mean()
        assert sign_mixture(wrong, right) == pytest.approx(integral, rel=2e-2)

    def test_what_is_needed_to_roll_back(self) -> None:
        harm = PairedEvidence(Side.HARM)

        def losses(k: int) -> int:
            return next(b for b in range(k + 1) if harm.value(b, k - b, k) >= 1 / ALPHA)

        assert [losses(k) for k in (10, 20, 30, 50, 100, 200)] == [10, 17, 23, 36, 65, 121]
        safe = PairedEvidence(Side.SAFE, margin=0.01)
        assert next(n for n in itertools.count(1) if safe.value(0, 0, n) >= 1 / ALPHA) == 644

    @given(st.integers(0, 50), st.integers(0, 50))
    def test_a_ratio_of_likelihoods_turns_round(self, hits: int, misses: int) -> None:
        there = sprt_log_ratio(hits, misses, supposed=0.5, other=0.7)
        back = sprt_log_ratio(hits, misses, supposed=0.7, other=0.5)
        assert there == pytest.approx(-back, abs=1e-9)


class TestErrors:
    """False alarms of versions that are as good as they should be, from seeds that are stated."""

    @pytest.mark.parametrize(("margin", "loss"), [(0.0, 0.0), (0.01, 0.01)])
    def test_streams_of_right_and_wrong_answers(self, margin: float, loss: float) -> None:
        stopped = stopping_labels(
            wrong=0.03 + loss,
            right=0.03,
            margin=margin,
            alpha=ALPHA,
            n_streams=4_000,
            n_labels=20_000,
        )
        assert 0 < np.isfinite(stopped).mean() <= most(4_000)

    @pytest.mark.parametrize("loss", [0.02, 0.05])
    def test_labels_until_rollback(self, loss: float) -> None:
        stopped = stopping_labels(
            wrong=0.03 + loss, right=0.03, margin=0.0, alpha=ALPHA, n_streams=2_000, n_labels=50_000
        )
        bound = mean_labels_at_least(0.03 + loss, 0.03)
        assert np.isfinite(stopped).all()
        slack = 3 * stopped.std() / math.sqrt(len(stopped))
        assert bound - slack <= stopped.mean() <= 1.45 * bound + slack

    def test_simulated_streams_stop_where_evidence_does(self) -> None:
        """Every row is evidence on a newly wrong row only: skipping the others loses nothing."""
        rng, harm = np.random.default_rng(3), PairedEvidence(Side.HARM, margin=0.01)
        for _ in range(20):
            gains = rng.choice([-1, 0, 1], 400, p=[0.3, 0.6, 0.1]).tolist()
            values = [
                harm.log_value(gains[:n].count(-1), gains[:n].count(1), n) for n in range(401)
            ]
            rises = [i for i in range(400) if values[i + 1] > values[i] + 1e-12]
            assert all(gains[i] == -1 for i in rises)

    @pytest.mark.parametrize("side", Side)
    def test_bounded_differences_at_the_edge(self, side: Side) -> None:
        rng, repetitions, margin = np.random.default_rng(4), 300, 0.1
        alarms = 0
        for _ in range(repetitions):
            evidence = BoundedEvidence(side, margin=margin)
            for gain in (rng.beta(2, 2, 300) - 0.5 - margin).tolist():  # its mean is -margin
                evidence.add(gain)
                if evidence.log_value() >= math.log(1 / ALPHA):
                    alarms += 1
                    break
        assert alarms / repetitions <= most(repetitions)

    @pytest.mark.parametrize("weight", [0.1, 0.5])
    def test_a_canary_of_equal_versions(self, weight: float) -> None:
        rng, repetitions = np.random.default_rng(5), 300
        alarms = 0
        for _ in range(repetitions):
            evidence = CanaryEvidence(Side.HARM, weight=weight)
            # Rows become harder, for both alike.
            losses = (rng.random(300) < np.linspace(0.05, 0.4, 300)).tolist()
            for loss, is_candidate in zip(losses, (rng.random(300) < weight).tolist(), strict=True):
                evidence.add(is_candidate=is_candidate, loss=float(loss))
                if evidence.log_value() >= math.log(1 / ALPHA):
                    alarms += 1
                    break
        assert alarms / repetitions <= most(repetitions)

    def test_a_split_that_is_right(self) -> None:
        rng, repetitions, alarms = np.random.default_rng(6), 300, 0
        for _ in range(repetitions):
            requests = np.cumsum(rng.random(300) < 0.2)
            alarms += any(
                log_split_evidence([n - taken, taken], [0.8, 0.2]) >= math.log(1 / ALPHA)
                for n, taken in enumerate(requests.tolist(), 1)
            )
        assert alarms / repetitions <= most(repetitions)

    @given(st.integers(0, 6), st.floats(0.1, 0.9))
    def test_evidence_of_a_split_is_fair(self, n: int, share: float) -> None:
        expected = sum(
            math.comb(n, k)
            * share**k
            * (1 - share) ** (n - k)
            * math.exp(log_split_evidence([k, n - k], [share, 1 - share]))
            for k in range(n + 1)
        )
        assert expected == pytest.approx(1)

    def test_labels_between_false_alarms(self) -> None:
        rng, repetitions, threshold = np.random.default_rng(7), 150, 200.0
        lengths = []
        for _ in range(repetitions):
            detector, n = ChangeDetector(threshold=threshold), 0
            while not detector.is_alarmed:
                detector.add(float(rng.choice((-1, 1))))
                n += 1
            lengths.append(n)
        error = float(np.std(lengths)) / math.sqrt(repetitions)
        assert np.mean(lengths) >= threshold - 3 * error


class TestBadInput:
    """A wrong state or label is a clear error."""

    @pytest.mark.parametrize("length", [0, 15, 17])
    @pytest.mark.parametrize("filler", [0.0, math.nan, math.inf])
    def test_a_wrong_state(self, length: int, filler: float) -> None:
        size = length if filler == 0 else N_BETS
        state = (filler,) * size
        for make in (
            lambda: BoundedEvidence(Side.HARM, state=state),
            lambda: ChangeDetector(state=state),
            lambda: CanaryEvidence(Side.HARM, weight=0.5, state=CanaryState(wealth=state)),
        ):
            with pytest.raises(InvalidError, match="state"):
                make()

    def test_a_state_that_no_detector_has(self) -> None:
        with pytest.raises(InvalidError, match="no state"):
            ChangeDetector(state=(-1.0,) * N_BETS)
        with pytest.raises(InvalidError, match="a loss of 3"):
            CanaryEvidence(Side.SAFE, weight=0.5, state=CanaryState(n=2, loss=3.0))

    @pytest.mark.parametrize("gain", [math.nan, math.inf, -math.inf])
    def test_a_label_that_is_no_number(self, gain: float) -> None:
        with pytest.raises(InvalidError):
            BoundedEvidence(Side.HARM).add(gain)
        with pytest.raises(InvalidError):
            ChangeDetector().add(gain)
        with pytest.raises(InvalidError):
            CanaryEvidence(Side.HARM, weight=0.5).add(is_candidate=True, loss=gain)

    @pytest.mark.parametrize("counts", [(-1, 0, 5), (0, -1, 5), (3, 3, 5)])
    def test_counts_that_are_none(self, counts: tuple[int, int, int]) -> None:
        with pytest.raises(InvalidError, match="no counts of"):
            PairedEvidence(Side.HARM).log_value(*counts)
