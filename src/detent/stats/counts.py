"""The four counts of two versions that are right or wrong on the same rows.

Everything about a metric of right and wrong (accuracy, error rate, hits, requests within a limit
of time) is in these four numbers: the rows themselves are not needed again.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from detent.errors import InvalidError
from detent.stats.checks import check_count

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedCounts:
    """How many rows both, only one or none of two versions got right.

    Parameters
    ----------
    both_right, newly_wrong, newly_right, both_wrong : int
        Numbers of rows, 0 or more. Newly wrong: only the baseline was right. Newly right: only
        the candidate was. In the literature: a, b, c and d.

    Raises
    ------
    InvalidError
        If a count is negative or not whole.

    Examples
    --------
    >>> counts = PairedCounts(both_right=49, newly_wrong=1, newly_right=1, both_wrong=3)
    >>> counts.n, counts.disagreements, counts.difference
    (54, 2, 0.0)
    """

    both_right: int
    newly_wrong: int
    newly_right: int
    both_wrong: int

    def __post_init__(self) -> None:
        """Check the counts."""
        for name in ("both_right", "newly_wrong", "newly_right", "both_wrong"):
            check_count(name, getattr(self, name))

    @property
    def n(self) -> int:
        """The number of rows."""
        return self.both_right + self.newly_wrong + self.newly_right + self.both_wrong

    @property
    def disagreements(self) -> int:
        """The number of rows that one of the two got right and the other wrong."""
        return self.newly_wrong + self.newly_right

    @property
    def difference(self) -> float:
        """The candidate's share of right rows minus the baseline's, in [-1, 1]."""
        return (self.newly_right - self.newly_wrong) / self._rows()

    @property
    def disagreement_rate(self) -> float:
        """The share of rows that one of the two got right and the other wrong, in [0, 1]."""
        return self.disagreements / self._rows()

    @property
    def negative_flip_rate(self) -> float:
        """The share of rows that are newly wrong, in [0, 1].

        Yan et al. (2021), Positive-congruent training. doi:10.48550/arXiv.2011.09161
        """
        return self.newly_wrong / self._rows()

    @property
    def trust_compatibility(self) -> float:
        """The share of the baseline's right rows that the candidate gets right too, in [0, 1].

        1 where the baseline had none right: nothing that worked was lost. Bansal et al. (2019),
        Updates in human-AI teams. doi:10.1609/aaai.v33i01.33012429
        """
        baseline_right = self.both_right + self.newly_wrong
        return self.both_right / baseline_right if baseline_right else 1.0

    def swapped(self) -> "PairedCounts":
        """Return the counts with baseline and candidate exchanged."""
        return PairedCounts(
            both_right=self.both_right,
            newly_wrong=self.newly_right,
            newly_right=self.newly_wrong,
            both_wrong=self.both_wrong,
        )

    def _rows(self) -> int:
        if self.n == 0:
            raise InvalidError("there are no rows to compare")
        return self.n


def count_pairs(baseline_right: "ArrayLike", candidate_right: "ArrayLike") -> PairedCounts:
    """Count rows by which of two versions got them right.

    Parameters
    ----------
    baseline_right, candidate_right : array of bool, shape (n_samples,)
        Whether each version was right, of the same rows in the same order.

    Returns
    -------
    PairedCounts
        The four counts; all 0 for no rows.

    Raises
    ------
    InvalidError
        If an array is not of booleans, has more than one dimension, or the lengths differ.

    Examples
    --------
    >>> count_pairs([True, True, False, False], [True, False, True, True])
    PairedCounts(both_right=1, newly_wrong=1, newly_right=2, both_wrong=0)
    """
    import numpy as np

    from detent.stats.arrays import as_flags, check_same_length

    old = as_flags("baseline_right", baseline_right)
    new = as_flags("candidate_right", candidate_right)
    check_same_length(baseline_right=old, candidate_right=new)
    both = int(np.count_nonzero(old & new))
    n_old, n_new = int(np.count_nonzero(old)), int(np.count_nonzero(new))
    return PairedCounts(
        both_right=both,
        newly_wrong=n_old - both,
        newly_right=n_new - both,
        both_wrong=len(old) - n_old - n_new + both,
    )


def churn(baseline_answers: "ArrayLike", candidate_answers: "ArrayLike") -> float:
    """Share of rows that two versions answer differently, right or wrong.

    With more than two classes it is larger than the disagreement rate: two wrong answers may
    differ. It says how much users will notice, not whether they gain.

    Parameters
    ----------
    baseline_answers, candidate_answers : array, shape (n_samples,)
        Labels or numbers; 1 row or more.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    InvalidError
        If there are no rows, the lengths differ, or an answer is missing (NaN).

    Examples
    --------
    >>> churn(["a", "b", "c", "c"], ["a", "c", "b", "c"])
    0.5
    """
    import numpy as np

    from detent.stats.arrays import check_same_length, encode

    _, (old, new) = encode("answers", baseline_answers, candidate_answers)
    check_same_length(baseline_answers=old, candidate_answers=new)
    if len(old) == 0:
        raise InvalidError("there are no rows to compare")
    return int(np.count_nonzero(old != new)) / len(old)
