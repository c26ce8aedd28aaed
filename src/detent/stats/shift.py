"""How far the values of an input have moved: counts in cells, compared with a reference.

The cells are made from the reference, once. From then on a value is the number of its cell, so that
what was seen is a few counts, which may be added up wherever they come from.
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from detent.errors import InvalidError
from detent.stats.checks import check_count, check_share
from detent.stats.distributions import normal_quantile

N_CELLS = 10  # of values; one more for other categories, and one for missing values
MOST_CELLS = N_CELLS + 2

Value = float | str | None  # None is missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The cells of one input, and how many values of the reference lie in each.

    Numbers lie between ``edges``, each of which begins the cell above it; texts are one of
    ``categories``, or of the others. The last of ``counts`` is that of missing values.
    """

    name: str
    counts: tuple[int, ...]
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] | None = None

    def place(self, value: Value) -> int:
        """Return the number of the cell in which a value lies."""
        if value is None:
            return len(self.counts) - 1
        if self.categories is not None:
            text = value if isinstance(value, str) else f"{value:g}"
            return self.categories.index(text) if text in self.categories else len(self.counts) - 2
        return len(self.counts) - 1 if isinstance(value, str) else bisect_right(self.edges, value)

    @property
    def labels(self) -> tuple[str, ...]:
        """What lies in each cell, in words."""
        if self.categories is not None:
            return (*self.categories, "others", "missing")
        if not self.edges:
            return ("any number", "missing")
        edges = [f"{edge:.6g}" for edge in self.edges]
        between = [f"{low} to {high}" for low, high in pairwise(edges)]
        return (f"below {edges[0]}", *between, f"{edges[-1]} and above", "missing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How far two samples are from each other, and what chance exceeds with a given probability.

    Both are Jensen-Shannon distances: 0 for equal shares, 1 where no cell has values of both.
    """

    distance: float
    chance: float

    @property
    def is_beyond(self) -> bool:
        """Whether the distance is larger than chance explains."""
        return self.distance > self.chance

    @property
    def least(self) -> float:
        """How far the sources of the samples are from each other at least."""
        # A distance obeys the triangle inequality: sampling moved each no further than that.
        return max(0.0, self.distance - self.chance)


def make_cells(name: str, values: Sequence[Value]) -> Cells:
    """Return cells for the values of one input: numbers in about equal shares, or categories.

    Parameters
    ----------
    name : str
        Of the input.
    values : sequence of float, str or None
        1 or more of the reference; None where one is missing. With any text among them, all are
        categories, of which the ten most frequent have a cell of their own.

    Raises
    ------
    InvalidError
        If there are no values, or a number is not finite.

    Examples
    --------
    >>> make_cells("age", [18.0, 30.0, 30.0, 64.0, None]).labels
    ('below 30', '30 to 64', '64 and above', 'missing')
    >>> make_cells("city", ["bonn", "bern", "bern"]).counts
    (2, 1, 0, 0)
    """
    if not values:
        raise InvalidError(f"there are no values of `{name}`")
    there = [value for value in values if value is not None]
    n_missing = len(values) - len(there)
    if any(isinstance(value, str) for value in there):
        texts = Counter(v if isinstance(v, str) else f"{v:g}" for v in there)
        most = sorted(texts.items(), key=lambda item: (-item[1], item[0]))[:N_CELLS]
        counts = [count for _, count in most]
        counts += [len(there) - sum(counts), n_missing]
        return Cells(name=name, counts=tuple(counts), categories=tuple(text for text, _ in most))
    numbers = np.asarray(there, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise InvalidError(f"a value of `{name}` is not finite")
    edges = _edges(numbers)
    counts = np.bincount(
        np.searchsorted(edges, numbers, side="right"), minlength=len(edges) + 1
    ).tolist()
    return Cells(name=name, counts=(*counts, n_missing), edges=tuple(edges))


def _edges(numbers: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> list[float]:
    """Return where cells begin: each has its part of what is left, a frequent value its own."""
    distinct, counts = np.unique(numbers, return_counts=True)
    reached = np.cumsum(counts)
    edges: list[float] = []
    done = 0
    for left in range(N_CELLS, 1, -1):
        if len(distinct) <= N_CELLS:
            return [float(value) for value in distinct[1:]]
        wanted = done + (len(numbers) - done) / left
        last = int(np.searchsorted(reached, wanted))
        if last + 1 >= len(distinct):
            break
        edges.append(float(distinct[last + 1]))
        done = int(reached[last])
    return edges


def js_distance(before: Sequence[float], now: Sequence[float]) -> float:
    """Return the Jensen-Shannon distance of two histograms, in [0, 1].

    The square root of the divergence in bits. Unlike the stability index it stays finite where a
    cell is empty, so that categories which are new need no special care.

    Parameters
    ----------
    before, now : sequence of float
        Counts or shares in the same cells, 0 or more, not only 0.

    Raises
    ------
    InvalidError
        If lengths differ, a count is negative or missing, or a histogram is empty.

    References
    ----------
    .. [1] Lin, J. (1991). Divergence measures based on the Shannon entropy. IEEE Trans. Inf.
       Theory 37(1), 145-151. doi:10.1109/18.61115
    .. [2] Endres, D. M., Schindelin, J. E. (2003). A new metric for probability distributions.
       IEEE Trans. Inf. Theory 49(7), 1858-1860. doi:10.1109/TIT.2003.813506

    Examples
    --------
    >>> js_distance([5, 5], [10, 10]), js_distance([1, 0], [0, 1])
    (0.0, 1.0)
    """
    old, new = np.asarray(before, dtype=np.float64), np.asarray(now, dtype=np.float64)
    if old.shape != new.shape or old.ndim != 1:
        raise InvalidError(f"histograms of {old.size} and {new.size} cells cannot be compared")
    if not (min(old.min(), new.min()) >= 0 and old.sum() > 0 and new.sum() > 0):
        raise InvalidError("histograms have counts of 0 or more, and not only 0")
    return float(_distances(old[None, :], new[None, :])[0])


def measure_shift(
    before: Sequence[int],
    now: Sequence[int],
    *,
    alpha: float = 0.01,
    n_draws: int = 1000,
    seed: int = 0,
) -> Shift:
    """Compare two samples of one input, with what chance alone would give.

    If nothing has moved, the samples are one that was divided by chance. It is divided anew many
    times; beyond the draws, the tail is that of a gamma distribution with their mean and
    variance, as is usual for permutation tests (by Wilson and Hilferty's cube root).

    Parameters
    ----------
    before, now : sequence of int
        Counts in the same cells, not only 0.
    alpha : float, default=0.01
        The probability with which chance exceeds ``chance``, between 0 and 0.5. Divide it by the
        number of inputs that are looked at.
    n_draws : int, default=1000
        How often the rows are divided, 100 or more.
    seed : int, default=0
        Of the draws.

    Raises
    ------
    InvalidError
        If an argument is out of its range, or the histograms cannot be compared.

    References
    ----------
    .. [1] Mielke, P. W., Berry, K. J. (2007). Permutation Methods: A Distance Function Approach,
       2nd ed. Springer. doi:10.1007/978-0-387-69813-7
    .. [2] Wilson, E. B., Hilferty, M. M. (1931). The distribution of chi-square. Proc. Natl. Acad.
       Sci. 17(12), 684-688. doi:10.1073/pnas.17.12.684

    Examples
    --------
    >>> measure_shift([500, 500, 0], [95, 105, 0]).is_beyond
    False
    >>> measure_shift([500, 500, 0], [95, 95, 10]).is_beyond
    True
    """
    check_share("alpha", 2 * alpha)
    check_count("n_draws", n_draws, at_least=100)
    for counts in (before, now):
        for count in counts:
            check_count("counts", count)
    distance = js_distance(before, now)
    both = np.asarray(before, dtype=np.int64) + np.asarray(now, dtype=np.int64)
    rng = np.random.default_rng(seed)
    drawn = rng.multivariate_hypergeometric(both, int(sum(now)), size=n_draws)
    squares = _distances(both - drawn, drawn) ** 2
    mean, variance = float(squares.mean()), float(squares.var())
    if variance <= 0:  # one cell holds everything
        return Shift(distance=distance, chance=math.sqrt(mean))
    degrees = 2 * mean * mean / variance
    cube = 1 - 2 / (9 * degrees) + normal_quantile(1 - alpha) * math.sqrt(2 / (9 * degrees))
    seen = float(np.quantile(squares, 1 - max(alpha, 1 / n_draws), method="higher"))
    return Shift(distance=distance, chance=math.sqrt(max(seen, mean * max(cube, 0.0) ** 3)))


def _distances(
    before: "np.ndarray[tuple[int, int], np.dtype[np.float64 | np.int64]]",
    now: "np.ndarray[tuple[int, int], np.dtype[np.float64 | np.int64]]",
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    old, new = (one / one.sum(axis=1, keepdims=True) for one in (before, now))
    middle = (old + new) / 2
    divergence = np.zeros(len(old))
    for one in (old, new):
        ratio = np.divide(one, middle, out=np.ones_like(middle), where=one > 0)
        divergence += (one * np.log2(ratio)).sum(axis=1) / 2
    found: np.ndarray[tuple[int], np.dtype[np.float64]] = np.sqrt(np.clip(divergence, 0.0, 1.0))
    return found
