"""Tables become bytes, and come back."""

import datetime
import io
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import sparse

from detent.data.table import (
    column_names,
    decode_table,
    digest_table,
    encode_table,
    head,
    n_rows,
    table_header,
)
from detent.errors import CorruptError, InvalidError


def encoded(data: Any) -> bytes:
    return b"".join(encode_table(data))


def test_the_bytes_are_those_of_the_specification() -> None:
    sex = pd.array(["f", None], dtype="string")
    frame = pd.DataFrame({"age": np.array([31, 40], dtype="int16"), "sex": sex})
    assert encoded(frame) == (
        b"detent.table/1\n"
        b'{"columns":['
        b'{"dtype":"int16","encoding":"plain","n":2,"name":"age","values":"<i2"},'
        b'{"dtype":"string","encoding":"text","n":2,"name":"sex"}],'
        b'"kind":"frame","n_rows":2}\n'
        b"\x1f\x00\x28\x00"
        b"\x01\x00" + (1).to_bytes(8, "little") + (0).to_bytes(8, "little") + b"f"
    )


def test_a_digest_is_that_of_the_bytes_on_every_machine() -> None:
    # A change of these is a change of the format: it needs a new name, `detent.table/2`.
    assert digest_table([[0.5, 1.0]]) == (
        "sha256:82265e6c473983a20c04778d1e735aaf3fa2baf730b3e4e4030fe13ae4c53a99"
    )


@pytest.mark.parametrize(
    ("data", "rows", "names"),
    [
        (pd.DataFrame({"a": [1, 2], 5: ["x", "y"]}), 2, ("a", "5")),
        (pd.DataFrame(np.zeros((3, 2))), 3, ("0", "1")),
        (pd.DataFrame(index=range(4)), 4, ()),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), 1, ("a", "a")),
        (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", 1)])), 1, ("('a', 1)",)),
        (pd.Series([1, 2], name="y"), 2, ("y",)),
        (pd.Series([1, 2]), 2, ("0",)),
        (pa.table({"a": [1, None]}), 2, ("a",)),
        (pa.RecordBatch.from_pydict({"a": [1, None]}), 2, ("a",)),
        ({"a": np.arange(3), "b": ["x", "y", "z"]}, 3, ("a", "b")),
        ({}, 0, ()),
        (np.zeros((2, 3, 4)), 2, ()),
        (np.zeros((0, 3)), 0, ()),
        (sparse.csr_array((5, 2)), 5, ()),
        ([1, 2, 3], 3, ()),
        ([], 0, ()),
        ([["a", "b"], ["c", "d"]], 2, ()),
    ],
)
def test_rows_and_columns_are_counted(data: Any, rows: int, names: tuple[str, ...]) -> None:
    assert n_rows(data) == rows
    assert column_names(data) == names
    read = decode_table(encoded(data))
    assert n_rows(read) == rows
    assert column_names(read) == names
    assert encoded(read) == encoded(data)


def test_each_kind_comes_back_as_itself() -> None:
    assert isinstance(decode_table(encoded(pd.DataFrame({"a": [1]}))), pd.DataFrame)
    assert isinstance(decode_table(encoded(pa.table({"a": [1]}))), pd.DataFrame)
    assert isinstance(decode_table(encoded({"a": [1]})), dict)
    assert isinstance(decode_table(encoded([1])), np.ndarray)
    assert isinstance(decode_table(encoded(sparse.coo_matrix((2, 2)))), sparse.csr_array)


def test_a_binary_file_is_read_like_bytes() -> None:
    assert decode_table(io.BytesIO(encoded([1, 2]))).tolist() == [1, 2]


def test_what_is_read_may_be_written_to() -> None:
    array = decode_table(encoded(np.arange(3)))
    array[0] = 7
    assert array.tolist() == [7, 1, 2]


def test_the_index_of_a_frame_is_not_data() -> None:
    frame = pd.DataFrame({"a": [1, 2]})
    assert digest_table(frame.set_axis(["x", "y"])) == digest_table(frame)


def test_all_nans_are_one_and_the_two_zeros_are_two() -> None:
    other_nan = np.array([0x7FF0_0000_0000_0001], dtype="u8").view("f8")
    assert np.isnan(other_nan).all()
    assert digest_table(other_nan) == digest_table([float("nan")])
    assert digest_table([-0.0]) != digest_table([0.0])
    assert np.signbit(decode_table(encoded([-0.0]))).all()


def test_a_nan_beyond_the_first_chunk_is_found() -> None:
    large = np.zeros(300_000)
    large[-1] = np.array([0xFFF8_0000_0000_0001], dtype="u8").view("f8")[0]
    same = np.zeros(300_000)
    same[-1] = np.nan
    assert digest_table(large) == digest_table(same)
    assert np.isnan(large[-1])


def test_the_words_for_missing_differ() -> None:
    digests = {
        digest_table(np.array([word], dtype=object)) for word in (None, float("nan"), pd.NA, pd.NaT)
    }
    assert len(digests) == 4


def test_numbers_of_numpy_among_objects_are_those_of_python() -> None:
    ours = np.array([np.float32(0.5), np.int8(3), np.bool_(True), np.str_("x"), None], dtype=object)
    assert encoded(ours) == encoded(np.array([0.5, 3, True, "x", None], dtype=object))


def test_names_of_numpy_are_those_of_python() -> None:
    ours = pd.DataFrame([[1, 2]], columns=pd.Index([np.int8(3), np.str_("x")], dtype=object))
    assert digest_table(ours) == digest_table(pd.DataFrame([[1, 2]], columns=[3, "x"]))


def test_a_frame_and_the_same_columns_from_arrow_are_the_same_bytes() -> None:
    table = pa.table({"a": [1, None, 3], "b": ["x", None, "z"]})
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    assert encoded(frame) == encoded(table)


def test_the_chunks_of_an_arrow_table_do_not_matter() -> None:
    table = pa.table(
        {
            "a": [1, None, 3],
            "c": pa.array(["x", None, "y"]).dictionary_encode(),
            "t": [b"", b"a", None],
        }
    )
    parts = pa.concat_tables([table.slice(2, 1), table.slice(0, 2)])
    again = pa.concat_tables([parts.slice(1, 2), parts.slice(0, 1)])
    assert digest_table(again.select(["a", "t"])) == digest_table(table.select(["a", "t"]))
    assert digest_table(table.slice(0, 3)) == digest_table(table)


ARROW_COLUMNS = {
    "null": pa.nulls(2),
    "float16": pa.array([np.float16(1), None], pa.float16()),
    "nan": pa.array([float("nan"), None]),
    "date64": pa.array([86_400_000, None], pa.date64()),
    "time32": pa.array([1, None], pa.time32("s")),
    "time64": pa.array([1, None], pa.time64("ns")),
    "duration": pa.array([1, None], pa.duration("ms")),
    "local": pa.array([1, None], pa.timestamp("ns")),
    "zoned": pa.array([1, None], pa.timestamp("us", "Europe/Berlin")),
    "decimal": pa.array([None, 12]).cast(pa.decimal128(21, 2)),
    "fixed": pa.array([b"ab", None], pa.binary(2)),
    "large": pa.array(["a", None], pa.large_string()),
    "category": pa.array(["x", None]).dictionary_encode(),
}


@pytest.mark.parametrize("name", ARROW_COLUMNS)
def test_arrow_types_come_back(name: str) -> None:
    table = pa.table({name: ARROW_COLUMNS[name]})
    read = decode_table(encoded(table))
    assert read[name].dtype.pyarrow_dtype == table.schema.types[0]
    assert repr(pa.array(read[name]).to_pylist()) == repr(table[name].to_pylist())


def test_categories_keep_values_order_and_unused_ones() -> None:
    values = pd.Categorical([3, None, 1], categories=[3, 2, 1], ordered=True)
    read = decode_table(encoded(pd.Series(values, name="c")))["c"]
    assert read.cat.categories.tolist() == [3, 2, 1]
    assert read.cat.ordered
    assert read.cat.codes.tolist() == [0, -1, 2]


@pytest.mark.parametrize(
    "zone",
    [
        "UTC",
        "America/New_York",
        datetime.timezone(datetime.timedelta(hours=-3, minutes=-30)),
        datetime.timezone(datetime.timedelta(hours=5, seconds=7)),
    ],
)
def test_times_keep_their_zone(zone: Any) -> None:
    times = pd.Series([pd.Timestamp("2024-07-01 12:00"), pd.NaT]).dt.tz_localize(zone)
    read = decode_table(encoded(times))[0]
    assert read.dtype == times.dtype
    assert read.tolist()[0] == times.tolist()[0]


def test_a_sparse_matrix_has_one_form() -> None:
    dense = np.array([[0.0, 2.0, 0.0], [1.0, 0.0, 3.0]])
    once = sparse.csr_array(dense)
    twice = sparse.coo_array(
        ([1.5, 0.5, 1.0, 3.0, 0.0], ([0, 0, 1, 1, 0], [1, 1, 0, 2, 0])), shape=(2, 3)
    )
    assert digest_table(twice) == digest_table(once)
    assert digest_table(once.tocsc()) == digest_table(once)
    assert digest_table(dense) != digest_table(once)
    assert twice.nnz == 5, "the matrix that was passed is not changed"
    np.testing.assert_array_equal(decode_table(encoded(twice)).toarray(), dense)


def test_a_sparse_matrix_of_one_dimension_is_refused() -> None:
    vector = sparse.coo_array(np.array([1, 0]))
    if vector.ndim == 2:
        pytest.skip("this release of SciPy has none")
    with pytest.raises(InvalidError, match="1 dimensions"):
        digest_table(vector)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, "1"], ["1", "1"]),
        ([2**63, -1], [2**63 + 1, -1]),
        (["a", None], ["a", "None"]),
        ([b"a"], ["a"]),
        ([1.0], [1]),
        ([[1, 2]], [[1], [2]]),
    ],
)
def test_lists_that_numpy_would_make_equal_differ(one: list[Any], other: list[Any]) -> None:
    assert digest_table(one) != digest_table(other)


def test_a_view_of_other_bytes_as_truth_values_is_one_or_zero() -> None:
    odd = np.array([2, 0], dtype="u1").view(bool)
    assert digest_table(odd) == digest_table(np.array([True, False]))


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (object(), "builtins.object"),
        (None, "NoneType"),
        ("train.csv", "builtins.str"),
        (np.array(3), "without a dimension"),
        (np.zeros(2, dtype=[("a", "i4")]), "'a'"),
        (np.zeros(2, dtype=np.longdouble), "float128"),
        (np.ma.array([1, 2], mask=[True, False]), "masked"),
        ([[1], [1, 2]], "no table"),
        ({"a": [1], "b": [1, 2]}, "unequal lengths"),
        ({"a": [[1]]}, "column `a`"),
        (
            {"a": np.array([1, [2]], dtype=object)},
            "column `a`: row 1 holds a value of type builtins.list",
        ),
        (pd.DataFrame({"p": pd.period_range("2020", periods=2)}), "period"),
        (pd.DataFrame({"p": pd.cut([1, 2], 2)}), "interval"),
        (pd.DataFrame({"p": pd.arrays.SparseArray([0, 1])}), "Sparse"),
        (pd.DataFrame({"t": pd.Series([datetime.datetime(2020, 1, 1)], dtype=object)}), "datetime"),
        (pd.DataFrame({datetime.date(2020, 1, 1): [1]}), "column `2020-01-01`"),
        (pd.DataFrame({float("nan"): [1]}), "column `nan`"),
        (pa.table({"l": [[1]]}), "list<"),
        (pa.array([1, 2]), "no table"),
        (np.array([10**5000], dtype=object), "row 0"),
    ],
)
def test_what_has_no_encoding_is_named(data: Any, named: str) -> None:
    with pytest.raises(InvalidError) as caught:
        digest_table(data)
    assert named in caught.value.message


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "its header has no end"),
        (b"PK\x03\x04 something\n", "no `detent.table/1`"),
        (b"detent.table/2\n{}\n", "no `detent.table/1`"),
        (b"detent.table/1\n[]\n", "no object"),
        (b"detent.table/1\nNaN\n", "not written as it should be"),
        (b"detent.table/1\n{ }\n", "not written as it should be"),
        (b"detent.table/1\n" + b"[" * 100_000 + b"\n", "cannot be read"),
        (encoded([1]) + b"x", "1 bytes follow the end"),
        (encoded([1]).replace(b'"<i8"', b'"|O8"'), "type of values that it cannot hold"),
        (encoded([1]).replace(b'"array"', b'"queue"'), "unknown kind"),
        (encoded([1]).replace(b'"plain"', b'"fancy"'), "unknown encoding"),
        (encoded([1]).replace(b'"n_rows":1', b'"n_rows":2'), "number of rows"),
        (encoded({"a": [1]}).replace(b'"n_rows":1', b'"n_rows":2'), "another length"),
        (encoded([1]).replace(b'"n":1', b'"n":true'), "not that of the values"),
        (encoded([1]).replace(b'"int64"', b'"int46"'), "not that of the values"),
        (encoded({"a": [1]}).replace(b'"a"', b"null"), "not one that can be written"),
        (encoded({"a": [1], "b": [1]}).replace(b'"b"', b'"a"'), "not that of the values"),
        (
            encoded(sparse.csr_array([[1, 1]])).replace(bytes(8) + b"\1", b"\1" + bytes(8)),
            "one order",
        ),
        (encoded([True]).replace(b"}\n\x01", b"}\n\x02"), "truth value"),
        (
            encoded({"a": ["x"]}).replace(b'"a"', b'"b"').replace(b"x\0\0", b"x\0\xff"),
            "no character",
        ),
        (
            encoded(pd.Series(["x", None], dtype="string")).replace(
                b"\x01\x00\x01", b"\x00\x00\x01"
            ),
            "has none",
        ),
        (
            encoded(pd.Series(["é"], dtype="string")).replace("é".encode(), b"\xc3\xc3"),
            "cannot be read",
        ),
        (encoded(np.array([None])).replace(b"n" + bytes(8), b"?" + bytes(8)), "no known type"),
        (encoded(np.array([7, None])).replace(b"7", b"+"), "cannot be read"),
        (
            encoded(pd.Series(["a"], dtype="category")).replace(
                b"}\n" + bytes(4), b"}\n\x09" + bytes(3)
            ),
            "not list",
        ),
    ],
)
def test_bytes_that_are_no_table_are_corrupt(data: bytes, said: str) -> None:
    with pytest.raises(CorruptError) as caught:
        decode_table(data)
    assert said in caught.value.message


def test_a_header_that_promises_more_than_there_is_takes_no_memory() -> None:
    with pytest.raises(CorruptError, match="cut short"):
        decode_table(encoded([1.0]).replace(b'"n":1', b'"n":%d' % 10**15))


def test_the_first_rows_are_of_the_same_kind() -> None:
    for data in (
        pd.DataFrame({"a": range(5)}),
        pa.table({"a": range(5)}),
        np.arange(10).reshape(5, 2),
        sparse.coo_array(np.eye(5)),
        {"a": np.arange(5)},
        list(range(5)),
    ):
        assert n_rows(head(data, 2)) == 2
        assert table_header(head(data, 2))["kind"] == table_header(data)["kind"]
        assert n_rows(head(data, 9)) == 5


def test_a_header_tells_the_types_without_the_values() -> None:
    header = table_header(pd.DataFrame({"a": [1.0], "b": pd.Categorical(["x"])}))
    assert [column["dtype"] for column in header["columns"]] == ["float64", "category"]


WITHOUT = """
import sys
sys.modules[sys.argv[1]] = None  # as if it were not installed
from detent.data.table import decode_table
from detent.errors import InvalidError
try:
    read = decode_table(sys.stdin.buffer.read())
    print({name: values.tolist() for name, values in read.items()})
except InvalidError as error:
    print(error.message)
"""


def read_without(package: str, data: bytes) -> str:
    command = [sys.executable, "-c", WITHOUT, package]
    done = subprocess.run(command, input=data, capture_output=True, check=True)
    return done.stdout.decode().strip()


def test_without_pandas_a_frame_is_read_as_arrays() -> None:
    frame = pd.DataFrame(
        {
            "i": pd.array([1, None], dtype="Int64"),
            "c": pd.Categorical(["x", None]),
            "s": ["a", None],
            "o": pd.Series([pd.NA, 1], dtype=object),
        }
    )
    expected = {"i": [1, None], "c": ["x", None], "s": ["a", None], "o": [None, 1]}
    assert read_without("pandas", encoded(frame)) == repr(expected)


def test_what_only_a_missing_package_can_hold_is_named() -> None:
    twice = encoded(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    assert "needs pandas" in read_without("pandas", twice)
    assert "int64[pyarrow] needs pyarrow" in read_without("pyarrow", encoded(pa.table({"a": [1]})))


def test_a_digest_of_arrays_loads_neither_pandas_nor_pyarrow() -> None:
    code = (
        "import sys; from detent.data.table import digest_table; digest_table([1, 2]);"
        "sys.exit(bool({'pandas', 'pyarrow', 'scipy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
