"""What rows are asked to show about a candidate."""

from enum import StrEnum


class Claim(StrEnum):
    """What a p-value speaks of: how often chance alone would look as much like it as these rows.

    The differences are candidate minus baseline for scores, baseline minus candidate for losses,
    so that a positive one always favours the candidate.
    """

    DIFFERENT = "different"
    BETTER = "better"
    WORSE = "worse"


def p_of(claim: Claim, *, better: float, worse: float) -> float:
    """Return the p-value of a claim from those of both sides."""
    match claim:
        case Claim.BETTER:
            return better
        case Claim.WORSE:
            return worse
        case Claim.DIFFERENT:
            return min(1.0, 2.0 * min(better, worse))
