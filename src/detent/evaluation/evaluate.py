"""From a version and a dataset to an evaluation."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier, is_regressor

from detent.comparison.outcomes import Outcomes
from detent.data.table import column_names, digest_table, encode_table, n_rows
from detent.domain.digest import canonical_json, digest_of
from detent.domain.events import EventType
from detent.domain.evidence import Evaluation, OwnMetric
from detent.domain.manifest import Signature
from detent.domain.version import Version
from detent.errors import DetentError, InvalidError
from detent.evaluation.metrics import compute_metrics
from detent.evaluation.slices import Slices, find_slices
from detent.registry.read import resolve
from detent.registry.register import check_blobs
from detent.registry.stores import Stores, change

MAX_DATASET_NAME = 200
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
    signature: Signature | None = None,
    metrics: Sequence[str | OwnMetric] | None = None,
    slices: Slices | None = None,
    groups: Any = None,
    ids: Any = None,
    sample_weight: Any = None,
) -> Evaluation:
    """Predict every row, compute metrics, and keep both.

    Parameters
    ----------
    stores : Stores
        The registry, and who acts.
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
    NotFoundError
        If the version was deleted meanwhile.
    """
    if not dataset.strip() or len(dataset) > MAX_DATASET_NAME or not dataset.isprintable():
        raise InvalidError(
            "a dataset's name has 1 to 200 printable characters; nothing was recorded"
        )
    y_true = _check_rows(X, y)
    parts = find_slices(X, slices, n_rows=len(y_true))
    named = _names(X, ids, groups, len(y_true))
    if signature is not None:
        X = _fit_columns(_drop(X, signature, named), signature, version)
    task, answers = _predict(model, X, y_true, version)
    answers = replace(
        answers,
        slices=parts,
        ids=_ids(named["ids"]),
        groups=_groups(named["groups"]),
        sample_weight=_weights(sample_weight, len(y_true)),
    )
    found, answers = compute_metrics(answers, task=task, wanted=metrics)
    outcomes = _store_outcomes(stores, answers)
    rows = digest_of(canonical_json({"X": digest_table(X), "y": digest_table(y_true)}))
    one_row_s = _time_one_row(model, X)
    with change(stores) as step:
        resolve(step.tables, version)  # it may have been deleted meanwhile
        check_blobs(stores, [outcomes])
        evaluation = Evaluation(
            id=step.tables.next_evaluation(),
            model=version.model,
            version=version.number,
            dataset=dataset,
            dataset_digest=rows,
            n_rows=len(y_true),
            metrics=found,
            outcomes=outcomes,
            one_row_s=one_row_s,
            at=step.at,
            by=step.actor,
        )
        step.tables.insert_evaluation(evaluation, at_us=step.at_us)
        step.record(
            EventType.VERSION_EVALUATED,
            {
                "evaluation": evaluation.id,
                "model": version.model,
                "version": version.number,
                "dataset": dataset,
                "dataset_digest": rows,
                "n_rows": evaluation.n_rows,
                "metrics": [asdict(metric) for metric in found],
                "outcomes": outcomes,
                "one_row_s": one_row_s,
            },
        )
    return evaluation


def _check_rows(X: Any, y: Any) -> NDArray[Any]:
    y_true = np.asarray(y)
    if y_true.ndim == 2 and y_true.shape[1] == 1:
        y_true = y_true[:, 0]
    if y_true.ndim != 1:
        raise InvalidError(
            f"the true values have the shape {y_true.shape}: (n_samples,) is expected; nothing was"
            " recorded"
        )
    if len(y_true) != n_rows(X):
        raise InvalidError(
            f"there are {n_rows(X):,} rows and {len(y_true):,} true values; nothing was recorded"
        )
    if len(y_true) == 0:
        raise InvalidError("there are no rows to evaluate; nothing was recorded")
    if _has_missing(y_true):
        raise InvalidError("some true values are missing (NaN or None); nothing was recorded")
    return y_true


def _has_missing(values: NDArray[Any]) -> bool:
    if values.dtype.kind in "fc":
        return bool(np.isnan(values).any())
    return values.dtype == object and any(v is None or v != v for v in values.tolist())


def _fit_columns(X: Any, signature: Signature, version: Version) -> Any:
    """Return X with the signature's columns in their order; say which are missing or too many."""
    found = column_names(X)
    if signature.kind != "table" or not found:  # without names only the width can be checked
        _check_width(X, signature, version)
        return X
    expected = [field.name for field in signature.inputs]
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    if missing or extra:
        parts = [f"missing: {_quoted(missing)}"] if missing else []
        parts += [f"unknown: {_quoted(extra)}"] if extra else []
        raise InvalidError(
            f"`{version}` takes {len(expected)} columns, the data has {len(found)};"
            f" {'; '.join(parts)}; nothing was recorded",
            hint=f"see them with `detent show {version} --signature`",
            details={"missing": missing, "unknown": extra},
        )
    return X if list(found) == expected else X[expected]


def _check_width(X: Any, signature: Signature, version: Version) -> None:
    if signature.kind == "table":
        expected = len(signature.inputs)
    else:
        expected = signature.inputs[0].shape[-1] if len(signature.inputs[0].shape) == 2 else -1
    shape = getattr(X, "shape", None) or np.shape(X)
    if expected > 0 and len(shape) == 2 and shape[1] != expected:
        raise InvalidError(
            f"`{version}` takes {expected} features, the data has {shape[1]}; nothing was recorded"
        )


def _quoted(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names[:10])


def _names(X: Any, ids: Any, groups: Any, n: int) -> dict[str, NDArray[Any] | None]:
    """Return ids and groups, which may be given as the name of a column, as arrays."""
    found: dict[str, NDArray[Any] | None] = {}
    for what, given in (("ids", ids), ("groups", groups)):
        if isinstance(given, str):
            if given not in column_names(X):
                raise InvalidError(f"there is no column `{given}` of {what}; nothing was recorded")
            given = X[given]
        values = None if given is None else np.asarray(given)
        if values is not None:
            if values.shape != (n,):
                raise InvalidError(
                    f"`{what}` has the shape {values.shape} for {n:,} rows; nothing was recorded"
                )
            if _has_missing(values):
                raise InvalidError(f"some `{what}` are missing; nothing was recorded")
            if values.dtype == object:
                values = np.array([str(value) for value in values.tolist()])
        found[what] = values
    return found


def _drop(X: Any, signature: Signature, named: dict[str, NDArray[Any] | None]) -> Any:
    """Leave out the columns that name rows or groups, where the model does not take them."""
    if signature.kind != "table" or not hasattr(X, "drop"):
        return X
    taken = {field.name for field in signature.inputs}
    spare = [
        name
        for name in column_names(X)
        if name not in taken
        and any(given is not None and _equal(X[name], given) for given in named.values())
    ]
    return X.drop(columns=spare) if spare else X


def _equal(column: Any, given: NDArray[Any]) -> bool:
    values = np.asarray(column)
    if values.dtype == object:
        values = np.array([str(value) for value in values.tolist()])
    return bool(np.array_equal(values, given))


def _ids(values: NDArray[Any] | None) -> NDArray[Any] | None:
    if values is not None and len(np.unique(values)) < len(values):
        distinct, counts = np.unique(values, return_counts=True)
        twice = distinct[counts > 1][0]
        raise InvalidError(f"row id `{twice}` names more than one row; nothing was recorded")
    return values


def _groups(values: NDArray[Any] | None) -> NDArray[Any] | None:
    if values is not None and len(np.unique(values)) < 2:
        raise InvalidError(
            "all rows are of one group: nothing is known of any other; nothing was recorded",
            hint="evaluate rows of several groups, or leave `groups` out",
        )
    return values


def _weights(given: Any, n: int) -> NDArray[np.float64] | None:
    if given is None:
        return None
    try:
        weights = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidError(f"`sample_weight` holds no numbers: {error}") from error
    if weights.shape != (n,):
        raise InvalidError(
            f"`sample_weight` has the shape {weights.shape} for {n:,} rows; nothing was recorded"
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise InvalidError(
            "a `sample_weight` is negative, missing or infinite; nothing was recorded"
        )
    if not weights.any():
        raise InvalidError("all of `sample_weight` is 0; nothing was recorded")
    return weights


def _predict(model: Any, X: Any, y_true: NDArray[Any], version: Version) -> tuple[str, Outcomes]:
    try:
        y_pred = np.asarray(model.predict(X))
        proba = np.asarray(model.predict_proba(X)) if hasattr(model, "predict_proba") else None
        score = None
        if proba is None and hasattr(model, "decision_function"):
            score = np.asarray(model.decision_function(X))
    except DetentError:
        raise
    except Exception as error:
        text = str(error).strip().split("\n")[0][:300]
        raise InvalidError(
            f"`{version}` could not predict these rows: {type(error).__name__}: {text}; nothing"
            " was recorded"
        ) from error
    if y_pred.ndim == 2 and y_pred.shape[1] == 1:
        y_pred = y_pred[:, 0]
    if y_pred.shape != y_true.shape:
        raise InvalidError(
            f"`{version}` gave answers of the shape {y_pred.shape} for {len(y_true):,} rows:"
            f" ({len(y_true)},) is expected; nothing was recorded"
        )
    task = _task(model, y_true)
    if task == "classification":
        y_true, y_pred = _labels(y_true, y_pred, version)
    for what, array in (("answers", y_pred), ("probabilities", proba), ("scores", score)):
        if array is not None and array.dtype.kind == "f" and not np.isfinite(array).all():
            n_bad = int(np.count_nonzero(~np.isfinite(array)))
            raise InvalidError(
                f"`{version}` gave {n_bad:,} {what} that are NaN or infinite; nothing was recorded"
            )
    classes = getattr(model, "classes_", None)
    if isinstance(classes, list):
        classes = None
    outcomes = Outcomes(y_true=y_true, y_pred=y_pred)
    if classes is None or task != "classification":
        return task, outcomes
    outcomes = replace(outcomes, classes=_as_text(np.asarray(classes)))
    if proba is not None and proba.shape == (len(y_true), len(classes)):
        return task, replace(outcomes, proba=proba.astype(np.float64))
    if score is not None and score.ndim == 1:
        return task, replace(outcomes, y_score=score.astype(np.float64))
    return task, outcomes


def _as_text(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype == object and all(isinstance(value, str) for value in values.tolist()):
        return values.astype(np.str_)
    return values


def _labels(
    y_true: NDArray[Any], y_pred: NDArray[Any], version: Version
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Refuse labels of two types: none would ever be equal, and all answers would be wrong."""
    true, pred = _as_text(y_true), _as_text(y_pred)
    texts = [array.dtype.kind in "UO" for array in (true, pred)]
    if texts[0] != texts[1]:
        raise InvalidError(
            f"the true values are of the type {y_true.dtype}, the answers of `{version}` of"
            f" {y_pred.dtype}: no answer could ever be right; nothing was recorded",
            hint="give the true values as the labels that the model was trained with",
        )
    return true, pred


def _task(model: Any, y_true: NDArray[Any]) -> str:
    try:
        if is_classifier(model):
            return "classification"
        if is_regressor(model):
            return "regression"
    except (AttributeError, TypeError):  # not an estimator of scikit-learn
        pass
    return "regression" if y_true.dtype.kind == "f" else "classification"


def _store_outcomes(stores: Stores, outcomes: Outcomes) -> str:
    with stores.blobs.create() as writer:
        for chunk in encode_table(outcomes.to_columns()):
            writer.write(chunk)
    return writer.digest


def _time_one_row(model: Any, X: Any) -> float | None:
    """Return the median time of predicting one row, in seconds."""
    times: list[float] = []
    for i in range(min(n_rows(X), _TIMED_ROWS)):
        row = X.iloc[i : i + 1] if hasattr(X, "iloc") else X[i : i + 1]
        started = time.perf_counter()
        model.predict(row)
        times.append(time.perf_counter() - started)
        if sum(times) > _TIMED_S:
            break
    return float(np.median(times)) if times else None
