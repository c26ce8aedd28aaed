"""A small line says what was measured: the newest of each version, broken where rows change."""

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from detent.charts.sparkline import EDGE, Sparkline, sparkline
from detent.domain.evidence import Measured

Place = tuple[int, int]


def measured(version: int, value: float, rows: str = "a") -> Measured:
    return Measured("churn", version, "holdout", rows, "f1", value)


def lines_of(drawn: Sparkline) -> list[list[Place]]:
    """Return the places that each unbroken line joins."""
    lines = re.findall("M([^M]*)", drawn.path)
    return [[(int(x), int(y)) for x, y in re.findall(r"(\d+) (\d+)", line)] for line in lines]


@given(st.lists(st.tuples(st.integers(1, 9), st.floats(-1e9, 1e9), st.sampled_from("ab"))))
def test_it_shows_the_newest_of_each_version_and_joins_only_the_same_rows(
    given: list[tuple[int, float, str]],
) -> None:
    drawn = sparkline([measured(*one) for one in given])
    newest = {version: (value, rows) for version, value, rows in reversed(given)}
    if drawn is None:
        assert not given
        return
    points = [newest[version] for version in sorted(newest)]
    lines = lines_of(drawn)
    places = [place for line in lines for place in line]
    assert len(places) == len(points)
    assert len(lines) == 1 + sum(one[1] != other[1] for one, other in pairwise(points))
    assert (drawn.version, drawn.value) == (max(newest), points[-1][0])
    assert drawn.end == places[-1]
    assert places[-1][0] == Sparkline.WIDTH - EDGE, "the newest is at the right"
    for (x, y), (value, _) in zip(places, points, strict=True):
        assert EDGE <= x <= Sparkline.WIDTH - EDGE
        assert EDGE <= y <= Sparkline.HEIGHT - EDGE
        assert all(
            y <= v for (_, v), (other, _) in zip(places, points, strict=True) if value > other
        )


def test_its_words_hold_the_numbers() -> None:
    joined = sparkline([measured(7, 0.913), measured(5, 0.9), measured(2, 0.95)])
    assert joined is not None
    assert joined.description == "f1 from v2 to v7, between 0.9000 and 0.9500"
    broken = sparkline([measured(7, 0.913, "b"), measured(5, 0.9)])
    assert broken is not None
    assert broken.description.endswith("the rows change where the line is broken")
    alone = sparkline([measured(7, 0.913)])
    assert alone is not None
    assert alone.description == "f1 of v7, 0.9130"
    (line,) = lines_of(alone)
    assert line == [alone.end]
