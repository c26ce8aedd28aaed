"""Recording what was measured elsewhere: an evaluation, and that damaged bytes were restored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from detent.domain.digest import check_digest
from detent.domain.events import EventType
from detent.errors import InvalidError
from detent.registry.read import resolve
from detent.registry.register import check_blobs
from detent.registry.stores import Stores, change

if TYPE_CHECKING:
    from detent.domain.evidence import Evaluation

MAX_DATASET_NAME = 200


def check_dataset(name: str) -> None:
    """Raise `InvalidError` unless a dataset may have this name."""
    if not name.strip() or len(name) > MAX_DATASET_NAME or not name.isprintable():
        raise InvalidError(
            "a dataset's name has 1 to 200 printable characters; nothing was recorded"
        )


def record_evaluation(stores: Stores, evaluation: Evaluation) -> Evaluation:
    """Keep an evaluation whose outcomes are stored; its ``id``, ``at`` and ``by`` are set here.

    Raises
    ------
    InvalidError
        If the dataset's name, a digest or the number of rows is malformed.
    NotFoundError
        If the version was deleted meanwhile.
    ConflictError
        If the outcomes were removed meanwhile.
    """
    from dataclasses import asdict, replace

    check_dataset(evaluation.dataset)
    check_digest(evaluation.dataset_digest)
    if evaluation.n_rows < 1:
        raise InvalidError("an evaluation has at least one row; nothing was recorded")
    with change(stores) as step:
        resolve(step.tables, f"{evaluation.model}/{evaluation.version}")
        inputs = [evaluation.inputs] if evaluation.inputs is not None else []
        check_blobs(stores, [evaluation.outcomes, *inputs])
        evaluation = replace(
            evaluation, id=step.tables.next_evaluation(), at=step.at, by=step.actor
        )
        step.tables.insert_evaluation(evaluation, at_us=step.at_us)
        step.record(
            EventType.VERSION_EVALUATED,
            {
                "evaluation": evaluation.id,
                "model": evaluation.model,
                "version": evaluation.version,
                "dataset": evaluation.dataset,
                "dataset_digest": evaluation.dataset_digest,
                "n_rows": evaluation.n_rows,
                "metrics": [asdict(metric) for metric in evaluation.metrics],
                "outcomes": evaluation.outcomes,
                "inputs": evaluation.inputs,
                "one_row_s": evaluation.one_row_s,
                "computed_on": evaluation.computed_on,
            },
        )
    return evaluation


def record_repair(stores: Stores, digests: Iterable[str]) -> None:
    """Write into the journal which blobs were restored."""
    with change(stores) as step:
        step.record(EventType.BLOBS_REPAIRED, {"digests": [check_digest(d) for d in digests]})
