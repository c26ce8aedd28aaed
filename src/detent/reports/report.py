"""A report: one comparison, or one ranking, with all that belongs to it."""

from __future__ import annotations

from dataclasses import dataclass

from detent.charts.chart import Chart
from detent.domain.evidence import Comparison, Ranking
from detent.domain.report import Change


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Report:
    """A comparison, or a ranking, to be read by people: as a page, or as Markdown.

    Made by `Registry.report`. The same evaluations give the same bytes.

    Parameters
    ----------
    judged : Comparison or Ranking
        What it is about.
    charts : tuple of Chart, optional
        What the answers of both versions of a comparison show: curves and matrices.
    changes : tuple of Change, optional
        What went into them differently.
    """

    judged: Comparison | Ranking
    charts: tuple[Chart, ...] = ()
    changes: tuple[Change, ...] = ()

    def __repr__(self) -> str:
        """Return one line."""
        return f"<Report of {self.judged!r}>"

    def to_html(self) -> str:
        """Return one self-contained page, without scripts and without anything to fetch.

        Light or dark as the reader's system, fit for paper and for a telephone. Charts are drawn
        where ``detent[charts]`` is installed; where it is not, their tables stand in their place.
        """
        from detent.reports import page

        if isinstance(self.judged, Ranking):
            return page.of_ranking(self.judged)
        return page.of_comparison(self.judged, self.charts, self.changes)

    def to_markdown(self) -> str:
        """Return Markdown as pull requests show it: the verdict, a table, the rest folded."""
        from detent.reports import markdown

        if isinstance(self.judged, Ranking):
            return markdown.of_ranking(self.judged)
        return markdown.of_comparison(self.judged, self.changes)

    def _repr_html_(self) -> str:
        return self.judged._repr_html_()
