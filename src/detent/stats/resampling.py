"""Resamples without resampling rows.

Rows that add the same to every total are one *kind*. Drawing n rows with replacement is drawing
how many of each kind come: a multinomial on the number of kinds, eight for two versions of a
binary classifier however many rows there are. This is the bootstrap itself, not an approximation.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from detent.errors import InvalidError
from detent.stats.arrays import Floats, Ints
from detent.stats.checks import check_count, check_share
from detent.stats.interval import Interval

N_RESAMPLES = 10_000
_CELLS_AT_ONCE = 1 << 22  # numbers of one block of resamples: 32 MB


def multinomial_blocks(
    counts: Ints, *, n_resamples: int, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Yield resamples of counts, in blocks of shape (some resamples, kinds)."""
    check_count("n_resamples", n_resamples, at_least=1)
    n = int(counts.sum())
    shares = counts / n
    for size in blocks(n_resamples, len(counts)):
        yield rng.multinomial(n, shares, size=size)


def swap_blocks(
    counts: Ints, *, n_resamples: int, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Yield how many of each kind change baseline and candidate, each by the toss of a coin."""
    check_count("n_resamples", n_resamples, at_least=1)
    for size in blocks(n_resamples, len(counts)):
        yield rng.binomial(counts, 0.5, size=(size, len(counts)))


def blocks(n_resamples: int, width: int) -> Iterator[int]:
    """Yield sizes of blocks of resamples that fit into memory; together `n_resamples`."""
    most = max(_CELLS_AT_ONCE // max(width, 1), 1)
    for start in range(0, n_resamples, most):
        yield min(most, n_resamples - start)


def percentile_interval(draws: Floats, confidence: float) -> Interval:
    """Return the interval that holds the middle of resampled values."""
    check_share("confidence", confidence)
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Interval(low=float(low), high=float(high), confidence=confidence)


def p_of_resamples(draws: Floats) -> tuple[float, float]:
    """Return p for "better" and for "worse": how many resampled differences deny it.

    Ties count against the claim, and the observed rows as one resample more: never 0.
    """
    total = len(draws) + 1
    deny_better = int(np.count_nonzero(draws <= 0)) + 1
    deny_worse = int(np.count_nonzero(draws >= 0)) + 1
    return deny_better / total, deny_worse / total


def kinds(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], Ints]:
    """Return the distinct rows of a table, and how often each occurs."""
    if len(rows) == 0:
        raise InvalidError("there are no rows to resample")
    distinct, counts = np.unique(rows, axis=0, return_counts=True)
    return distinct, counts.astype(np.int64)
