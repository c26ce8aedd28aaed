"""Whether requests are split as they should be, looked at after every request."""

import math
from collections.abc import Sequence

from detent.errors import InvalidError
from detent.stats.checks import check_count, check_positive, check_share


def log_split_evidence(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Return the logarithm of the evidence that requests are not split as intended.

    To be looked at before a canary is believed: a split that is not what it should be means that
    who is asked depends on who answers. May be looked at after every request: it exceeds
    ``log(1 / alpha)`` with a probability of at most alpha, ever, where the split is right.

    Parameters
    ----------
    counts : sequence of int
        Requests that each version has got.
    shares : sequence of float
        What each should get: between 0 and 1, together 1.

    Raises
    ------
    InvalidError
        If an argument is out of its range, or the lengths differ.

    References
    ----------
    .. [1] Lindon, M., Malek, A. (2022). Anytime-valid inference for multinomial count data. Adv.
       Neural Inf. Process. Syst. 35. doi:10.48550/arXiv.2011.03567

    Examples
    --------
    >>> log_split_evidence([502, 498], [0.5, 0.5]) < 0 < log_split_evidence([580, 420], [0.5, 0.5])
    True
    """
    if len(counts) != len(shares) or len(counts) < 2:
        raise InvalidError(f"{len(counts)} counts and {len(shares)} shares are not one split")
    for count, share in zip(counts, shares, strict=True):
        check_count("counts", count)
        check_share("shares", share)
    check_positive("shares", sum(shares))
    if abs(sum(shares) - 1) > 1e-9:
        raise InvalidError(f"the shares add up to {sum(shares)}: they have to add up to 1")
    # A Dirichlet prior of one request each, all splits alike: Bayes factor against the right one.
    k, n = len(counts), sum(counts)
    log = math.lgamma(k) - math.lgamma(k + n)
    for count, share in zip(counts, shares, strict=True):
        log += math.lgamma(count + 1) - count * math.log(share)
    return log
