"""Rows and what comes with them: true values, ids, groups, weights, and the columns of a model."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detent.data.blocks import Rows, digest_blocks, digested, gather
from detent.domain.manifest import Signature
from detent.domain.version import Version
from detent.errors import InvalidError


def check_true(y: Any, rows: Rows) -> NDArray[Any]:
    """Return true values that are in memory as an array, when they fit the rows."""
    y_true = np.asarray(y)
    if y_true.ndim == 2 and y_true.shape[1] == 1:
        y_true = y_true[:, 0]
    if y_true.ndim != 1:
        raise InvalidError(
            f"the true values have the shape {y_true.shape}: (n_samples,) is expected; nothing was"
            " recorded"
        )
    if len(y_true) != rows.n_rows:
        raise InvalidError(
            f"there are {rows.n_rows:,} rows and {len(y_true):,} true values; nothing was recorded"
        )
    return y_true


def read_true(blocks: Iterable[NDArray[Any]], rows: Rows) -> tuple[NDArray[Any], str]:
    """Return the true values from their blocks, and their digest."""
    if rows.n_rows == 0:
        raise InvalidError("there are no rows to evaluate; nothing was recorded")
    digests: list[str] = []
    y_true = gather(digested(blocks, digests), rows.n_rows)
    if _has_missing(y_true):
        raise InvalidError("some true values are missing (NaN or None); nothing was recorded")
    return y_true, digest_blocks(digests)


def _has_missing(values: NDArray[Any]) -> bool:
    if values.dtype.kind in "fc":
        return bool(np.isnan(values).any())
    return values.dtype == object and any(v is None or v != v for v in values.tolist())


def named_columns(rows: Rows, ids: Any, groups: Any) -> dict[str, NDArray[Any] | None]:
    """Return ids and groups, which may be given as the name of a column, as arrays."""
    found: dict[str, NDArray[Any] | None] = {}
    n = rows.n_rows
    for what, given in (("ids", ids), ("groups", groups)):
        if isinstance(given, str):
            if given not in rows.names:
                raise InvalidError(f"there is no column `{given}` of {what}; nothing was recorded")
            given = gather(rows.column(given), n)
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


def spare_columns(
    rows: Rows, signature: Signature, given: Sequence[NDArray[Any] | None]
) -> list[str]:
    """Return the columns that name rows or groups, and that a model does not take."""
    named = [values for values in given if values is not None]
    if signature.kind != "table" or not named:
        return []
    taken = {field.name for field in signature.inputs}
    return [
        name
        for name in rows.names
        if name not in taken and _is_one_of(gather(rows.column(name), rows.n_rows), named)
    ]


def _is_one_of(column: NDArray[Any], given: list[NDArray[Any]]) -> bool:
    if column.dtype == object:
        column = np.array([str(value) for value in column.tolist()])
    return any(np.array_equal(column, values) for values in given)


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


def check_weights(given: Any, rows: Rows) -> NDArray[np.float64] | None:
    """Return weights, which may be given as the name of a column, when they are 0 or more."""
    if given is None:
        return None
    n = rows.n_rows
    if isinstance(given, str):
        given = gather(rows.column(given), n)
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


def fit_columns(
    rows: Rows, signature: Signature, version: Version, *, spare: Sequence[str] = ()
) -> tuple[str, ...] | None:
    """Return the signature's columns in their order; say which are missing or too many.

    None takes the rows as they are: of an array without names only the width can be checked.
    """
    found = [name for name in rows.names if name not in spare]
    if signature.kind != "table" or not found:
        _check_width(rows, signature, version)
        return None
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
    return tuple(expected)


def _check_width(rows: Rows, signature: Signature, version: Version) -> None:
    if signature.kind == "table":
        expected = len(signature.inputs)
    else:
        expected = signature.inputs[0].shape[-1] if len(signature.inputs[0].shape) == 2 else -1
    width = rows.width
    if expected > 0 and width is not None and width != expected:
        raise InvalidError(
            f"`{version}` takes {expected} features, the data has {width}; nothing was recorded"
        )


def _quoted(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names[:10])
