"""From a version and a dataset to an evaluation."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier, is_regressor

from detent.data.table import column_names, digest_table, encode_table, n_rows
from detent.domain.digest import canonical_json, digest_of
from detent.domain.events import EventType
from detent.domain.evidence import Evaluation
from detent.domain.manifest import Signature
from detent.domain.version import Version
from detent.errors import DetentError, InvalidError
from detent.evaluation.metrics import Answers, compute_metrics
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
    metrics: Sequence[str] | None = None,
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
    metrics : sequence of str, optional
        Which metrics; by default the usual ones.

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
    if signature is not None:
        X = _fit_columns(X, signature, version)
    answers = _predict(model, X, y_true, version)
    task = _task(model, answers.y_true)
    found = compute_metrics(answers, task=task, names=metrics)
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


def _predict(model: Any, X: Any, y_true: NDArray[Any], version: Version) -> Answers:
    try:
        y_pred = np.asarray(model.predict(X))
        proba = np.asarray(model.predict_proba(X)) if hasattr(model, "predict_proba") else None
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
    classes = getattr(model, "classes_", None)
    if proba is None or classes is None or proba.ndim != 2 or isinstance(classes, list):
        return Answers(y_true=y_true, y_pred=y_pred)
    return Answers(y_true=y_true, y_pred=y_pred, proba=proba, classes=np.asarray(classes))


def _task(model: Any, y_true: NDArray[Any]) -> str:
    try:
        if is_classifier(model):
            return "classification"
        if is_regressor(model):
            return "regression"
    except (AttributeError, TypeError):  # not an estimator of scikit-learn
        pass
    return "regression" if y_true.dtype.kind == "f" else "classification"


def _store_outcomes(stores: Stores, answers: Answers) -> str:
    columns = {"y_true": answers.y_true, "y_pred": answers.y_pred}
    if answers.proba is not None and answers.classes is not None:
        for i, label in enumerate(answers.classes.tolist()):
            columns[f"proba:{label}"] = answers.proba[:, i]
    with stores.blobs.create() as writer:
        for chunk in encode_table(columns):
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
