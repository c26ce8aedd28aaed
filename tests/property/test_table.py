"""docs/lineage.md: "Two tables have one digest when their values, types and names are equal, in
their order; where and how they lie in memory does not matter."
"""

import datetime
import decimal
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from detent.data.table import decode_table, digest_table, encode_table
from detent.errors import CorruptError

Maker = Callable[[list[Any]], Any]

TEXTS = st.text(st.characters(codec=None), max_size=5)
INTS = st.integers(-(2**31), 2**31 - 1)
FLOATS = st.floats(width=32)
TIMES = st.datetimes(datetime.datetime(1970, 1, 2), datetime.datetime(2200, 1, 1))
MIXED = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    TEXTS,
    st.binary(max_size=4),
    st.dates(),
    st.decimals(allow_nan=False),
    st.sampled_from([pd.NA, pd.NaT]),
)


def maker(dtype: Any) -> Maker:
    return lambda values: pd.Series(pd.array(values, dtype=dtype))


def plain(dtype: str) -> Maker:
    return lambda values: pd.Series(np.array(values, dtype=dtype))


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


# Each kind of column: what makes it from a list of values, and the values.
KINDS: dict[str, tuple[Maker, st.SearchStrategy[Any]]] = {
    "bool": (plain("bool"), st.booleans()),
    "int8": (plain("int8"), st.integers(-128, 127)),
    "uint64": (plain("uint64"), st.integers(0, 2**64 - 1)),
    "float16": (plain("float16"), st.floats(width=16)),
    "float32": (plain("float32"), FLOATS),
    "float64": (plain("float64"), st.floats()),
    "complex128": (plain("complex128"), st.complex_numbers()),
    "datetime64": (plain("datetime64[us]"), optional(TIMES)),
    "timedelta64": (plain("timedelta64[ms]"), optional(st.integers(-(2**40), 2**40))),
    "object": (maker(object), MIXED),
    "str": (maker("str"), optional(st.text(max_size=5))),
    "string": (maker("string"), optional(st.text(max_size=5))),
    "Int64": (maker("Int64"), optional(st.integers(-(2**63), 2**63 - 1))),
    "boolean": (maker("boolean"), optional(st.booleans())),
    "Float64": (maker("Float64"), optional(st.floats(allow_nan=False))),
    "zoned": (
        lambda values: plain("datetime64[us]")(values).dt.tz_localize("Asia/Tokyo"),
        TIMES,
    ),
    "category": (maker("category"), optional(st.sampled_from("abc"))),
    "arrow int": (maker(pd.ArrowDtype(pa.int32())), optional(INTS)),
    "arrow float": (maker(pd.ArrowDtype(pa.float64())), optional(st.floats(allow_nan=False))),
    "arrow bool": (maker(pd.ArrowDtype(pa.bool_())), optional(st.booleans())),
    "arrow text": (maker(pd.ArrowDtype(pa.string())), optional(st.text(max_size=5))),
    "arrow bytes": (maker(pd.ArrowDtype(pa.binary())), optional(st.binary(max_size=5))),
    "arrow time": (maker(pd.ArrowDtype(pa.timestamp("us", "UTC"))), optional(TIMES)),
    "arrow date": (maker(pd.ArrowDtype(pa.date32())), optional(st.dates())),
    "arrow decimal": (
        maker(pd.ArrowDtype(pa.decimal128(20, 3))),
        optional(st.decimals(-999, 999, places=3)),
    ),
}
NAMES = st.one_of(st.text(max_size=4), st.integers(), st.tuples(st.text(max_size=2), st.integers()))


def encoded(data: Any) -> bytes:
    return b"".join(encode_table(data))


@st.composite
def columns(draw: st.DrawFn, n: int) -> Any:
    make, values = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    return make(draw(st.lists(values, min_size=n, max_size=n)))


@st.composite
def frames(draw: st.DrawFn, min_rows: int = 0, min_columns: int = 0) -> pd.DataFrame:
    n = draw(st.integers(min_rows, 6))
    made = draw(st.lists(columns(n), min_size=min_columns, max_size=4))
    names = draw(
        st.lists(NAMES, min_size=len(made), max_size=len(made), unique_by=lambda name: repr(name))
    )
    frame = pd.DataFrame(dict(enumerate(made)), index=pd.RangeIndex(n))
    frame.columns = pd.Index(names, dtype=object, tupleize_cols=False)
    return frame


ARRAYS = npst.arrays(
    st.one_of(
        npst.boolean_dtypes(),
        npst.integer_dtypes(),
        npst.unsigned_integer_dtypes(),
        npst.floating_dtypes(),
        npst.complex_number_dtypes(),
        npst.datetime64_dtypes(),
        npst.timedelta64_dtypes(),
        npst.byte_string_dtypes(min_len=1),
        npst.unicode_string_dtypes(min_len=1),
    ),
    npst.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5),
)


@given(frames())
def test_a_frame_comes_back_equal(frame: pd.DataFrame) -> None:
    read = decode_table(encoded(frame))
    assert encoded(read) == encoded(frame)
    assert list(read.columns) == list(frame.columns)
    assert list(read.dtypes) == list(frame.dtypes)
    read.columns = frame.columns
    pd.testing.assert_frame_equal(read, frame, check_exact=True)


@given(ARRAYS)
def test_an_array_comes_back_equal(array: Any) -> None:
    read = decode_table(encoded(array))
    assert read.shape == array.shape
    assert read.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(read, array)
    assert encoded(read) == encoded(array)


@given(ARRAYS)
def test_how_an_array_lies_does_not_matter(array: Any) -> None:
    digest = digest_table(array)
    assert digest_table(np.asfortranarray(array)) == digest
    assert digest_table(array.astype(array.dtype.newbyteorder(">"))) == digest
    assert digest_table(np.flip(np.flip(array).copy())) == digest
    wide = np.repeat(array, 2, axis=0)
    assert digest_table(wide[::2]) == digest


@given(frames())
def test_how_a_frame_lies_does_not_matter(frame: pd.DataFrame) -> None:
    digest = digest_table(frame)
    assert digest_table(frame.copy()) == digest
    assert digest_table(pd.concat([frame, frame])[: len(frame)]) == digest
    assert digest_table(frame.set_axis(range(5, 5 + len(frame)))) == digest


@given(st.sampled_from(sorted(KINDS)), st.data())
def test_another_value_is_another_digest(kind: str, data: st.DataObject) -> None:
    make, values = KINDS[kind]
    before = data.draw(st.lists(values, min_size=1, max_size=5))
    row = data.draw(st.integers(0, len(before) - 1))
    after = [*before[:row], data.draw(values), *before[row + 1 :]]
    one, other = make(before), make(after)
    assume(not is_same(one[row], other[row]))
    assert digest_table(one) != digest_table(other)


def is_same(one: Any, other: Any) -> bool:
    """Tell whether two values are equal and written alike: 0.0 is not -0.0, and NaN is NaN."""
    return type(one) is type(other) and str(one) == str(other)


@given(frames(min_rows=2, min_columns=1), st.data())
def test_another_order_of_rows_is_another_digest(frame: pd.DataFrame, data: st.DataObject) -> None:
    rows = data.draw(st.permutations(range(len(frame))))
    other = frame.iloc[rows]
    same = all(
        is_same(frame.iat[i, j], other.iat[i, j])
        for i in range(frame.shape[0])
        for j in range(frame.shape[1])
    )
    assert (digest_table(frame) == digest_table(other)) is same


@given(frames(min_columns=1), st.data())
def test_another_order_of_columns_is_another_digest(
    frame: pd.DataFrame, data: st.DataObject
) -> None:
    places = data.draw(st.permutations(range(frame.shape[1])))
    other = frame.iloc[:, places]
    assert (digest_table(frame) == digest_table(other)) is (places == sorted(places))


@given(frames(min_columns=1), st.data())
def test_another_name_is_another_digest(frame: pd.DataFrame, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, frame.shape[1] - 1))
    name = data.draw(NAMES)
    assume(repr(name) != repr(frame.columns[place]))
    names = [*frame.columns[:place], name, *frame.columns[place + 1 :]]
    other = frame.set_axis(pd.Index(names, dtype=object, tupleize_cols=False), axis=1)
    assert digest_table(frame) != digest_table(other)


SMALL_INTS = st.lists(st.integers(0, 1), max_size=4)
DTYPES = ["bool", "int8", "int64", "uint8", "float32", "float64", "complex128", "datetime64[s]"]
FRAME_DTYPES = [
    *["Int64", "Float64", "object", "category", "str", "string"],
    *["int64[pyarrow]", "double[pyarrow]", "bool"],
]


@given(SMALL_INTS, st.permutations(DTYPES))
def test_another_dtype_of_an_array_is_another_digest(values: list[int], dtypes: list[str]) -> None:
    array = np.array(values, dtype="int64")
    assert digest_table(array.astype(dtypes[0])) != digest_table(array.astype(dtypes[1]))


@given(SMALL_INTS, st.permutations(FRAME_DTYPES))
def test_another_dtype_of_a_column_is_another_digest(values: list[int], dtypes: list[str]) -> None:
    series: Any = pd.Series(values, dtype="int64")
    assert digest_table(series.astype(dtypes[0])) != digest_table(series.astype(dtypes[1]))


@given(frames(), st.data())
def test_a_table_cut_short_is_corrupt(frame: pd.DataFrame, data: st.DataObject) -> None:
    whole = encoded(frame)
    kept = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(CorruptError):
        decode_table(whole[:kept])


@given(frames() | ARRAYS, st.data())
def test_an_altered_table_is_corrupt_or_another_table(table: Any, data: st.DataObject) -> None:
    altered = bytearray(encoded(table))
    place = data.draw(st.integers(0, len(altered) - 1))
    altered[place] ^= data.draw(st.integers(1, 255))
    try:
        read = decode_table(bytes(altered))
    except CorruptError:
        return
    # What is read is what the bytes say: it is known as another table by its digest.
    assert encoded(read) == altered


@given(st.lists(MIXED, max_size=6))
def test_values_of_mixed_types_come_back_with_their_types(values: list[Any]) -> None:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    read = decode_table(encoded(array))
    assert [(type(value), repr(value)) for value in read] == [
        (type(value), repr(value)) for value in values
    ]


def test_a_decimal_keeps_its_digits() -> None:
    array = np.array([decimal.Decimal("1.20")], dtype=object)
    assert str(decode_table(encoded(array))[0]) == "1.20"
