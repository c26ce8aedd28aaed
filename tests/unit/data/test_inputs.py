import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.sparse import csr_array

from detent.data.inputs import first_row, input_columns, to_value

FRAME = pd.DataFrame(
    {
        "age": [31, 40],
        "city": ["bonn", None],
        "kind": pd.Categorical(["a", None]),
        "n": pd.array([1, None], dtype="Int64"),
        "at": pd.Series(["2026-01-01", None], dtype="datetime64[ns]"),
        "on": [True, False],
    }
)
JANUARY = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC).timestamp()


def test_a_frame_is_read_input_by_input() -> None:
    assert dict(input_columns(FRAME, most=10, most_rows=10)) == {
        "age": [31.0, 40.0],
        "city": ["bonn", None],
        "kind": ["a", None],
        "n": [1.0, None],
        "at": [JANUARY, None],
        "on": ["True", "False"],
    }


@pytest.mark.parametrize(
    "table",
    [
        FRAME,
        {"age": np.array([31, 40]), "city": np.array(["bonn", "bern"])},
        np.arange(6.0).reshape(2, 3),
        np.arange(24.0).reshape(2, 3, 4),
        np.array(["2026-01-01", "NaT"], dtype="M8[s]"),
        csr_array(np.arange(6.0).reshape(2, 3)),
    ],
)
def test_the_first_row_is_what_the_columns_begin_with(table: object) -> None:
    columns = input_columns(table, most=1000, most_rows=10)
    assert [to_value(raw) for raw in first_row(table)] == [values[0] for _, values in columns]


def test_an_arrow_table_is_read() -> None:
    table = pa.table({"age": [31, None]})
    assert input_columns(table, most=10, most_rows=10) == [("age", [31.0, None])]


def test_of_too_much_an_even_part_is_read() -> None:
    array = np.arange(10_000.0).reshape(100, 100)
    found = input_columns(array, most=4, most_rows=2)
    assert [name for name, _ in found] == ["x[0]", "x[25]", "x[50]", "x[75]"]
    assert found[1] == ("x[25]", [25.0, 5025.0])


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (None, None),
        (float("nan"), None),
        (float("-inf"), None),
        (np.float32(2.5), 2.5),
        (np.datetime64("NaT"), None),
        (pd.NA, None),
        (pd.NaT, None),
        (b"\xff", "\ufffd"),
        (datetime.datetime(2026, 1, 1), JANUARY),
        ("x" * 200, "x" * 100),
        ([1], "[1]"),
    ],
)
def test_values(raw: object, value: object) -> None:
    assert to_value(raw) == value
