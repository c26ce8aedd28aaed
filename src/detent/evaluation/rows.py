"""Rows and what comes with them: true values, ids, groups, weights, and the columns of a model."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detent.data.table import column_names, n_rows
from detent.domain.manifest import Signature
from detent.domain.version import Version
from detent.errors import InvalidError


def check_rows(X: Any, y: Any) -> NDArray[Any]:
    """Return the true values, when they fit the rows."""
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


def named_columns(X: Any, ids: Any, groups: Any, n: int) -> dict[str, NDArray[Any] | None]:
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


def drop_names(X: Any, signature: Signature, named: dict[str, NDArray[Any] | None]) -> Any:
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


def check_ids(values: NDArray[Any] | None) -> NDArray[Any] | None:
    """Return row ids, when no two are equal."""
    if values is not None and len(np.unique(values)) < len(values):
        distinct, counts = np.unique(values, return_counts=True)
        twice = distinct[counts > 1][0]
        raise InvalidError(f"row id `{twice}` names more than one row; nothing was recorded")
    return values


def check_groups(values: NDArray[Any] | None) -> NDArray[Any] | None:
    """Return groups, when there are several."""
    if values is not None and len(np.unique(values)) < 2:
        raise InvalidError(
            "all rows are of one group: nothing is known of any other; nothing was recorded",
            hint="evaluate rows of several groups, or leave `groups` out",
        )
    return values


def check_weights(given: Any, n: int) -> NDArray[np.float64] | None:
    """Return weights, when they are numbers of 0 or more."""
    if given is None:
        return None
    try:
        weights = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidError(
            f"`sample_weight` holds no numbers: {error}; nothing was recorded"
        ) from error
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


def fit_columns(X: Any, signature: Signature, version: Version) -> Any:
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
