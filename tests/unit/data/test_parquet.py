"""Parquet in blocks is what pandas reads as a whole, and says clearly what it cannot read."""

import datetime
import decimal
import os
import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import detent
from detent.data.blocks import BLOCK_ROWS, TableRows, gather
from detent.data.parquet import ParquetRows, open_parquet
from detent.data.places import place_of
from detent.data.table import digest_table

N = 3 * BLOCK_ROWS + 17


def everything() -> pa.Table:
    """Return a table with a column of each kind; what is special about each stands in few rows."""
    i = np.arange(N)
    late = i == N - 5  # far from the first block
    times = pd.Timestamp("2026-01-01") + pd.to_timedelta(i, unit="s")
    frame = pd.DataFrame(
        {
            "float": np.sin(i),
            "small": np.sin(i).astype("f4"),
            "int": i,
            "nullable": pd.array(i, dtype="Int64"),
            "nullable with a hole": pd.array(i, dtype="Int64"),
            "text": [f"t{k % 7}" for k in i],
            "time": times,
            "zoned": times.tz_localize("UTC").tz_convert("Europe/Berlin"),
            "category": pd.Categorical([f"c{k // BLOCK_ROWS}" for k in i]),
            "ordered": pd.Categorical([f"c{k % 3}" for k in i], ["c2", "c1", "c0"], ordered=True),
        }
    )
    frame.loc[late, "nullable with a hole"] = pd.NA
    dates = [datetime.date(2026, 1, 1 + k % 28) for k in i.tolist()]
    more = {
        "int with a hole": pa.array(i, mask=late),
        "byte with a hole": pa.array((i % 100).astype("i1"), mask=late),
        "truth": pa.array(i % 2 == 0),
        "truth with a hole": pa.array(i % 2 == 0, mask=late),
        "text with a hole": pa.array([f"t{k}" for k in i.tolist()], mask=late),
        "date": pa.array(dates, mask=late),
        "decimal": pa.array([decimal.Decimal(k % 50) for k in i.tolist()]),
        "dictionary": pa.array([f"q{k // 7000}" for k in i.tolist()]).dictionary_encode(),
    }
    table = pa.Table.from_pandas(frame)
    for name, values in more.items():
        table = table.append_column(name, values)
    return table


@pytest.mark.parametrize("statistics", [True, False])
def test_blocks_are_those_of_what_pandas_reads(statistics: bool) -> None:
    pq.write_table(everything(), "all.parquet", row_group_size=7001, write_statistics=statistics)
    rows = open_parquet(place_of("all.parquet"))
    whole = pd.read_parquet("all.parquet")
    assert rows.names == tuple(whole.columns)
    assert rows.n_rows == N
    for ours, theirs in zip(rows.blocks(), TableRows(whole).blocks(), strict=True):
        pd.testing.assert_frame_equal(ours, theirs.reset_index(drop=True))
        assert digest_table(ours) == digest_table(theirs)
        numbers = ["float", "int with a hole", "byte with a hole"]
        assert np.asarray(ours[numbers]).strides == np.asarray(theirs[numbers]).strides
    for name in rows.names:
        column, of_whole = (gather(one.column(name), N) for one in (rows, TableRows(whole)))
        assert column.dtype == of_whole.dtype
        assert repr(column.tolist()) == repr(of_whole.tolist())


def test_a_nested_column_is_read_past() -> None:
    lists = pa.array([[1, 2], []] * 2, pa.list_(pa.int64()))
    pairs = pa.array([{"a": 1, "b": 2}] * 4)
    table = pa.table({"list": lists, "pair": pairs, "int": pa.array([1, None, 3, 4])})
    pq.write_table(table, "nested.parquet")
    rows = open_parquet(place_of("nested.parquet")).without(["list", "pair"])
    (block,) = rows.blocks()
    assert block["int"].dtype == np.float64


def test_rows_may_be_read_from_any_block_on_and_elsewhere() -> None:
    pq.write_table(everything(), "all.parquet", row_group_size=5000)
    rows = open_parquet(place_of("all.parquet"))
    os.mkdir("elsewhere")
    os.chdir("elsewhere")
    sent: ParquetRows = pickle.loads(pickle.dumps(rows))
    expected = [digest_table(block) for block in rows.blocks()]
    pieces = sent.pieces(least_rows=BLOCK_ROWS + 1)
    assert [stop for _, stop in pieces[:-1]] == [start for start, _ in pieces[1:]]
    assert all(start % BLOCK_ROWS == 0 for start, _ in pieces)
    assert all(stop - start > BLOCK_ROWS for start, stop in pieces[:-1])
    found = [digest_table(block) for start, stop in pieces for block in sent.blocks(start, stop)]
    assert found == expected


def test_a_folder_is_its_files_in_their_order(tmp_path: Path) -> None:
    table = everything().select(["int", "text"])
    cuts = [0, 9_000, 9_001, N]
    for k, (start, stop) in enumerate(pairwise(cuts)):
        pq.write_table(table.slice(start, stop - start), tmp_path / f"part-{k}.parquet")
    pq.write_table(table.slice(0, 0), tmp_path / "part-9.parquet")
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / "read me.txt").write_text("not rows")
    rows = open_parquet(place_of(f"file://{tmp_path}"))
    assert pd.concat(rows.blocks())["int"].tolist() == list(range(N))
    assert rows.without(["int"]).names == ("text",)


def test_what_cannot_be_read_is_said() -> None:
    def refused(match: str, kind: type[detent.DetentError] = detent.InvalidError) -> None:
        with pytest.raises(kind, match=match):
            open_parquet(place_of("rows"))

    refused("no file or folder", detent.NotFoundError)
    os.mkdir("rows")
    refused("no Parquet file", detent.NotFoundError)
    pq.write_table(pa.table({"a": [1]}), "rows/1.parquet")
    pq.write_table(pa.table({"b": [1]}), "rows/2.parquet")
    refused(r"2\.parquet has other columns, or other types, than .*1\.parquet")
    Path("rows/2.parquet").write_bytes(b"PAR1 no more")
    refused(r"2\.parquet cannot be read")
    os.remove("rows/2.parquet")
    os.makedirs("rows/region=north")
    pq.write_table(pa.table({"a": [1]}), "rows/region=north/1.parquet")
    refused("stands for a column")
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), "none.parquet")
    with pytest.raises(detent.InvalidError, match="holds no row"):
        open_parquet(place_of("none.parquet"))
    rows = open_parquet(place_of("rows/1.parquet"))
    with pytest.raises(detent.NotFoundError, match="no column `b`"):
        next(rows.column("b"))
    with pytest.raises(detent.InvalidError, match="`ftp:` addresses cannot be read"):
        place_of("ftp://host/rows.parquet")


def test_a_file_that_changes_meanwhile_is_noticed() -> None:
    pq.write_table(pa.table({"a": [1, 2, 3]}), "rows.parquet")
    rows = open_parquet(place_of("rows.parquet"))
    rows.check_unchanged()
    pq.write_table(pa.table({"a": [1, 2, 4]}), "new.parquet")
    os.replace("new.parquet", "rows.parquet")
    with pytest.raises(detent.ConflictError, match="changed while it was read"):
        rows.check_unchanged()
