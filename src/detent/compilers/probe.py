"""Rows to try a compiled form on, where a sample alone would say little.

Trees change their answer at thresholds, and there the precision of a comparison shows. So rows are
made whose values lie exactly on the thresholds of a model and on the floats beside them, beside
mixtures of the sample's own values; and tables that a model may refuse: with values missing, with
words that it has never met.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

N_ROWS = 1_000
_SHARE_ON_THRESHOLDS = 0.5
_SHARE_MISSING = 0.2
_UNSEEN = "\N{SNOWMAN} unseen"


def make_tables(model: Any, sample: Any, rng: np.random.Generator) -> Iterator[Any]:
    """Yield tables of the sample's kind; of a sample that is no array and no frame, none.

    Parameters
    ----------
    model : estimator
        Its thresholds are used where its trees take the sample's columns as they are.
    sample : table-like of shape (n_samples, n_features)
        At least one row.
    rng : numpy.random.Generator
        Where the mixtures come from.
    """
    pandas = sys.modules.get("pandas")
    thresholds = find_thresholds(model)
    if isinstance(sample, np.ndarray) and sample.ndim == 2 and sample.dtype.kind in "fiub":
        columns = [_mix(sample[:, i], thresholds.get(i), rng) for i in range(sample.shape[1])]
        mixed: NDArray[Any] = np.column_stack(columns).astype(sample.dtype, copy=False)
        yield mixed
        if sample.dtype.kind == "f":
            yield np.where(rng.random(mixed.shape) < _SHARE_MISSING, np.nan, mixed)
            yield mixed.astype(np.float32)
            yield np.where(rng.random(mixed.shape) < _SHARE_MISSING, np.inf, mixed)
    elif pandas is not None and isinstance(sample, pandas.DataFrame):
        yield from _frames(sample, thresholds, rng, pandas)


def find_thresholds(model: Any) -> dict[int, NDArray[np.float64]]:
    """Return the thresholds of a model's trees by column; none of trees behind other steps."""
    found: dict[int, list[NDArray[np.float64]]] = {}
    parts = getattr(model, "estimators_", [model])
    for tree in (getattr(part, "tree_", None) for part in getattr(parts, "flat", parts)):
        if tree is not None:
            _gather(found, tree.feature, tree.threshold)
    for stage in getattr(model, "_predictors", ()):
        for predictor in stage:
            inner = predictor.nodes[predictor.nodes["is_leaf"] == 0]
            _gather(found, inner["feature_idx"], inner["num_threshold"])
    return {column: np.unique(np.concatenate(parts)) for column, parts in found.items()}


def _gather(found: dict[int, Any], features: NDArray[Any], thresholds: NDArray[Any]) -> None:
    for column in np.unique(features[features >= 0]).tolist():
        found.setdefault(column, []).append(thresholds[features == column])


def _mix(
    values: NDArray[Any], thresholds: NDArray[np.float64] | None, rng: np.random.Generator
) -> NDArray[Any]:
    """Return values of a column: some of its own, some between, some on and beside thresholds."""
    known = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if not len(known):
        return rng.choice(values, N_ROWS)
    drawn = rng.choice(known, N_ROWS)
    if values.dtype.kind in "bu":
        return drawn
    if values.dtype.kind == "i":
        return np.where(rng.random(N_ROWS) < 0.5, drawn, drawn + rng.integers(-1, 2, N_ROWS))
    between = drawn + rng.normal(0, np.std(known) or 1.0, N_ROWS)
    mixed = np.where(rng.random(N_ROWS) < 0.5, drawn, between)
    if thresholds is None:
        return mixed
    edges = rng.choice(beside(thresholds), N_ROWS)
    return np.where(rng.random(N_ROWS) < _SHARE_ON_THRESHOLDS, edges, mixed)


def beside(thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values on thresholds, and the doubles and singles next to them on either side."""
    thresholds = thresholds[np.isfinite(thresholds)]
    single = thresholds.astype(np.float32)
    return np.concatenate(
        [
            thresholds,
            *(np.nextafter(thresholds, end) for end in (-np.inf, np.inf)),
            single.astype(np.float64),
            *(
                np.nextafter(single, np.float32(end)).astype(np.float64)
                for end in (-np.inf, np.inf)
            ),
        ]
    )


def _frames(
    sample: Any, thresholds: dict[int, NDArray[np.float64]], rng: np.random.Generator, pandas: Any
) -> Iterator[Any]:
    columns = [sample.iloc[:, i] for i in range(sample.shape[1])]
    picks = [rng.integers(0, len(sample), N_ROWS) for _ in columns]
    mixed = {}
    for i, (column, pick) in enumerate(zip(columns, picks, strict=True)):
        if isinstance(column.dtype, np.dtype) and column.dtype.kind in "fiub":
            values: Any = _mix(column.to_numpy(), thresholds.get(i), rng)
            mixed[i] = pandas.Series(values.astype(column.dtype, copy=False))
        else:
            mixed[i] = column.iloc[pick].reset_index(drop=True)
    frame = pandas.DataFrame(mixed)
    frame.columns = sample.columns
    yield frame
    floats = [i for i, column in enumerate(columns) if column.dtype.kind == "f"]
    if floats:
        yield _with_holes(frame, floats, rng)
    texts = [i for i, column in enumerate(columns) if pandas.api.types.is_string_dtype(column)]
    for i in texts:
        strange = frame.head(3).copy()
        strange.isetitem(i, pandas.Series([_UNSEEN] * 3, dtype=columns[i].dtype))
        yield strange


def _with_holes(frame: Any, places: list[int], rng: np.random.Generator) -> Any:
    holed = frame.copy()
    for i in places:
        is_hole = rng.random(len(frame)) < _SHARE_MISSING
        holed.isetitem(i, holed.iloc[:, i].mask(is_hole))
    return holed
