"""Rows in blocks: the same blocks, values and digests wherever rows come from."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

import detent
from detent.data.blocks import BLOCK_ROWS, Column, TableRows, bounds, digest_blocks, gather
from detent.data.table import digest_table


@given(st.integers(0, 5 * BLOCK_ROWS))
def test_blocks_are_full_but_the_last(n: int) -> None:
    found = list(bounds(n))
    assert [stop for _, stop in found[:-1]] == [start for start, _ in found[1:]]
    assert sum(stop - start for start, stop in found) == n
    assert all(stop - start == BLOCK_ROWS for start, stop in found[:-1])


@given(
    st.lists(
        st.one_of(
            st.lists(st.integers(-5, 5), min_size=1, max_size=4),
            st.lists(st.floats(allow_nan=False), min_size=1, max_size=4),
            st.lists(st.text(st.characters(codec="ascii", exclude_characters="\0")), min_size=1),
            st.lists(st.one_of(st.none(), st.text("ab")), min_size=1, max_size=4),
        ),
        min_size=1,
        max_size=4,
    ),
    st.randoms(use_true_random=False),
)
def test_a_column_holds_what_was_put_in_any_order(
    parts: list[list[object]], random: object
) -> None:
    kinds = {str if isinstance(part[0], str) else type(part[0]) for part in parts}
    as_objects = len(kinds) > 1 and kinds != {int, float}
    arrays = [
        np.array(part, dtype=object if None in part or as_objects else None) for part in parts
    ]
    starts = np.cumsum([0, *map(len, arrays)])
    column = Column(int(starts[-1]))
    order = list(range(len(parts)))
    random.shuffle(order)  # type: ignore[attr-defined]  # a `random.Random`
    for i in order:
        column.put(int(starts[i]), arrays[i])
    expected = [value for part in parts for value in part]
    assert column.values.tolist() == expected


def test_blocks_of_another_shape_are_refused() -> None:
    column = Column(4)
    column.put(0, np.zeros((2, 3)))
    with pytest.raises(detent.InvalidError, match=r"rows from 2 on have the shape \(2,\)"):
        column.put(2, np.zeros((2, 2)))


def test_a_small_table_keeps_the_digest_of_a_table() -> None:
    rows = TableRows(pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
    (block,) = rows.blocks()
    assert digest_blocks([digest_table(block)]) == digest_table(block)
    assert digest_blocks(["sha256:1", "sha256:2"]) != digest_blocks(["sha256:2", "sha256:1"])


@pytest.mark.parametrize(
    "table",
    [
        np.arange(60_000.0).reshape(-1, 3),
        sparse.random(20_000, 3, density=0.3, random_state=0, format="coo"),
        pd.DataFrame(np.arange(60_000.0).reshape(-1, 3), columns=["a", "b", "c"]),
        {"a": np.arange(20_000), "b": np.arange(20_000.0)},
    ],
    ids=["array", "sparse", "frame", "dict"],
)
def test_every_kind_of_table_comes_in_blocks(table: object) -> None:
    rows = TableRows(table)
    blocks = list(rows.blocks())
    assert rows.n_rows == 20_000
    assert len(blocks) == 3
    second = list(rows.blocks(BLOCK_ROWS, 2 * BLOCK_ROWS))
    assert [digest_table(block) for block in second] == [digest_table(blocks[1])]
    for name in rows.names:
        assert len(gather(rows.column(name), rows.n_rows)) == 20_000
