"""Where rows come from: a table in memory, files of rows, Parquet in blocks."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from detent.data.load import read_rows, take_column
from detent.data.places import STORES
from detent.errors import InvalidError
from detent.evaluation.dataset import Dataset, read_dataset
from detent.evaluation.evaluate import read_table

_PARQUET = (".parquet", ".pq")


def open_data(
    X: Any,
    y: Any,
    *,
    data: Path | str | None,
    target: str | None,
    name: str | None,
    sample_weight: Any,
    **options: Any,
) -> Dataset:
    """Return the rows of a table, or of files, as a data set.

    Parameters and errors are those of `Registry.evaluate`.
    """
    if data is None:
        if X is None or y is None or target is not None:
            raise InvalidError(
                "what to evaluate on is not said; nothing was recorded",
                hint="pass X and y; or data= and target=",
            )
        if name is None:
            raise InvalidError("the rows have no name; nothing was recorded", hint="dataset=")
        return read_table(X, y, name=name, sample_weight=sample_weight, **options)
    if X is not None or y is not None or target is None:
        raise InvalidError(
            "the rows are given by data= and target=, or by X and y; nothing was recorded"
        )
    address = os.fspath(data)
    name = name or PurePosixPath(urlsplit(address).path.rstrip("/")).stem
    if is_in_blocks(address):
        return _open_parquet(address, target, name, sample_weight, options)
    X, y = read_rows(address, target)
    if isinstance(sample_weight, str):
        X, sample_weight = take_column(X, sample_weight, address)
    return read_table(X, y, name=name, sample_weight=sample_weight, **options)


def is_in_blocks(address: str) -> bool:
    """Say whether an address names Parquet files, which are read in blocks.

    Examples
    --------
    >>> is_in_blocks("s3://lake/2026-02/"), is_in_blocks("rows.csv")
    (True, False)
    """
    parts = urlsplit(address)
    if parts.scheme in ("http", "https"):
        return False
    is_parquet = PurePosixPath(parts.path).suffix.lower() in _PARQUET
    return is_parquet or parts.scheme in STORES or os.path.isdir(address)


def _open_parquet(
    address: str, target: str, name: str, sample_weight: Any, options: dict[str, Any]
) -> Dataset:
    try:
        from detent.data.parquet import open_parquet
    except ImportError as error:
        raise InvalidError(
            f"reading Parquet files needs pandas and pyarrow ({error})",
            hint='pip install "detent[data]"',
        ) from None
    from detent.data.places import place_of

    rows = open_parquet(place_of(address))
    apart = [target] + ([sample_weight] if isinstance(sample_weight, str) else [])
    return read_dataset(
        rows.without(apart),
        rows.column(target),
        name=name,
        sample_weight=sample_weight,
        **options,
    )
