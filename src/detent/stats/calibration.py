"""Whether probabilities mean what they say. Printed and drawn, never gated: gate on Brier loss."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from detent.errors import InvalidError
from detent.stats.arrays import Floats, as_flags, as_values, check_same_length
from detent.stats.checks import check_count

N_BINS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Rows of nearly equal probability: their mean probability, and how often it happened."""

    low: float
    high: float
    n: int
    mean_probability: float
    share: float


def reliability(
    probabilities: ArrayLike, happened: ArrayLike, *, n_bins: int = N_BINS
) -> tuple[Bin, ...]:
    """Compare probabilities with how often what they speak of happened.

    Parameters
    ----------
    probabilities : array of float, shape (n_samples,)
        Each in [0, 1].
    happened : array of bool, shape (n_samples,)
        Whether it did; for the answers of a classifier, whether they were right.
    n_bins : int, default=15
        Bins of equal width, 1 or more.

    Returns
    -------
    tuple of Bin
        From low to high; empty bins are left out.

    Raises
    ------
    InvalidError
        If there are no rows, lengths differ, or a probability is missing or outside [0, 1].

    Examples
    --------
    >>> [(b.n, b.share) for b in reliability([0.1, 0.1, 0.9], [False, True, True], n_bins=2)]
    [(2, 0.5), (1, 1.0)]
    """
    check_count("n_bins", n_bins, at_least=1)
    taken, outcomes = as_values("probabilities", probabilities), as_flags("happened", happened)
    check_same_length(probabilities=taken, happened=outcomes)
    if taken.min() < 0 or taken.max() > 1:
        raise InvalidError("`probabilities` has values outside [0, 1]")
    place = np.clip(np.ceil(taken * n_bins).astype(np.int64) - 1, 0, n_bins - 1)
    counts = np.bincount(place, minlength=n_bins)
    sums = np.bincount(place, weights=taken, minlength=n_bins)
    hits = np.bincount(place, weights=outcomes, minlength=n_bins)
    return tuple(
        Bin(
            low=i / n_bins,
            high=(i + 1) / n_bins,
            n=int(counts[i]),
            mean_probability=float(sums[i] / counts[i]),
            share=float(hits[i] / counts[i]),
        )
        for i in range(n_bins)
        if counts[i]
    )


def calibration_error(
    probabilities: ArrayLike, happened: ArrayLike, *, n_bins: int = N_BINS
) -> float:
    """Return the expected calibration error: how far bins' probabilities lie from their shares.

    Never 0 by chance alone: see `calibration_error_of_chance` for what a perfect model has.
    Guo, Pleiss, Sun, Weinberger (2017), On calibration of modern neural networks, equation 3.

    Parameters
    ----------
    probabilities, happened, n_bins
        As for `reliability`.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    InvalidError
        As `reliability`.

    Examples
    --------
    >>> happened = [True, False, True, True]
    >>> round(calibration_error([0.95, 0.95, 0.85, 0.65], happened, n_bins=10), 6)
    0.35
    """
    bins = reliability(probabilities, happened, n_bins=n_bins)
    n = sum(one.n for one in bins)
    return sum(one.n / n * abs(one.share - one.mean_probability) for one in bins)


def calibration_error_of_chance(
    probabilities: ArrayLike, *, n_bins: int = N_BINS, n_draws: int = 200, seed: int = 0
) -> Floats:
    """Draw calibration errors that these probabilities would have if they were perfectly true.

    Parameters
    ----------
    probabilities, n_bins
        As for `reliability`.
    n_draws : int, default=200
        How many to draw, 1 or more.
    seed : int, default=0
        Of the draws.

    Returns
    -------
    array of float, shape (n_draws,)
        Sorted: an observed error above the 95th of 100 is more than chance gives.

    Raises
    ------
    InvalidError
        As `reliability`.

    Examples
    --------
    >>> bool(calibration_error_of_chance([0.9] * 50).mean() > 0)
    True
    """
    check_count("n_draws", n_draws, at_least=1)
    taken = as_values("probabilities", probabilities)
    rng = np.random.default_rng(seed)
    draws = [
        calibration_error(taken, rng.random(len(taken)) < taken, n_bins=n_bins)
        for _ in range(n_draws)
    ]
    return np.sort(np.array(draws))
