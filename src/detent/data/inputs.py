"""The inputs of a model, one by one: what stands in a table's rows, as numbers and texts."""

import datetime
import math
from typing import Any

import numpy as np

from detent.data.table import column_names, head, n_rows

Value = float | str | None  # None is missing


def input_columns(table: Any, *, most: int, most_rows: int) -> list[tuple[str, list[Value]]]:
    """Return the inputs in a table by name, each with its values.

    Of more inputs than `most`, or more rows, so many that are evenly spaced. The columns of an
    array are called ``x[0]``, ``x[1]``, …

    Raises
    ------
    InvalidError
        If it is no table that can be read.

    Examples
    --------
    >>> input_columns({"age": [31, None]}, most=50, most_rows=1000)
    [('age', [31.0, None])]
    """
    n = n_rows(table)
    rows = spread(n, most_rows)
    named = column_names(table)
    if named and isinstance(table, dict):
        columns = [np.asarray(values, dtype=object) for values in table.values()]
    elif named and hasattr(table, "iloc"):
        columns = [table.iloc[:, i] for i in range(len(named))]
    elif named:  # an Arrow table
        columns = [np.asarray(column.to_pylist(), dtype=object) for column in table.columns]
    else:
        return _array_columns(table, most=most, rows=rows)
    return [(named[i], _values(columns[i], rows)) for i in spread(len(named), most)]


def first_row(table: Any) -> list[Any]:
    """Return what stands in the first row, input by input, as it is: see `to_value`."""
    if isinstance(table, dict):
        return [values[0] for values in table.values()]
    if hasattr(table, "iloc"):
        return list(table.iloc[0].tolist())
    row = head(table, 1)
    if hasattr(row, "toarray"):
        row = row.toarray()
    return list(np.asarray(row).reshape(-1))


def to_value(raw: Any) -> Value:
    """Return what stands in a cell as a number or a text; None where it is missing or infinite.

    Examples
    --------
    >>> to_value(3), to_value(float("nan")), to_value(True), to_value("bonn")
    (3.0, None, 'True', 'bonn')
    """
    if isinstance(raw, np.generic):
        raw = raw.item() if raw.dtype.kind not in "mM" else raw.astype(f"{raw.dtype.kind}8[us]")
    if isinstance(raw, np.datetime64 | np.timedelta64):
        raw = None if np.isnat(raw) else raw.astype(np.int64) / 1e6
    # pandas may not be there, and its missing value is equal to nothing, not even to say so.
    if raw is None or type(raw).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(raw, bool | str):
        return str(raw)[:100]
    if isinstance(raw, bytes):
        return raw.decode("utf-8", "replace")[:100]
    if isinstance(raw, datetime.datetime):
        return (raw if raw.tzinfo else raw.replace(tzinfo=datetime.UTC)).timestamp()
    try:
        number = float(raw)
    except (TypeError, ValueError):
        return str(raw)[:100]
    return number if math.isfinite(number) else None


def spread(n: int, most: int) -> list[int]:
    """Return the numbers below n, or as many of them as are wanted, evenly spaced.

    Examples
    --------
    >>> spread(3, 10), spread(10, 3)
    ([0, 1, 2], [0, 3, 6])
    """
    return list(range(n)) if n <= most else [i * n // most for i in range(most)]


def _array_columns(table: Any, *, most: int, rows: list[int]) -> list[tuple[str, list[Value]]]:
    if hasattr(table, "toarray"):
        flat = table.tocsr()[rows].tocsc()
        columns = {i: flat[:, [i]].toarray().ravel() for i in spread(flat.shape[1], most)}
    else:
        flat = np.asarray(table)[rows].reshape(len(rows), -1)
        columns = {i: flat[:, i] for i in spread(flat.shape[1], most)}
    return [(f"x[{i}]", _to_values(column)) for i, column in columns.items()]


def _values(column: Any, rows: list[int]) -> list[Value]:
    return _to_values(column.iloc[rows] if hasattr(column, "iloc") else column[rows])


def _to_values(column: Any) -> list[Value]:
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf":  # most are, and many
        numbers = np.asarray(column, dtype=np.float64)
        found = numbers.astype(object)
        found[~np.isfinite(numbers)] = None
        return list(found.tolist())
    return [to_value(value) for value in column]
