"""Bootstrap intervals: of a mean, however many rows there are, and of any function of rows."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detent.errors import InvalidError
from detent.stats.arrays import Floats, as_values, check_same_length
from detent.stats.checks import check_count, check_share
from detent.stats.distributions import normal_cdf, normal_quantile
from detent.stats.groups import group_indices
from detent.stats.interval import Interval
from detent.stats.resampling import N_RESAMPLES, blocks

N_BINS = 256  # classes of nearly equal values, from which large samples are drawn
_N_BINNED = 5_000  # values from which on that is done


class BootstrapMethod(StrEnum):
    """How resampled values become an interval.

    ``PERCENTILE`` takes their middle. ``BASIC`` mirrors it at the estimate. ``BCA`` corrects for
    bias and skewness, and is the one for skewed losses.
    """

    PERCENTILE = "percentile"
    BASIC = "basic"
    BCA = "BCa"


@dataclass(frozen=True, slots=True, kw_only=True)
class Jackknife:
    """What leaving out one row at a time tells: standard error and acceleration (skewness)."""

    standard_error: float
    acceleration: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """An estimate, its interval, and the standard deviation of its resamples.

    ``n`` is the number of rows, or of groups where groups were given.
    """

    estimate: float
    interval: Interval
    standard_error: float
    n: int
    n_resamples: int
    method: BootstrapMethod


def bootstrap_mean(
    values: ArrayLike,
    *,
    method: BootstrapMethod = BootstrapMethod.BCA,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Bootstrap:
    """Bootstrap interval of a mean.

    From 5,000 values on, 256 classes of nearly equal values are drawn instead of the values: the
    mean is exactly theirs, and the variance within classes is added as normal noise, so that a
    million values take no longer than some thousand.

    Parameters
    ----------
    values : array of float, shape (n_samples,)
        Of independent units; 2 or more.
    method : BootstrapMethod, default=BCA
        How the interval is made.
    confidence : float, default=0.95
        Nominal coverage, between 0 and 1.
    n_resamples : int, default=10000
        Resamples.
    seed : int, default=0
        Of the resampling: the same seed gives the same result.

    Returns
    -------
    Bootstrap
        In the unit of the values.

    Raises
    ------
    InvalidError
        If there are fewer than 2 values, one is missing or infinite, or an argument is out of its
        range.

    References
    ----------
    .. [1] Efron, B., Tibshirani, R. J. (1993). An introduction to the bootstrap, chapters 13, 14.
       Chapman and Hall. doi:10.1201/9780429246593

    Examples
    --------
    >>> result = bootstrap_mean([1.0, 2.0, 2.0, 3.0, 9.0])
    >>> result.estimate, result.interval.low < 3.4 < result.interval.high
    (3.4, True)
    """
    taken = as_values("values", values, at_least=2)
    check_count("n_resamples", n_resamples, at_least=1)
    estimate = float(taken.mean())
    rng = np.random.default_rng(seed)
    if len(taken) < _N_BINNED:
        draws = _resampled_means(taken, n_resamples, rng)
    else:
        draws = _binned_means(taken, n_resamples, rng)
    return _result(
        estimate,
        draws,
        acceleration=_acceleration(taken - estimate),
        n=len(taken),
        method=method,
        confidence=confidence,
    )


def _resampled_means(values: Floats, n_resamples: int, rng: np.random.Generator) -> Floats:
    n = len(values)
    return np.concatenate(
        [values[rng.integers(0, n, size=(size, n))].mean(axis=1) for size in blocks(n_resamples, n)]
    )


def _binned_means(values: Floats, n_resamples: int, rng: np.random.Generator) -> Floats:
    n = len(values)
    ordered = np.sort(values)
    starts = np.arange(N_BINS) * n // N_BINS
    sizes = np.diff(starts, append=n)
    means = np.add.reduceat(ordered, starts) / sizes
    within = float(np.mean((ordered - np.repeat(means, sizes)) ** 2))
    counts = rng.multinomial(n, sizes / n, size=n_resamples)
    draws: Floats = counts @ means / n + math.sqrt(within / n) * rng.standard_normal(n_resamples)
    return draws


def jackknife(statistic: Callable[..., float], *arrays: ArrayLike) -> Jackknife:
    """Leave out one row at a time.

    Parameters
    ----------
    statistic : callable
        Takes arrays of one length, returns a number. Called once a row.
    *arrays : array, first dimension n_samples
        Rows; 2 or more.

    Returns
    -------
    Jackknife
        The acceleration is that of BCa intervals: 0 where the statistic is not skewed.

    Raises
    ------
    InvalidError
        If there are fewer than 2 rows, lengths differ, or the statistic is not finite.

    Examples
    --------
    >>> jackknife(np.mean, [1.0, 2.0, 3.0]).acceleration
    0.0
    """
    taken, n = _rows(arrays)
    is_kept = np.ones(n, dtype=np.bool_)
    values = np.empty(n)
    for i in range(n):
        is_kept[i] = False
        values[i] = _value(statistic, [array[is_kept] for array in taken])
        is_kept[i] = True
    gaps = values.mean() - values
    error = math.sqrt((n - 1) / n * float(np.sum(gaps**2)))
    return Jackknife(standard_error=error, acceleration=_acceleration(gaps))


def bootstrap_statistic(
    statistic: Callable[..., float],
    *arrays: ArrayLike,
    groups: ArrayLike | None = None,
    method: BootstrapMethod = BootstrapMethod.PERCENTILE,
    confidence: float = 0.95,
    n_resamples: int = 1_000,
    seed: int = 0,
) -> Bootstrap:
    """Bootstrap interval of any function of rows, such as a user's own metric.

    The slow way, for what has no better one: the function is called for each resample.

    Parameters
    ----------
    statistic : callable
        Takes arrays of one length, returns a finite number. For a paired comparison it computes
        the difference from the answers of both versions, so that both see the same resample.
    *arrays : array, first dimension n_samples
        Rows; 2 or more.
    groups : array, shape (n_samples,), optional
        To whom a row belongs: then groups are resampled.
    method : BootstrapMethod, default=PERCENTILE
        How the interval is made. BCa calls the function once a row more, and takes no groups.
    confidence : float, default=0.95
        Nominal coverage, between 0 and 1.
    n_resamples : int, default=1000
        Resamples.
    seed : int, default=0
        Of the resampling.

    Returns
    -------
    Bootstrap
        In the unit of the statistic.

    Raises
    ------
    InvalidError
        If the rows are too few or do not match, BCa is asked for with groups, or the function
        raises or returns something that is not a finite number.

    Examples
    --------
    >>> rows = [1.0, 2.0, 3.0, 4.0, 10.0]
    >>> bootstrap_statistic(lambda values: float(np.median(values)), rows).estimate
    3.0
    """
    taken, n = _rows(arrays)
    check_count("n_resamples", n_resamples, at_least=1)
    if groups is None:
        n_units, members = n, None
    else:
        if method is BootstrapMethod.BCA:
            raise InvalidError("BCa intervals are not made for groups: take the percentile method")
        n_units, codes = group_indices(groups, n_rows=n)
        order = np.argsort(codes, kind="stable")
        members = np.split(order, np.cumsum(np.bincount(codes))[:-1])
    estimate = _value(statistic, taken)
    rng = np.random.default_rng(seed)
    draws = np.empty(n_resamples)
    for i in range(n_resamples):
        rows = rng.integers(0, n_units, size=n_units)
        if members is not None:
            rows = np.concatenate([members[group] for group in rows])
        draws[i] = _value(statistic, [array[rows] for array in taken])
    skew = jackknife(statistic, *taken).acceleration if method is BootstrapMethod.BCA else 0.0
    return _result(
        estimate, draws, acceleration=skew, n=n_units, method=method, confidence=confidence
    )


def _result(
    estimate: float,
    draws: Floats,
    *,
    acceleration: float,
    n: int,
    method: BootstrapMethod,
    confidence: float,
) -> Bootstrap:
    check_share("confidence", confidence)
    tails = ((1 - confidence) / 2, (1 + confidence) / 2)
    if method is BootstrapMethod.BCA:
        tails = _bca_tails(tails, estimate, draws, acceleration)
    low, high = np.quantile(draws, tails).tolist()
    if method is BootstrapMethod.BASIC:
        low, high = 2 * estimate - high, 2 * estimate - low
    return Bootstrap(
        estimate=estimate,
        interval=Interval(low=low, high=high, confidence=confidence),
        standard_error=float(draws.std()),
        n=n,
        n_resamples=len(draws),
        method=method,
    )


def _bca_tails(
    tails: tuple[float, float], estimate: float, draws: Floats, acceleration: float
) -> tuple[float, float]:
    # Half of the ties lie below; half a resample keeps the share away from 0 and 1.
    below = np.count_nonzero(draws < estimate) + np.count_nonzero(draws == estimate) / 2
    bias = normal_quantile((float(below) + 0.5) / (len(draws) + 1))

    def corrected(tail: float) -> float:
        z = bias + normal_quantile(tail)
        scale = 1 - acceleration * z
        return normal_cdf(bias + z / scale) if scale > 0 else float(z > 0)

    return corrected(tails[0]), corrected(tails[1])


def _acceleration(gaps: Floats) -> float:
    squares = gaps * gaps
    total = float(squares.sum())
    # Not gaps**3: NumPy's general power takes ten times as long.
    return float(squares @ gaps) / (6 * total**1.5) if total > 0 else 0.0


def _rows(arrays: tuple[ArrayLike, ...]) -> tuple[list[NDArray[Any]], int]:
    taken = [np.asarray(array) for array in arrays]
    if not taken or any(array.ndim == 0 for array in taken):
        raise InvalidError("arrays with one row a sample are expected")
    check_same_length(**{f"array {i}": array for i, array in enumerate(taken)})
    if len(taken[0]) < 2:
        raise InvalidError(f"there are {len(taken[0])} rows: 2 or more are needed")
    return taken, len(taken[0])


def _value(statistic: Callable[..., float], arrays: list[NDArray[Any]]) -> float:
    try:
        value = float(statistic(*arrays))
    except Exception as error:
        raise InvalidError(f"the metric raised {type(error).__name__}: {error}") from error
    if not math.isfinite(value):
        raise InvalidError(f"the metric returned {value}: a finite number is expected")
    return value
