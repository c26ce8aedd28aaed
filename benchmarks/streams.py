"""How often evidence label by label errs, and how many labels it takes: 20,000 streams of labels.

The limits of errors are 5 % and 1 %, with three standard errors of the simulation; those of labels
are multiples of a bound that no rule with the same guarantee can beat (`mean_labels_at_least`).
Each stream that ends is shown to the monitor of rollouts, which has to see harm there, and none at
the newly wrong row before.
"""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tests.property.streams import stopping_labels

from benchmarks.measure import Row
from detent import Plan
from detent.domain.clock import utc_now
from detent.rollout.counting import ERRORS, WRONG, Counts, Pairs
from detent.rollout.monitor import read_signals
from detent.stats.planning import mean_labels_at_least
from detent.testing.rollouts import make_rollout

N_STREAMS = 20_000
N_LABELS = 100_000
RIGHT = 0.03  # newly right: what a version trained on more data gains


def monitored(margin: float, alpha: float) -> Callable[[int, int, int], None]:
    """Return what shows the counts of a stream that ended to the monitor of a rollout."""
    now = utc_now()
    plan = Plan(alpha=alpha, error_limit=margin or 0.01)
    name = ERRORS if margin else WRONG  # of failures some more are allowed, of wrong answers none
    rollout = make_rollout(plan=plan, at=now, phase_at=now)

    def verdict(wrong: int, right: int, n: int) -> str:
        counts = Counts(paired={name: Pairs(n=n, worse=wrong, better=right)})
        (signal,) = read_signals(counts, rollout)
        return signal.verdict

    def check(wrong: int, right: int, n: int) -> None:
        assert verdict(wrong, right, n) == "harm", (wrong, right, n)
        assert verdict(wrong - 1, right, n - 1) != "harm", (wrong, right, n)

    return check


def measure(
    folder: Path, *, n_streams: int = N_STREAMS, n_labels: int = N_LABELS, repeats: int = 1
) -> list[Row]:
    rows = []
    streams = f"{n_streams:,} streams of {n_labels:,} labels"
    for loss, margin, alpha in ((0.0, 0.0, 0.05), (0.0, 0.0, 0.01), (0.01, 0.01, 0.05)):
        stopped = stopping_labels(
            wrong=RIGHT + loss,
            right=RIGHT,
            margin=margin,
            alpha=alpha,
            n_streams=n_streams,
            n_labels=n_labels,
            on_stop=monitored(margin, alpha),
        )
        rate = float(np.isfinite(stopped).mean())
        what = f"false rollbacks, {100 * loss:g} points worse and {100 * margin:g} allowed"
        slack = 3 * math.sqrt(alpha * (1 - alpha) / n_streams) / alpha
        rows.append(
            Row(
                what=what,
                peer=f"alpha of {100 * alpha:g} %; {streams}",
                ours=10_000 * rate,
                theirs=10_000 * alpha,
                limit=round(1 + slack, 3),
                unit="in 10,000",
            )
        )
    for loss in (0.01, 0.02, 0.05):
        stopped = stopping_labels(
            wrong=RIGHT + loss,
            right=RIGHT,
            margin=0.0,
            alpha=0.05,
            n_streams=n_streams,
            n_labels=n_labels,
            on_stop=monitored(0.0, 0.05),
        )
        rows.append(
            Row(
                what=f"mean labels until rollback, {100 * loss:g} points worse",
                peer="what no valid rule beats",
                ours=float(np.minimum(stopped, n_labels).mean()),
                theirs=mean_labels_at_least(
                    newly_wrong_rate=RIGHT + loss, newly_right_rate=RIGHT, alpha=0.05
                ),
                limit=1.45,
                unit="labels",
            )
        )
    return rows
