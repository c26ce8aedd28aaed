"""Streams of labels, many at once: where evidence of harm ends each."""

import math
from collections.abc import Callable

import numpy as np

from detent.stats.evidence import PairedEvidence, Side

SEED = 20_260_301


def stopping_labels(
    *,
    wrong: float,
    right: float,
    margin: float,
    alpha: float,
    n_streams: int,
    n_labels: int,
    on_stop: Callable[[int, int, int], None] = lambda _wrong, _right, _n: None,
) -> np.ndarray:
    """Return for each stream the label at which evidence of harm exceeds 1 / alpha, or infinity.

    It can do so at a newly wrong row only (and, with a margin, falls at rows that are alike), so
    only rows on which the versions disagree are drawn, with the numbers of rows between them.

    `on_stop` is told the counts of each stream that ends: newly wrong, newly right, all.
    """
    rng = np.random.default_rng(SEED)
    harm = PairedEvidence(Side.HARM, margin=margin)
    bets = np.array(harm._logs)
    limit = math.log(1 / alpha)
    label = np.zeros(n_streams, dtype=np.int64)
    wrongs, rights = label.copy(), label.copy()
    stopped = np.full(n_streams, np.inf)
    running = np.arange(n_streams)
    disagree = wrong + right
    while len(running):
        label[running] += rng.geometric(disagree, len(running))
        running = running[label[running] <= n_labels]
        is_wrong = rng.random(len(running)) < wrong / disagree
        wrongs[running] += is_wrong
        rights[running] += ~is_wrong
        asked = running[is_wrong]
        same = label[asked] - wrongs[asked] - rights[asked]
        logs = (
            wrongs[asked, None] * bets[:, 0]
            + rights[asked, None] * bets[:, 1]
            + same[:, None] * bets[:, 2]
        )
        most = logs.max(axis=1)
        value = most + np.log(np.exp(logs - most[:, None]).mean(axis=1))
        ended = asked[value >= limit]
        stopped[ended] = label[ended]
        for stream in ended.tolist():
            on_stop(int(wrongs[stream]), int(rights[stream]), int(label[stream]))
        running = running[np.isinf(stopped[running])]
    return stopped
