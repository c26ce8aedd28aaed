"""A report as Markdown for a pull request: the verdict, a table, and the rest folded."""

from __future__ import annotations

import re
from collections.abc import Sequence

from detent.comparison.words import (
    allowed_text,
    changed_text,
    headline,
    interval_text,
    mark,
    number_text,
    ranking_headline,
    unmatched_text,
    verdict_text,
)
from detent.domain.evidence import Comparison, Difference, Ranking
from detent.domain.report import Change

_SPECIAL = re.compile(r"([\\`*_\[\]|~$])")  # `#`, `+` and `-` say something at a line's start only


def of_comparison(comparison: Comparison, changes: tuple[Change, ...]) -> str:
    """Return a comparison as Markdown."""
    old, new = f"v{comparison.baseline}", f"v{comparison.candidate}"
    sign = f"{mark(comparison.differences[0])} " if comparison.differences else ""
    parts = [
        f"### {sign}{escape(comparison.model)}: {escape(headline(comparison))}",
        escape(changed_text(comparison)),
        _table(
            ("metric", old, new, "difference [95 % interval]", "allowed", "verdict"),
            [
                (
                    d.metric,
                    number_text(d.baseline),
                    number_text(d.candidate),
                    *_cells(d),
                )
                for d in comparison.differences
            ],
        ),
    ]
    notes = dict.fromkeys(
        f"{d.metric}: {caveat}" for d in comparison.differences for caveat in d.caveats
    )
    if notes:
        parts.append("\n".join(f"- {escape(note)}" for note in notes))
    if comparison.slices:
        n_worse = sum(one.is_worse for one in comparison.slices)
        parts.append(
            _folded(
                f"slices, worst first: {n_worse} of {len(comparison.slices)} shown to be worse",
                _table(
                    ("slice", "rows", "difference [95 % interval]", "shown"),
                    [
                        (
                            one.slice,
                            f"{one.n:,}",
                            interval_text(one.difference) if one.difference else "-",
                            "▼ worse"
                            if one.is_worse
                            else ("● not shown to be worse" if one.can_tell else "● cannot tell"),
                        )
                        for one in comparison.slices
                    ],
                ),
            )
        )
    if changes:
        rows = [(change.part, change.text) for change in changes]
        parts.append(_folded(f"what went in, {old} → {new}", _table(("part", "change"), rows)))
    parts.append(_small(comparison))
    return "\n\n".join(parts) + "\n"


def of_ranking(ranking: Ranking) -> str:
    """Return a ranking as Markdown."""
    first = ranking.comparisons[0]
    rows = [
        (f"v{one.candidate}", one.differences[0].metric, *_cells(one.differences[0]))
        for one in ranking.comparisons
        if one.differences
    ]
    parts = [
        f"### {escape(first.model)}: {escape(ranking_headline(ranking))}",
        _table(("candidate", "metric", "difference [95 % interval]", "allowed", "verdict"), rows),
        "Verdicts are corrected for the number of candidates.",
        _small(first),
    ]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    r"""Return a text that Markdown shows as it is, on one line, naming and calling nobody.

    Examples
    --------
    >>> escape("region_a|*b* <i> @ana")
    'region\\_a\\|\\*b\\* &lt;i&gt; @<!-- -->ana'
    """
    one_line = " ".join(text.split())
    safe = one_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", safe).replace("@", "@<!-- -->")


def _cells(difference: Difference) -> tuple[str, ...]:
    verdict = f"{mark(difference)} {verdict_text(difference)}"
    return interval_text(difference), allowed_text(difference), verdict


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(cell if cell == "---" else escape(cell) for cell in line) + " |"
        for line in lines
    )


def _folded(summary: str, content: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>\n\n{content}\n\n</details>"


def _small(comparison: Comparison) -> str:
    methods = "; ".join(
        dict.fromkeys(f"{d.metric}: {d.method}" for d in comparison.differences if d.method)
    )
    facts = [
        f"the same {comparison.n_rows:,} rows of {comparison.dataset}"
        f" ({comparison.dataset_digest[:19]}…)",
        unmatched_text(comparison),
        f"use {comparison.use} of these rows",
        methods,
    ]
    return "<sub>" + escape("; ".join(fact for fact in facts if fact)) + "</sub>"
