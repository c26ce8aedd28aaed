"""From two evaluations on the same rows to a comparison."""

from typing import Any

import numpy as np

from detent.blobs.base import read_verified
from detent.data.table import decode_table
from detent.domain.evidence import Comparison, Difference, Evaluation
from detent.domain.version import Version
from detent.errors import InvalidError, NotFoundError
from detent.registry.read import resolve
from detent.registry.stores import Stores


def compare(
    stores: Stores, baseline: Any, candidate: Any, *, dataset: str | None = None
) -> Comparison:
    """Compare a candidate with a baseline on the same rows, from their evaluations.

    Parameters
    ----------
    stores : Stores
        The registry.
    baseline, candidate : str, Reference or Version
        The version in place, and the one offered, of one model.
    dataset : str, optional
        The name of the dataset; by default the newest that both were evaluated on.

    Raises
    ------
    NotFoundError
        If a version does not exist, or they share no evaluated dataset.
    InvalidError
        If the versions are of two models, or were evaluated on different rows.
    """
    with stores.metadata.read() as tables:
        old, new = resolve(tables, baseline), resolve(tables, candidate)
        if old.model != new.model:
            raise InvalidError(f"`{old}` and `{new}` are versions of two models")
        old_evaluations = tables.list_evaluations(old.model, old.number, dataset=dataset)
        new_evaluations = tables.list_evaluations(new.model, new.number, dataset=dataset)
    ours, theirs = _same_rows(old, old_evaluations, new, new_evaluations, dataset)
    return _compare(stores, old, theirs, new, ours)


def _same_rows(
    old: Version,
    old_evaluations: list[Evaluation],
    new: Version,
    new_evaluations: list[Evaluation],
    dataset: str | None,
) -> tuple[Evaluation, Evaluation]:
    known = {e.dataset_digest: e for e in reversed(old_evaluations)}
    for evaluation in new_evaluations:
        if evaluation.dataset_digest in known:
            return evaluation, known[evaluation.dataset_digest]
    for ours in new_evaluations:
        for theirs in old_evaluations:
            if ours.dataset == theirs.dataset:
                raise InvalidError(
                    f"the two evaluations are of different rows of {ours.dataset} (digests"
                    f" {theirs.dataset_digest[7:15]}…, {ours.dataset_digest[7:15]}…): not"
                    f" comparable",
                    hint=f"evaluate `{old}` again on the rows of `{new}`",
                )
    on = f" named {dataset}" if dataset else ""
    lacking = new if not new_evaluations else old
    raise NotFoundError(
        f"`{old}` and `{new}` share no evaluated dataset{on}",
        hint=f"detent evaluate {lacking} --data FILE --target COLUMN",
    )


def _compare(
    stores: Stores, old: Version, theirs: Evaluation, new: Version, ours: Evaluation
) -> Comparison:
    before, after = _outcomes(stores, theirs, old), _outcomes(stores, ours, new)
    truth = after["y_true"]
    is_labels = truth.dtype.kind != "f"
    wrong_before, wrong_after = before["y_pred"] != truth, after["y_pred"] != truth
    shared = {metric.name: metric for metric in theirs.metrics}
    return Comparison(
        model=old.model,
        baseline=old.number,
        candidate=new.number,
        dataset=ours.dataset,
        dataset_digest=ours.dataset_digest,
        n_rows=ours.n_rows,
        differences=tuple(
            Difference(
                metric=metric.name,
                baseline=shared[metric.name].value,
                candidate=metric.value,
                n=metric.n,
                greater_is_better=metric.greater_is_better,
            )
            for metric in ours.metrics
            if metric.name in shared
        ),
        n_changed=int(np.sum(before["y_pred"] != after["y_pred"])),
        newly_wrong=int(np.sum(wrong_after & ~wrong_before)) if is_labels else None,
        newly_right=int(np.sum(wrong_before & ~wrong_after)) if is_labels else None,
        baseline_size_bytes=old.size_bytes,
        candidate_size_bytes=new.size_bytes,
        baseline_one_row_s=theirs.one_row_s,
        candidate_one_row_s=ours.one_row_s,
        evaluations=(theirs.id, ours.id),
    )


def _outcomes(stores: Stores, evaluation: Evaluation, version: Version) -> dict[str, Any]:
    data = read_verified(stores.blobs, evaluation.outcomes, what=f"the evaluation of `{version}`")
    columns = decode_table(data)
    assert isinstance(columns, dict)
    return columns
