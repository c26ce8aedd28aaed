"""What rows are asked to show about a candidate."""

from enum import StrEnum


class Claim(StrEnum):
    """What a p-value speaks of: how often chance alone would look as much like it as these rows.

    "Better" is a greater value, unless a function is told that smaller ones are better, as they
    are of losses.
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
