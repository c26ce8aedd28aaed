"""From versions and a data set to evaluations, in one pass over the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from detent.blobs.base import Blobs
from detent.comparison.outcomes import Outcomes
from detent.compilers.base import Methods
from detent.data.blocks import TableRows, bounds, in_blocks
from detent.data.inputs import spread
from detent.data.table import encode_table, n_rows
from detent.domain.clock import utc_now
from detent.domain.digest import canonical_json, digest_of
from detent.domain.evidence import Evaluation, OwnMetric
from detent.domain.manifest import Signature
from detent.domain.version import Version
from detent.evaluation.collect import Collected
from detent.evaluation.dataset import Dataset, read_dataset
from detent.evaluation.inputs import MOST_BLOCKS, store_inputs
from detent.evaluation.metrics import compute_metrics
from detent.evaluation.predict import Answers, Subject, answer, select_columns
from detent.evaluation.rows import check_true, fit_columns
from detent.evaluation.slices import Slices
from detent.registry.record import record_evaluation
from detent.registry.stores import Stores


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A version to be evaluated, and the columns that it takes; None takes rows as they are."""

    version: Version
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Versions that are to answer the rows of a data set."""

    chosen: tuple[Chosen, ...]
    data: Dataset


# Yields the number of the first row of each block, and what each version answers to it.
Score = Callable[[Job], Iterator[tuple[int, Sequence[Answers]]]]
RowsProgress = Callable[[int, int], None]  # told how many rows were answered, of how many


def score_here(models: Sequence[tuple[Any, tuple[str, Methods] | None]]) -> Score:
    """Return what asks loaded models, each with its compiled form, in this process."""

    def score(job: Job) -> Iterator[tuple[int, Sequence[Answers]]]:
        subjects = [
            Subject(version=one.version, model=model, columns=one.columns, form=form)
            for one, (model, form) in zip(job.chosen, models, strict=True)
        ]
        start = 0
        for block in job.data.rows.blocks():
            answers = answer(subjects, block, start=start, dataset=job.data.name)
            n = n_rows(block)
            del block  # before the next one is read
            yield start, answers
            start += n

    return score


def measure(
    blobs: Blobs,
    versions: Sequence[tuple[Version, Signature | None]],
    data: Dataset,
    score: Score,
    *,
    metrics: Sequence[str | OwnMetric] | None = None,
    computed_on: str | None = None,
    progress: RowsProgress | None = None,
) -> list[Evaluation]:
    """Predict every row, compute metrics, and store what was answered; nothing is recorded yet.

    Rows are read once, however many versions there are, and not kept.

    Parameters
    ----------
    blobs : Blobs
        Where the outcome of every row is stored.
    versions : sequence of (Version, Signature or None)
        Which versions, each with what it takes, to check the columns against.
    data : Dataset
        The rows.
    score : Score
        What asks the versions.
    metrics : sequence of str or OwnMetric, optional
        Which metrics; by default the usual ones. The first one is the main one.
    computed_on : str, optional
        Where the versions are asked, when not in this process.
    progress : callable, optional
        Told how many rows were answered, and how many there are.

    Raises
    ------
    InvalidError
        If rows and true values do not fit a version.
    RefusedError
        If a compiled form answers one of the rows otherwise than its model.
    ConflictError
        If a file changed while it was read.
    """
    chosen = tuple(
        Chosen(version=version, columns=_columns(data, version, signature))
        for version, signature in versions
    )
    collected = [Collected(one.version, data.y_true) for one in chosen]
    n_done = 0
    for start, answers in score(Job(chosen=chosen, data=data)):
        for one, its in zip(collected, answers, strict=True):
            one.put(start, its)
        n_done += len(answers[0].y_pred)
        if progress is not None:
            progress(n_done, data.rows.n_rows)
    kept = {columns: _store_inputs(blobs, data, columns) for columns in {c.columns for c in chosen}}
    data.rows.check_unchanged()
    return [
        replace(
            _evaluated(blobs, one, data, metrics),
            inputs=kept[as_chosen.columns],
            computed_on=computed_on,
        )
        for one, as_chosen in zip(collected, chosen, strict=True)
    ]


def _columns(
    data: Dataset, version: Version, signature: Signature | None
) -> tuple[str, ...] | None:
    if signature is None:
        return None
    return fit_columns(data.rows, signature, version, spare=data.spare_columns(signature))


def _evaluated(
    blobs: Blobs, one: Collected, data: Dataset, metrics: Sequence[str | OwnMetric] | None
) -> Evaluation:
    answers = replace(
        one.outcomes(),
        slices=data.slices,
        ids=data.ids,
        groups=data.groups,
        sample_weight=data.sample_weight,
    )
    found, answers = compute_metrics(answers, task=one.task, wanted=metrics)
    return Evaluation(
        id=0,  # given, as time and actor are, when it is recorded
        model=one.version.model,
        version=one.version.number,
        dataset=data.name,
        dataset_digest=digest_of(canonical_json({"X": one.rows_digest, "y": data.digest})),
        n_rows=len(answers),
        metrics=found,
        outcomes=_store_outcomes(blobs, answers),
        one_row_s=one.traits.one_row_s,
        at=utc_now(),
        by="",
    )


def _store_inputs(blobs: Blobs, data: Dataset, columns: tuple[str, ...] | None) -> str:
    """Keep what the rows were like, of some blocks of them that are evenly spaced."""
    every = list(bounds(data.rows.n_rows))
    some = [every[i] for i in spread(len(every), MOST_BLOCKS)]
    blocks = (select_columns(block, columns) for at in some for block in data.rows.blocks(*at))
    return store_inputs(blobs, blocks, len(some))


def _store_outcomes(blobs: Blobs, outcomes: Outcomes) -> str:
    with blobs.create() as writer:
        for chunk in encode_table(outcomes.to_columns()):
            writer.write(chunk)
    return writer.digest


def evaluate(
    stores: Stores,
    version: Version,
    model: Any,
    X: Any,
    y: Any,
    *,
    dataset: str,
    metrics: Sequence[str | OwnMetric] | None = None,
    slices: Slices | None = None,
    ids: Any = None,
) -> Evaluation:
    """Evaluate a loaded version on a table in memory, and record it."""
    data = read_table(X, y, name=dataset, slices=slices, ids=ids)
    (measured,) = measure(
        stores.blobs, [(version, None)], data, score_here([(model, None)]), metrics=metrics
    )
    return record_evaluation(stores, measured)


def read_table(X: Any, y: Any, **options: Any) -> Dataset:
    """Return a table in memory as a data set; the options are those of `read_dataset`."""
    rows = TableRows(X)
    return read_dataset(rows, in_blocks(check_true(y, rows)), **options)
