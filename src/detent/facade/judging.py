"""Judging: versions measured on data, and compared on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

from detent.errors import InvalidError
from detent.facade.looking import Looking

if TYPE_CHECKING:
    from pathlib import Path

    from detent.domain.evidence import (
        Comparison,
        Evaluation,
        OwnMetric,
        Ranking,
    )
    from detent.evaluation.evaluate import RowsProgress
    from detent.evaluation.slices import Slices
    from detent.facade.base import Named, Several
    from detent.reports.report import Report


class Judging(Looking):
    """Verbs of `Registry`: what judges versions."""

    @overload
    def evaluate(
        self,
        reference: Named,
        X: Any = None,
        y: Any = None,
        *,
        data: Path | str | None = None,
        target: str | None = None,
        dataset: str | None = None,
        metrics: Sequence[str | OwnMetric] | None = None,
        slices: Slices | None = None,
        groups: Any = None,
        ids: Any = None,
        sample_weight: Any = None,
        trusted: bool | Sequence[str] = False,
        on: str | None = None,
        progress: RowsProgress | None = None,
    ) -> Evaluation: ...

    @overload
    def evaluate(
        self,
        reference: Several,
        X: Any = None,
        y: Any = None,
        *,
        data: Path | str | None = None,
        target: str | None = None,
        dataset: str | None = None,
        metrics: Sequence[str | OwnMetric] | None = None,
        slices: Slices | None = None,
        groups: Any = None,
        ids: Any = None,
        sample_weight: Any = None,
        trusted: bool | Sequence[str] = False,
        on: str | None = None,
        progress: RowsProgress | None = None,
    ) -> list[Evaluation]: ...

    def evaluate(
        self,
        reference: Named | Several,
        X: Any = None,
        y: Any = None,
        *,
        data: Path | str | None = None,
        target: str | None = None,
        dataset: str | None = None,
        metrics: Sequence[str | OwnMetric] | None = None,
        slices: Slices | None = None,
        groups: Any = None,
        ids: Any = None,
        sample_weight: Any = None,
        trusted: bool | Sequence[str] = False,
        on: str | None = None,
        progress: RowsProgress | None = None,
    ) -> Evaluation | list[Evaluation]:
        """Predict rows with a version, and keep metrics and the outcome of every row.

        Rows are given as a table (``X``, ``y``), or by where they lie (``data``, ``target``).
        Parquet files are read in blocks of 8,192 rows and not kept, so they may be larger than
        memory; of each row only its true value and what the version answered is, and the columns
        of slices, groups, ids and weights. Both ways give the same numbers to the bit.

        Parameters
        ----------
        reference : str or Version, or list of these
            Which version, or which versions: the rows are then read once for all of them.
        X : table-like of shape (n_samples, n_features), optional
            The rows.
        y : array-like of shape (n_samples,), optional
            Their true values.
        data : path or URL, optional
            A Parquet file, a folder of Parquet files, or one of both in an object store
            (``s3://…``, ``gs://…``, ``az://…``); or a file of another kind, which is read whole.
        target : str, optional
            The column of ``data`` that has the true values.
        dataset : str, optional
            A name for the rows, for people; by default the name of ``data``.
        metrics : sequence of str or OwnMetric, optional
            Names of metrics, or own ones; by default the usual ones of the task. The first is
            the main one, in which versions are compared by default.
        slices : sequence of str, or mapping, optional
            Columns by which to compare parts of the rows: ``["region"]``, or with the edges of
            ranges of numbers ``{"tenure": [30, 90]}``, or with one label for each row.
        groups : str or array-like of shape (n_samples,), optional
            To whom a row belongs (a column, or one value each), where rows are not independent:
            twenty rows of one customer are one unit.
        ids : str or array-like of shape (n_samples,), optional
            Names of rows, no two equal: evaluations of other rows are matched by them.
        sample_weight : str or array-like of shape (n_samples,), optional
            How much a row counts, 0 or more: one value each, or a column of ``data``.
        trusted : bool or sequence of str, default=False
            As for `load`.
        on : str, optional
            What asks the version: ``ray`` for Ray Data, where Parquet files are read by its
            workers; by default this process.
        progress : callable, optional
            Told how many rows were answered, and how many there are.

        Returns
        -------
        Evaluation or list of Evaluation
            One for each version, in their order; each is recorded by itself.

        Raises
        ------
        NotFoundError
            If there is no such version, file or column.
        InvalidError
            If rows, true values and model do not fit together.
        RefusedError
            If the compiled form of a version answers one of the rows otherwise than the model.
        ConflictError
            If a file changed while it was read.
        UnavailableError
            If an object store, or Ray, does not answer.
        """
        from detent.evaluation.engines import find_engine
        from detent.evaluation.evaluate import measure
        from detent.evaluation.sources import open_data

        references: list[Named] = []
        references += reference if isinstance(reference, list | tuple) else [reference]
        if not references:
            raise InvalidError("no version was named; nothing was recorded")
        cards = [self.show(one) for one in references]
        found = open_data(
            X,
            y,
            data=data,
            target=target,
            name=dataset,
            slices=slices,
            groups=groups,
            ids=ids,
            sample_weight=sample_weight,
        )
        blobs = self._operations.blobs
        engine = find_engine(on)
        measured = measure(
            blobs,
            [(card.version, card.manifest.signature) for card in cards],
            found,
            engine.score(blobs, [card.version for card in cards], trusted=trusted),
            metrics=metrics,
            computed_on=engine.name,
            progress=progress,
        )
        recorded = [self._operations.record_evaluation(one) for one in measured]
        return recorded if isinstance(reference, list | tuple) else recorded[0]

    def compare(
        self,
        baseline: Named,
        candidate: Named,
        *,
        dataset: str | None = None,
        metrics: Sequence[str] = (),
    ) -> Comparison:
        """Compare a candidate with a baseline on the same rows, from their evaluations.

        Each metric is compared by the paired method that suits it, with an interval and a verdict.
        The first one is the main one.

        Parameters
        ----------
        baseline, candidate : str or Version
            The version in place, and the one offered.
        dataset : str, optional
            The name of the dataset; by default the newest that both were evaluated on.
        metrics : sequence of str, optional
            Which metrics, the main one first; by default all that both have.

        Raises
        ------
        NotFoundError
            If a version does not exist, or they share no evaluated dataset.
        InvalidError
            If they are of two models, or were evaluated on different rows.
        """
        return self._operations.compare(
            str(baseline), str(candidate), dataset=dataset, metrics=tuple(metrics)
        )

    def rank(
        self, baseline: Named, candidates: Sequence[Named], *, dataset: str | None = None
    ) -> Ranking:
        """Compare several candidates with one baseline, and order them.

        Raises
        ------
        NotFoundError
            As `compare`.
        InvalidError
            If no candidate is named, or as `compare`.
        """
        return self._operations.rank(
            str(baseline), [str(candidate) for candidate in candidates], dataset=dataset
        )

    def report(self, judged: Comparison | Ranking) -> Report:
        """Return a comparison, or a ranking, as a report: a page, or Markdown.

        A report of a comparison adds curves and the confusion matrix from what both versions
        answered, and what went into them differently. A server draws them up: what was answered
        row by row stays there.

        Parameters
        ----------
        judged : Comparison or Ranking
            As `compare` or `rank` of this registry returned it.

        Raises
        ------
        NotFoundError
            If a version or an evaluation of it is not in this registry.
        CorruptError
            If what a version answered is not what was kept.
        """
        from detent.domain.evidence import Ranking
        from detent.reports.report import Report

        if isinstance(judged, Ranking):
            return Report(judged=judged)
        old, new = (f"{judged.model}/{n}" for n in (judged.baseline, judged.candidate))
        return Report(
            judged=judged,
            charts=tuple(
                self._operations.charts(
                    judged.model,
                    baseline=judged.evaluations[0],
                    candidate=judged.evaluations[1],
                )
            ),
            changes=tuple(self.diff(old, new)),
        )
