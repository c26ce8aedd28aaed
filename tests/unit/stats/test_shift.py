import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import binom

from detent import InvalidError
from detent.stats.shift import MOST_CELLS, Cells, js_distance, make_cells, measure_shift

counts = st.lists(st.integers(0, 500), min_size=2, max_size=12).filter(any)


@given(st.data())
def test_the_distance_is_that_of_another_implementation(data: st.DataObject) -> None:
    before = data.draw(counts)
    now = data.draw(st.lists(st.integers(0, 500), min_size=len(before), max_size=len(before)))
    if any(now):
        expected = jensenshannon(before, now, base=2)
        assert js_distance(before, now) == pytest.approx(expected, abs=1e-7)


@given(st.lists(counts.map(lambda c: (c + [0] * 12)[:12]), min_size=3, max_size=3))
def test_the_distance_obeys_the_triangle_inequality(three: list[list[int]]) -> None:
    a, b, c = three
    assert js_distance(a, c) <= js_distance(a, b) + js_distance(b, c) + 1e-9


@pytest.mark.parametrize(
    ("shares", "n_reference", "n"),
    [
        ([0.1] * 10, 20, 100),
        ([0.1] * 10, 10_000, 400),
        ([0.9] + [0.1 / 11] * 11, 500, 100),
        ([0.97, 0.01, 0.01, 0.005, 0.005], 10_000, 100),
    ],
)
def test_chance_is_seldom_taken_for_a_move(shares: list[float], n_reference: int, n: int) -> None:
    rng, tries, alpha = np.random.default_rng(1), 400, 0.01
    found = sum(
        measure_shift(
            rng.multinomial(n_reference, shares).tolist(),
            rng.multinomial(n, shares).tolist(),
            alpha=alpha,
            n_draws=200,
        ).is_beyond
        for _ in range(tries)
    )
    assert found <= binom.isf(1e-6, tries, alpha)


def test_a_new_category_is_seen_however_small_its_expected_count() -> None:
    before = [12_000, 400, 80, 0]
    assert measure_shift(before, [384, 13, 3, 0], alpha=1e-4).is_beyond is False
    moved = measure_shift(before, [372, 13, 3, 12], alpha=1e-4)
    assert moved.is_beyond
    assert 0 < moved.least < moved.distance


def test_the_same_counts_give_the_same_answer() -> None:
    one, other = (measure_shift([50, 50], [30, 70]) for _ in range(2))
    assert one == other


@given(
    st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6), st.integers(0, 3).map(float)), min_size=1)
)
def test_every_value_has_a_cell_and_the_reference_lies_as_it_was_counted(
    values: list[float | None],
) -> None:
    cells = make_cells("x", values)
    assert len(cells.counts) == len(cells.labels) <= MOST_CELLS
    assert list(cells.edges) == sorted(set(cells.edges))
    placed = [cells.place(value) for value in values]
    assert tuple(placed.count(i) for i in range(len(cells.counts))) == cells.counts


@given(st.lists(st.one_of(st.none(), st.text(max_size=3)), min_size=1, max_size=60))
def test_every_text_has_a_cell(values: list[str | None]) -> None:
    cells = make_cells("x", values)
    placed = [cells.place(value) for value in [*values, "one of none", 7.0]]
    assert max(placed) < len(cells.counts) == len(cells.labels) <= MOST_CELLS


def test_cells_hold_about_equal_shares_and_a_frequent_value_has_its_own() -> None:
    rng = np.random.default_rng(0)
    even = make_cells("x", rng.normal(size=10_000).tolist())
    assert max(even.counts[:-1]) - min(even.counts[:-1]) <= 1
    zeros = make_cells("x", [0.0] * 9000 + rng.uniform(1, 2, 1000).tolist())
    assert zeros.counts[0] == 9000
    assert len(zeros.counts) == MOST_CELLS - 1  # no others among numbers
    assert max(zeros.counts[1:]) < 200


@pytest.mark.parametrize(
    ("before", "now"), [([1, 2], [1, 2, 3]), ([0, 0], [1, 2]), ([1, -1], [1, 1]), ([1, 2], [0, 0])]
)
def test_what_is_no_pair_of_histograms_is_refused(before: list[int], now: list[int]) -> None:
    with pytest.raises(InvalidError):
        measure_shift(before, now)


def test_what_makes_no_cells_is_refused() -> None:
    with pytest.raises(InvalidError, match="no values of `x`"):
        make_cells("x", [])
    with pytest.raises(InvalidError, match="not finite"):
        make_cells("x", [math.inf])
    with pytest.raises(InvalidError, match="alpha"):
        measure_shift([1], [1], alpha=0.7)


def test_words_for_cells() -> None:
    assert Cells(name="x", counts=(0, 3)).labels == ("any number", "missing")
    assert make_cells("x", [1.0, 2.0]).labels == ("below 2", "2 and above", "missing")
    assert make_cells("x", ["a", 1.0]).labels == ("1", "a", "others", "missing")
