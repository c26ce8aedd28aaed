"""Whether scores have moved, where no label says if that is harm: shown, and no more than that."""

from __future__ import annotations

from detent.domain.rollout import Rollout, Signal
from detent.metadata.predictions import Predictions

SCORE_DRIFT = "score_drift"
_LEAST = 200  # rows, for a first look; then at twice as many, and so on
_MOST = 5000
_ALPHA = 0.01
_LOOKS = 5  # from 200 to 3,200 rows: the allowed probability is that of all together
_RESAMPLES = 600


class DriftWatch:
    """Compares the candidate's scores with the baseline's on the same rows, now and then."""

    def __init__(self) -> None:
        self._n = _LEAST
        self._found: tuple[Signal, ...] = ()

    def look(self, predictions: Predictions, rollout: Rollout) -> tuple[Signal, ...]:
        """Return what is known of the scores; nothing before there are enough."""
        if self._n > _MOST:
            return self._found
        scores = predictions.list_scores(rollout.id, limit=self._n)
        if len(scores) < self._n:
            return self._found
        self._n *= 2
        self._found = (_compare(scores, rollout),)
        return self._found


def _compare(scores: list[tuple[int, float, int, float]], rollout: Rollout) -> Signal:
    from detent.stats.drift import check_drift

    ours, theirs = [], []
    for version, score, _, shadow_score in scores:
        is_candidate = version == rollout.candidate
        ours.append(score if is_candidate else shadow_score)
        theirs.append(shadow_score if is_candidate else score)
    drift = check_drift(theirs, ours, alpha=_ALPHA / _LOOKS, n_resamples=_RESAMPLES)
    moved = "moved" if drift.is_beyond else "did not move"
    return Signal(
        name=SCORE_DRIFT,
        phase=rollout.phase,
        verdict="drift" if drift.is_beyond else "open",
        text=f"the scores {moved}: distance {drift.value:.3g}, threshold {drift.threshold:.3g}"
        f" (n = {len(ours):,}); that is no harm by itself",
        n=len(ours),
        evidence={
            "method": "Kolmogorov-Smirnov distance, resampled",
            "value": drift.value,
            "threshold": drift.threshold,
            "alpha": drift.alpha,
        },
    )
