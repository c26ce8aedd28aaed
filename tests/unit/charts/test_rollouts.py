"""The chart of what a rollout watches: valid, and its scale holds what has to be seen."""

import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detent.charts.draw import draw
from detent.charts.rollouts import course
from detent.domain.rollout import Phase, Reading, Signal
from detent.testing.rollouts import make_rollout

ROLLOUT = make_rollout(candidate=3, baseline=2, entry=2)


def signal(**fields: Any) -> Signal:
    known: dict[str, Any] = {"name": "error_rate", "phase": Phase.SHADOW, "verdict": "open"}
    known |= {"text": "", "n": 100, "difference": 0.02, "low": -0.01, "high": 0.05, "limit": 0.01}
    return Signal(**known | fields)


def reading(n: int, **fields: Any) -> Reading:
    known: dict[str, Any] = {"name": "error_rate", "phase": Phase.SHADOW, "n": n}
    return Reading(**known | {"difference": 0.1, "low": -1.0, "high": 1.0} | fields)


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = files("altair.vegalite.v6.schema") / "vega-lite-schema.json"
    return jsonschema.Draft7Validator(json.loads(schema.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("now", "readings"),
    [
        (signal(), []),
        (signal(), [reading(10), reading(50), reading(100), reading(20, phase=Phase.CANARY)]),
        (signal(low=None, high=None, limit=0.0), [reading(10, low=None, high=None)]),
        (signal(n=1, difference=0.0, low=-1.0, high=1.0), []),
    ],
)
def test_it_is_valid_and_drawn(now: Signal, readings: list[Reading], validator: Any) -> None:
    chart = course(ROLLOUT, now, readings)
    assert chart is not None
    assert [error.message for error in validator.iter_errors(chart.spec)] == []
    svg = draw(chart)
    assert "error rate: v3 minus v2" in svg
    kept = {r.n for r in readings if r.phase is now.phase and r.n < now.n} | {now.n}
    assert len(chart.rows) == len(kept)


def test_nothing_known_is_no_chart() -> None:
    assert course(ROLLOUT, signal(difference=None), []) is None
    assert course(ROLLOUT, signal(n=0), []) is None


shares = st.floats(-1, 1, allow_nan=False)


@settings(max_examples=50)
@given(shares, shares, shares, st.floats(0, 0.5))
def test_the_scale_holds_the_band_zero_and_the_limit(
    a: float, b: float, c: float, limit: float
) -> None:
    low, difference, high = sorted((a, b, c))
    chart = course(ROLLOUT, signal(difference=difference, low=low, high=high, limit=limit), [])
    assert chart is not None
    ends = [
        layer["encoding"]["y"]["scale"]["domain"]
        for layer in chart.spec["layer"]
        if "scale" in layer["encoding"].get("y", {})
    ]
    (bottom, top) = ends[0]
    assert all(end == ends[0] for end in ends)
    assert bottom < top
    assert bottom <= 100 * min(low, 0.0)
    assert top >= 100 * max(high, limit)
