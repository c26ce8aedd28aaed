"""Differences and verdicts in words: the same words on the command line, in pages and decisions."""

from __future__ import annotations

from detent.domain.evidence import Comparison, Difference, Ranking, Verdict
from detent.domain.version import format_size


def number_text(value: float, *, signed: bool = False) -> str:
    """Return a number of a metric as it is shown: 4 decimals, or 3 digits where it is not a share.

    Examples
    --------
    >>> number_text(0.00713, signed=True), number_text(-1234.5), number_text(0.0)
    ('+0.0071', '−1.23e+03', '0.0000')
    """
    text = f"{abs(value):.4f}" if abs(value) < 10 else f"{abs(value):.3g}"
    minus, plus = "−", "+" if signed else ""
    is_zero = not text.strip("0.")
    return (minus if value < 0 and not is_zero else plus) + text


def interval_text(difference: Difference) -> str:
    """Return a difference with its interval: ``+0.0071 [+0.0034, +0.0108]``."""
    value = number_text(difference.value, signed=True)
    if difference.low is None or difference.high is None:
        return value
    low, high = (number_text(end, signed=True) for end in (difference.low, difference.high))
    return f"{value} [{low}, {high}]"


def mark(difference: Difference) -> str:
    """Return the sign of a verdict: ▲ better, ▼ worse, ● no clear difference."""
    match difference.verdict:
        case Verdict.BETTER:
            return "▲"
        case Verdict.WORSE | Verdict.WORSE_WITHIN_MARGIN:
            return "▼"
    return "●"


def allowed_text(difference: Difference) -> str:
    """Return the difference that is just allowed: ``−0.0100``; a hyphen where nothing is judged."""
    if difference.margin is None or difference.greater_is_better is None:
        return "-"
    worst = -difference.margin if difference.greater_is_better else difference.margin
    return number_text(worst, signed=True)


def verdict_text(difference: Difference) -> str:
    """Return what follows from a difference, in a few words."""
    match difference.verdict:
        case None:
            return "no direction is declared"
        case Verdict.BETTER:
            return "better"
        case Verdict.NOT_WORSE:
            return f"not worse by more than {_margin(difference)}"
        case Verdict.WORSE_WITHIN_MARGIN:
            return f"worse, by less than {_margin(difference)}"
        case Verdict.WORSE:
            return "worse"
        case Verdict.UNDECIDED:
            return "these rows cannot tell"


def difference_text(difference: Difference, *, dataset: str, use: int = 1) -> str:
    """Return a difference as the line of a decision.

    ``accuracy +0.0000 [−0.0664, +0.0664] on 54 rows of holdout, allowed −0.0100: these rows cannot
    tell; about 268 rows would``
    """
    allowed = ""
    if difference.margin is not None:
        worst = -difference.margin if difference.greater_is_better else difference.margin
        allowed = f", allowed {number_text(worst, signed=True)}"
    again = f" (use {use} of these rows)" if use > 1 else ""
    text = (
        f"{difference.metric} {interval_text(difference)} on {difference.n:,} rows of"
        f" {dataset}{again}{allowed}: {verdict_text(difference)}"
    )
    if difference.verdict is Verdict.UNDECIDED:
        needed = rows_text(difference)
        text += f"; {needed}" if needed else ""
        if difference.low is None and difference.caveats:
            text += f" ({difference.caveats[-1]})"
    return text


def rows_text(difference: Difference) -> str | None:
    """Return how many rows would decide: ``about 3,259 rows would, if …``; None if not known."""
    if difference.rows_needed is None:
        return None
    if difference.counts is not None and difference.counts[1] + difference.counts[2] == 0:
        return f"{difference.rows_needed:,} rows would, if the versions never disagree on them"
    return f"about {difference.rows_needed:,} rows would, if the versions are equally good"


def changed_text(comparison: Comparison) -> str:
    """Return how many rows are answered differently, and how many of them newly wrong."""
    text = f"they answer {comparison.n_changed:,} of {comparison.n_rows:,} rows differently"
    if comparison.newly_wrong is not None:
        text += f": {comparison.newly_wrong:,} newly wrong, {comparison.newly_right:,} newly right"
    return text


def unmatched_text(comparison: Comparison) -> str | None:
    """Return how many rows were left out because only one version was evaluated on them."""
    old, new = comparison.unmatched
    if old == new == 0:
        return None
    return (
        f"left out: {old:,} rows only of v{comparison.baseline}'s evaluation, {new:,} only of"
        f" v{comparison.candidate}'s"
    )


def headline(comparison: Comparison) -> str:
    """Return a comparison's verdict in one sentence."""
    old, new = f"v{comparison.baseline}", f"v{comparison.candidate}"
    if not comparison.differences:
        return f"{old} and {new} share no metric on {comparison.dataset}"
    main = comparison.differences[0]
    where = f"on {main.n:,} {'groups' if comparison.n_groups else 'rows'} of {comparison.dataset}"
    of = f"in {main.metric} {where}"
    match main.verdict:
        case Verdict.BETTER:
            text = f"{new} is better than {old} {of}"
        case Verdict.NOT_WORSE:
            text = f"{new} is not worse than {old} by more than {_margin(main)} {of}"
        case Verdict.WORSE_WITHIN_MARGIN:
            text = f"{new} is worse than {old}, by less than {_margin(main)}, {of}"
        case Verdict.WORSE:
            text = f"{new} is worse than {old} {of}"
        case Verdict.UNDECIDED:
            needed = rows_text(main)
            text = (
                f"undecided: {main.n:,} rows of {comparison.dataset} cannot tell whether {new} is"
            )
            text += f" worse than {old} in {main.metric}" + (f"; {needed}" if needed else "")
        case None:
            text = f"{main.metric} declares no direction: nothing is said of better or worse"
    if comparison.use > 1:
        text += f" (use {comparison.use} of these rows: the evidence asked for is stronger)"
    return text


def slices_text(comparison: Comparison) -> str:
    """Return what is shown of slices, in a sentence."""
    worse = sum(one.is_worse for one in comparison.slices)
    silent = sum(not one.can_tell for one in comparison.slices)
    return (
        f"{worse} of {len(comparison.slices)} shown to be worse, corrected for their number;"
        f" {silent} have too few disagreements to tell"
    )


def method_facts(comparison: Comparison) -> list[tuple[str, str]]:
    """Return how it was compared, on which rows, and what else is known: names and texts."""
    facts = [
        ("dataset", comparison.dataset),
        ("digest", comparison.dataset_digest),
        ("rows", f"{comparison.n_rows:,}, the same for both"),
    ]
    if comparison.n_groups is not None:
        facts.append(("groups", f"{comparison.n_groups:,}: the rows of one are one unit"))
    facts.append(("evaluations", " and ".join(map(str, comparison.evaluations))))
    facts.append(("use", f"number {comparison.use} of these rows to judge a candidate"))
    facts += [(d.metric, d.method) for d in comparison.differences if d.method is not None]
    if comparison.calibration_errors is not None:
        before, after = map(number_text, comparison.calibration_errors)
        facts.append(("calibration error", f"{before} → {after} (shown, never judged)"))
    sizes = map(format_size, (comparison.baseline_size_bytes, comparison.candidate_size_bytes))
    facts.append(("size", " → ".join(sizes)))
    if comparison.baseline_one_row_s and comparison.candidate_one_row_s:
        times = (comparison.baseline_one_row_s, comparison.candidate_one_row_s)
        facts.append(("one row", " → ".join(f"{1000 * time:.3g} ms" for time in times)))
    facts.append(("seed", "fixed: the same evaluations give the same numbers"))
    return facts


def ranking_headline(ranking: Ranking) -> str:
    """Return what follows from comparing several candidates, in one sentence."""
    first = ranking.comparisons[0]
    n = len(ranking.comparisons)
    of = f"of {n} candidates" if n > 1 else "of 1 candidate"
    where = f"v{first.baseline} on {first.n_rows:,} rows of {first.dataset}"
    if ranking.best is None:
        return f"none {of} is shown to be better or not worse than {where}"
    best = next(one for one in ranking.comparisons if one.candidate == ranking.best)
    return f"v{ranking.best} comes first {of}: {verdict_text(best.differences[0])} than {where}"


def _margin(difference: Difference) -> str:
    return number_text(difference.margin) if difference.margin is not None else "what is allowed"
