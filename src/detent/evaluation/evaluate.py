"""From a version and a dataset to an evaluation."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from detent.blobs.base import Blobs
from detent.comparison.outcomes import Outcomes
from detent.compilers.base import Methods
from detent.compilers.make import check_form
from detent.data.table import digest_table, encode_table, n_rows
from detent.domain.clock import utc_now
from detent.domain.digest import canonical_json, digest_of
from detent.domain.evidence import Evaluation, OwnMetric
from detent.domain.manifest import Signature
from detent.domain.version import Version
from detent.evaluation.inputs import store_inputs
from detent.evaluation.metrics import compute_metrics
from detent.evaluation.predict import predict
from detent.evaluation.rows import (
    check_groups,
    check_ids,
    check_rows,
    check_weights,
    drop_names,
    fit_columns,
    named_columns,
)
from detent.evaluation.slices import Slices, find_slices
from detent.registry.record import check_dataset, record_evaluation
from detent.registry.stores import Stores

_TIMED_ROWS = 20
_TIMED_S = 0.5  # spent at most on timing single rows


def evaluate(
    stores: Stores,
    version: Version,
    model: Any,
    X: Any,
    y: Any,
    *,
    dataset: str,
    form: tuple[str, Methods] | None = None,
    signature: Signature | None = None,
    metrics: Sequence[str | OwnMetric] | None = None,
    slices: Slices | None = None,
    groups: Any = None,
    ids: Any = None,
    sample_weight: Any = None,
) -> Evaluation:
    """Predict every row, compute metrics, and keep both: `measure`, then `record_evaluation`."""
    measured = measure(
        stores.blobs,
        version,
        model,
        X,
        y,
        dataset=dataset,
        form=form,
        signature=signature,
        metrics=metrics,
        slices=slices,
        groups=groups,
        ids=ids,
        sample_weight=sample_weight,
    )
    return record_evaluation(stores, measured)


def measure(
    blobs: Blobs,
    version: Version,
    model: Any,
    X: Any,
    y: Any,
    *,
    dataset: str,
    form: tuple[str, Methods] | None = None,
    signature: Signature | None = None,
    metrics: Sequence[str | OwnMetric] | None = None,
    slices: Slices | None = None,
    groups: Any = None,
    ids: Any = None,
    sample_weight: Any = None,
) -> Evaluation:
    """Predict every row, compute metrics, and store what was answered; nothing is recorded yet.

    Parameters
    ----------
    blobs : Blobs
        Where the outcome of every row is stored.
    version : Version
        The version that `model` was loaded from.
    model : object
        Has ``predict``, and ``predict_proba`` where it gives probabilities.
    X : table-like of shape (n_samples, n_features)
        The rows.
    y : array-like of shape (n_samples,)
        Their true values.
    dataset : str
        A name for the rows, 1 to 200 characters. Their digest tells them apart all the same.
    form : tuple of str and mapping, optional
        The version's compiled form: its compiler, and what it answers in the place of ``model``.
        It must agree on every row; and one row is timed with it.
    signature : Signature, optional
        What the version takes, to check the columns against.
    metrics : sequence of str or OwnMetric, optional
        Which metrics; by default the usual ones. The first one is the main one.
    slices : sequence of str, or mapping, optional
        As for `find_slices`.
    groups : array-like of shape (n_samples,), optional
        To whom a row belongs, where rows are not independent.
    ids : array-like of shape (n_samples,), optional
        Names of rows, no two equal, by which evaluations of other rows can be matched.
    sample_weight : array-like of shape (n_samples,), optional
        How much a row counts, 0 or more.

    Raises
    ------
    InvalidError
        If rows and true values do not fit together or do not fit the model.
    RefusedError
        If the compiled form answers one of the rows otherwise than the model.
    """
    check_dataset(dataset)
    y_true = check_rows(X, y)
    parts = find_slices(X, slices, n_rows=len(y_true))
    named = named_columns(X, ids, groups, len(y_true))
    if signature is not None:
        X = fit_columns(drop_names(X, signature, named), signature, version)
    task, answers = predict(model, X, y_true, version)
    if form is not None:
        compiler, methods = form
        what = f"of `{dataset}`"
        check_form(model, methods, [X], compiler=compiler, what=what, done="nothing was recorded")
    answers = replace(
        answers,
        slices=parts,
        ids=check_ids(named["ids"]),
        groups=check_groups(named["groups"]),
        sample_weight=check_weights(sample_weight, len(y_true)),
    )
    found, answers = compute_metrics(answers, task=task, wanted=metrics)
    outcomes = _store_outcomes(blobs, answers)
    rows = digest_of(canonical_json({"X": digest_table(X), "y": digest_table(y_true)}))
    one_row_s = _time_one_row((form[1] if form else {}).get("predict", model.predict), X)
    return Evaluation(
        id=0,  # given, as time and actor are, when it is recorded
        model=version.model,
        version=version.number,
        dataset=dataset,
        dataset_digest=rows,
        n_rows=len(y_true),
        metrics=found,
        outcomes=outcomes,
        inputs=store_inputs(blobs, X),
        one_row_s=one_row_s,
        at=utc_now(),
        by="",
    )


def _store_outcomes(blobs: Blobs, outcomes: Outcomes) -> str:
    with blobs.create() as writer:
        for chunk in encode_table(outcomes.to_columns()):
            writer.write(chunk)
    return writer.digest


def _time_one_row(predict: Callable[[Any], Any], X: Any) -> float | None:
    """Return the median time of predicting one row, in seconds."""
    times: list[float] = []
    for i in range(min(n_rows(X), _TIMED_ROWS)):
        row = X.iloc[i : i + 1] if hasattr(X, "iloc") else X[i : i + 1]
        started = time.perf_counter()
        predict(row)
        times.append(time.perf_counter() - started)
        if sum(times) > _TIMED_S:
            break
    return float(np.median(times)) if times else None
