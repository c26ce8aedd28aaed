"""A report as one page: the verdict first, then the evidence, then where it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files

from detent.charts import differences
from detent.charts.chart import Chart
from detent.charts.draw import can_draw
from detent.comparison.words import (
    allowed_text,
    changed_text,
    headline,
    mark,
    method_facts,
    number_text,
    ranking_headline,
    slices_text,
    unmatched_text,
    verdict_text,
)
from detent.domain.evidence import Comparison, Difference, Ranking, SliceDifference, Verdict
from detent.domain.report import Change
from detent.reports import parts
from detent.reports.markup import Cell, Markup, element

# No script, nothing fetched: not even if something were to slip through the escaping.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_UNDRAWN = (
    "Charts are not drawn here: that needs detent[charts]. Their tables stand in their place."
)
_COLUMNS = ("difference", "95 % interval", "allowed", "verdict")


def of_comparison(
    comparison: Comparison, charts: Sequence[Chart], changes: Sequence[Change]
) -> str:
    """Return the page of a comparison."""
    old, new = f"v{comparison.baseline}", f"v{comparison.candidate}"
    main = comparison.differences[0] if comparison.differences else None
    return _page(
        f"{comparison.model}: {old} and {new} on {comparison.dataset}",
        _header(
            f"{comparison.model} · baseline {old}, candidate {new} · {comparison.dataset}",
            headline(comparison),
            main,
        ),
        element("p", _sentence(changed_text(comparison))),
        element("p", _sentence(unmatched_text(comparison)))
        if comparison.unmatched != (0, 0)
        else None,
        *_differences(comparison),
        *_slices(comparison),
        *_answers(comparison, charts),
        *_went_in(changes, old, new),
        *_method(comparison),
    )


def of_ranking(ranking: Ranking) -> str:
    """Return the page of a ranking."""
    first = ranking.comparisons[0]
    mains = [(one, one.differences[0]) for one in ranking.comparisons if one.differences]
    best = next((d for one, d in mains if one.candidate == ranking.best), None)
    rows = [(f"v{one.candidate}", d.metric, *_cells(d), changed_text(one)) for one, d in mains]
    return _page(
        f"{first.model}: {len(ranking.comparisons)} candidates on {first.dataset}",
        _header(
            f"{first.model} · baseline v{first.baseline} · {first.dataset}",
            ranking_headline(ranking),
            best,
        ),
        element(
            "p", "Verdicts are corrected for the number of candidates. The first is preferred."
        ),
        element("h2", "Candidates"),
        parts.beside(
            differences.candidates(ranking), ("candidate", "metric", *_COLUMNS, "answers"), rows
        ),
        *_notes(ranking.comparisons),
        *_method(first),
    )


def _page(title: str, *content: Cell | None) -> str:
    style = files("detent.reports").joinpath("report.css").read_text(encoding="utf-8")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("title", title),
        element("style", Markup(style)),
    )
    undrawn = None if can_draw() else element("p", _UNDRAWN, class_="quiet")
    body = element("body", element("main", *content, undrawn))
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _header(about: str, verdict: str, main: Difference | None) -> Markup:
    sign = None if main is None else element("span", mark(main), " ", class_=_class(main))
    return element("header", element("p", about), element("h1", sign, verdict))


def _differences(comparison: Comparison) -> Iterator[Markup]:
    yield element("h2", "Differences")
    rows = [
        (d.metric, number_text(d.baseline), number_text(d.candidate), *_cells(d))
        for d in comparison.differences
    ]
    header = ("metric", f"v{comparison.baseline}", f"v{comparison.candidate}", *_COLUMNS)
    yield parts.beside(differences.forest(comparison), header, rows)
    yield from _notes((comparison,))


def _notes(comparisons: tuple[Comparison, ...]) -> Iterator[Markup]:
    notes = dict.fromkeys(
        f"{d.metric}: {caveat}"
        for one in comparisons
        for d in one.differences
        for caveat in d.caveats
    )
    if notes:
        yield element("ul", *(element("li", note) for note in notes), class_="quiet")


def _slices(comparison: Comparison) -> Iterator[Markup]:
    if not comparison.slices:
        return
    yield element("h2", "Slices, worst first")
    yield element("p", f"{slices_text(comparison)}.")
    yield parts.beside(
        differences.slices(comparison),
        ("slice", "rows", "difference", "95 % interval", "shown"),
        [
            (
                one.slice,
                f"{one.n:,}",
                *(_cells(one.difference)[:2] if one.difference else ("-", "-")),
                _shown(one),
            )
            for one in comparison.slices
        ],
    )


def _shown(one: SliceDifference) -> Cell:
    if one.is_worse:
        return element("span", "▼ worse", class_="worse")
    return "● not shown to be worse" if one.can_tell else "● cannot tell"


def _answers(comparison: Comparison, charts: Sequence[Chart]) -> Iterator[Markup]:
    if charts:
        yield element("h2", "What they answer")
        yield parts.charts(charts)
    if comparison.newly_wrong_rows:
        ids = ", ".join(comparison.newly_wrong_rows)
        more = (comparison.newly_wrong or 0) - len(comparison.newly_wrong_rows)
        yield element("h3", "Newly wrong rows")
        yield element("p", ids, f" and {more:,} more" if more > 0 else None)


def _went_in(changes: Sequence[Change], old: str, new: str) -> Iterator[Markup]:
    yield element("h2", f"What went in differently, from {old} to {new}")
    if changes:
        yield parts.facts((change.part, change.text) for change in changes)
    else:
        yield element("p", "Nothing that was recorded.")


def _method(comparison: Comparison) -> Iterator[Markup]:
    yield element("h2", "How it was compared")
    yield parts.facts(
        (name, element("code", text) if name == "digest" else text)
        for name, text in method_facts(comparison)
    )


def _cells(difference: Difference) -> tuple[Cell, ...]:
    low, high = difference.low, difference.high
    interval = "-"
    if low is not None and high is not None:
        interval = f"[{number_text(low, signed=True)}, {number_text(high, signed=True)}]"
    verdict = f"{mark(difference)} {verdict_text(difference)}"
    return (
        number_text(difference.value, signed=True),
        interval,
        allowed_text(difference),
        element("span", verdict, class_=_class(difference)),
    )


def _class(difference: Difference) -> str | None:
    match difference.verdict:
        case Verdict.BETTER:
            return "better"
        case Verdict.WORSE | Verdict.WORSE_WITHIN_MARGIN:
            return "worse"
    return None


def _sentence(text: str | None) -> str | None:
    return None if text is None else f"{text[:1].upper()}{text[1:]}."
