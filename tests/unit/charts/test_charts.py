"""Charts show what the values say, as valid Vega-Lite, and as SVG that keeps text as text."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any
from xml.etree import ElementTree

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc
from tests.unit.conftest import HOSTILE

import detent
from detent.charts import answers, differences, over_time, scores
from detent.charts.chart import CANDIDATE, INK, Chart
from detent.charts.draw import can_draw, draw
from detent.comparison.outcomes import Outcomes, Pair
from detent.domain.alias import Activation, ActivationKind
from detent.domain.evidence import Difference, Evaluation, Metric, Verdict

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = files("altair.vegalite.v6.schema") / "vega-lite-schema.json"
    return jsonschema.Draft7Validator(json.loads(schema.read_text(encoding="utf-8")))


def charts_of(registry: detent.Registry) -> list[Chart]:
    comparison = registry.compare("m/1", "m/2")
    found = [
        differences.forest(comparison),
        differences.slices(comparison),
        differences.candidates(registry.rank("m/1", ["m/2"])),
        *registry.report(comparison).charts,
        over_time.metric_over_versions(
            registry.evaluations("m"), comparison.differences[0].metric, active=[2]
        ),
    ]
    return [chart for chart in found if chart is not None]


def history() -> list[Activation]:
    kinds = [
        (1, ActivationKind.ACTIVATE),
        (2, ActivationKind.ACTIVATE),
        (1, ActivationKind.ROLLBACK),
        (None, ActivationKind.DEACTIVATE),
        (3, ActivationKind.ACTIVATE),
    ]
    return [
        Activation(
            entry=i,
            model="m",
            alias="production",
            kind=kind,
            version=version,
            previous=None,
            below=None,
            at=NOW - timedelta(days=10 - i),
            by="ana",
        )
        for i, (version, kind) in enumerate(kinds)
    ][::-1]


def evaluation(version: int, digest: str, value: float) -> Evaluation:
    return Evaluation(
        id=version,
        model="m",
        version=version,
        dataset=f"rows {digest}",
        dataset_digest=digest,
        n_rows=100,
        metrics=(Metric(name="accuracy", value=value, n=100, low=value - 0.1, high=value + 0.05),),
        outcomes="",
        one_row_s=None,
        at=NOW,
        by="ana",
    )


def values(spec: Any) -> Iterator[dict[str, Any]]:
    """Give the rows of data of a specification, at whatever depth."""
    if isinstance(spec, dict):
        yield from spec.get("data", {}).get("values", ())
        for part in spec.values():
            yield from values(part)
    elif isinstance(spec, list):
        for part in spec:
            yield from values(part)


def line_of(chart: Chart, name: str) -> list[dict[str, Any]]:
    """Return the points of a line that is drawn, without those that tell its values."""
    return [row for row in values(chart.spec) if row.get("version") == name and "order" in row]


def test_specifications_are_valid(registry_of_task: detent.Registry, validator: Any) -> None:
    charts = [*charts_of(registry_of_task), over_time.timeline(history(), now=NOW)]
    assert len(charts) >= 5
    for chart in charts:
        assert chart is not None
        errors = [error.message for error in validator.iter_errors(chart.spec)]
        assert errors == [], chart.title
        assert chart.rows
        assert all(len(row) == len(chart.header) for row in chart.rows)


def test_a_wrong_specification_is_noticed(validator: Any) -> None:
    assert list(validator.iter_errors({"mark": "no such mark", "data": {"values": []}}))


def test_drawn_charts_are_whole_and_take_the_colours_of_the_page(
    registry_of_task: detent.Registry,
) -> None:
    for chart in charts_of(registry_of_task):
        svg = draw(chart)
        root = ElementTree.fromstring(svg)
        tags = [element.tag.rpartition("}")[2] for element in root.iter()]
        assert tags[:3] == ["svg", "title", "desc"]
        assert (root[0].text, root[1].text) == (chart.title, chart.description)
        assert not {"script", "image", "a", "foreignObject"} & set(tags)
        assert "currentColor" in svg
        assert draw(chart) == svg


def test_marks_tell_the_values_of_the_table(registry_of_task: detent.Registry) -> None:
    charts = [*charts_of(registry_of_task), over_time.timeline(history(), now=NOW)]
    for chart in charts:
        assert chart is not None
        root = ElementTree.fromstring(draw(chart))
        marks = [mark for mark in root.iter() if mark.get("class") == "value"]
        told = [mark[0].text or "" for mark in marks]
        assert told != []
        written = {row["told"] for row in values(chart.spec) if "told" in row}
        assert set(told) == written
        for row in chart.rows:  # each row of the table begins with what one of the marks says
            assert any(row[0] in text for text in told), (chart.title, row)
        assert not any(element.get("aria-label") for element in root.iter())


def test_a_file_of_its_own_has_plain_colours(two_classes: detent.Registry) -> None:
    for chart in charts_of(two_classes):
        svg = draw(chart, is_themed=False)
        assert "currentColor" not in svg
        assert "var(" not in svg
        assert CANDIDATE in svg or INK in svg


def test_the_same_specification_is_drawn_to_the_same_bytes(two_classes: detent.Registry) -> None:
    from detent.charts.draw import _draw

    charts = charts_of(two_classes)
    first = [draw(chart) for chart in charts]
    _draw.cache_clear()
    assert [draw(chart) for chart in charts] == first


def test_text_of_users_stays_text(two_classes: detent.Registry) -> None:
    drawn = {chart.title: ElementTree.fromstring(draw(chart)) for chart in charts_of(two_classes)}
    texts = [text for root in drawn.values() for text in root.itertext()]
    assert any(text.startswith("part=<script>") for text in texts)
    assert any(text.startswith("<script>") for text in texts)  # a label


def test_without_vl_convert_nothing_is_drawn(
    two_classes: detent.Registry, without: Callable[[str], None]
) -> None:
    chart = charts_of(two_classes)[0]
    without("vl_convert")
    assert not can_draw()
    with pytest.raises(detent.InvalidError) as caught:
        draw(chart)
    assert caught.value.hint == "pip install 'detent[charts]'"


def test_a_forest_holds_zero_and_what_is_allowed_and_better_is_right(
    two_classes: detent.Registry,
) -> None:
    comparison = two_classes.compare("m/1", "m/2")
    chart = differences.forest(comparison)
    assert chart is not None
    strips = chart.spec["vconcat"]
    for difference, strip in zip(comparison.differences, strips, strict=True):
        scale = strip["layer"][-1]["encoding"]["x"]["scale"]
        low, high = scale["domain"]
        assert difference.margin is not None
        assert difference.low is not None
        assert difference.high is not None
        allowed = -difference.margin if difference.greater_is_better else difference.margin
        for inside in (0.0, allowed, difference.low, difference.high):
            assert low < inside < high
        assert scale["reverse"] is (difference.metric == "log_loss")
        mark = next(row for row in values(strip) if "shape" in row)
        assert mark["value"] == difference.value
        assert mark["shape"] == {
            Verdict.BETTER: "triangle-up",
            Verdict.WORSE: "triangle-down",
        }.get(difference.verdict or Verdict.UNDECIDED, "circle")


def test_a_difference_without_interval_is_in_the_table_only(two_classes: detent.Registry) -> None:
    from dataclasses import replace

    comparison = two_classes.compare("m/1", "m/2")
    bare = Difference(metric="own", baseline=1.0, candidate=float("nan"), n=3)
    chart = differences.forest(replace(comparison, differences=(*comparison.differences, bare)))
    assert chart is not None
    assert len(chart.spec["vconcat"]) == len(comparison.differences)
    assert [row[0] for row in chart.rows] == [*(d.metric for d in comparison.differences), "own"]
    assert differences.forest(replace(comparison, differences=(bare,))) is None


def test_slices_are_drawn_in_their_order(two_classes: detent.Registry) -> None:
    comparison = two_classes.compare("m/1", "m/2")
    chart = differences.slices(comparison)
    assert chart is not None
    assert [row[0] for row in chart.rows] == [one.slice for one in comparison.slices]
    drawn = [row["name"] for row in values(chart.spec) if "shape" in row]
    assert list(dict.fromkeys(drawn)) == [one.slice for one in comparison.slices]


def test_the_area_under_the_curve_drawn_is_the_metric(two_classes: detent.Registry) -> None:
    comparison = two_classes.compare("m/1", "m/2")
    [chart] = [one for one in two_classes.report(comparison).charts if one.name.startswith("roc")]
    for name, expected in (
        ("v1 (baseline)", comparison["roc_auc"].baseline),
        ("v2 (candidate)", comparison["roc_auc"].candidate),
    ):
        line = [(p["x"], p["y"]) for p in line_of(chart, name)]
        assert line[0] == (0, 0)
        assert line[-1] == (1, 1)
        # Thinning leaves out corners of less than a hundred and fiftieth of the curve's length.
        assert auc(*zip(*line, strict=True)) == pytest.approx(expected, abs=0.01)


@settings(max_examples=40)  # four curves each
@given(
    truth=st.lists(st.booleans(), min_size=2, max_size=400).filter(lambda y: len(set(y)) == 2),
    seed=st.integers(0, 2**32 - 1),
)
def test_curves_are_short_and_go_from_end_to_end(truth: list[bool], seed: int) -> None:
    rng = np.random.default_rng(seed)
    y_true = np.array(truth).astype(int)
    old, new = (rng.random(len(truth)).round(int(rng.integers(1, 9))) for _ in range(2))
    pair = Pair(
        baseline=Outcomes(y_true=y_true, y_pred=(old > 0.5).astype(int), y_score=old),
        candidate=Outcomes(y_true=y_true, y_pred=(new > 0.5).astype(int), y_score=new),
    )
    for make in (scores.roc, scores.precision_recall):
        chart = make(pair, baseline=1, candidate=2)
        assert chart is not None
        for name in ("v1 (baseline)", "v2 (candidate)"):
            x = [p["x"] for p in line_of(chart, name)]
            assert len(x) <= scores.MOST_POINTS
            assert x == sorted(x)
            assert (x[0], x[-1]) == (0, 1)


def test_rows_of_one_class_have_no_curves() -> None:
    one = Outcomes(y_true=np.ones(5, int), y_pred=np.ones(5, int), y_score=np.linspace(0, 1, 5))
    pair = Pair(baseline=one, candidate=one)
    assert scores.roc(pair, baseline=1, candidate=2) is None
    assert scores.calibration(pair, baseline=1, candidate=2) is None


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 11), st.integers(0, 11), st.integers(0, 11)),
        min_size=1,
        max_size=60,
    )
)
def test_a_confusion_matrix_gains_what_it_loses(rows: list[tuple[int, int, int]]) -> None:
    y_true, old, new = (np.array(column) for column in zip(*rows, strict=True))
    pair = Pair(
        baseline=Outcomes(y_true=y_true, y_pred=old), candidate=Outcomes(y_true=y_true, y_pred=new)
    )
    chart = answers.confusion(pair, baseline=1, candidate=2)
    assert chart is not None
    cells = {row[:2]: (int(row[2]), int(row[3])) for row in chart.rows}
    labels = sorted({true for true, _ in cells})
    assert len(labels) <= answers.MOST_LABELS
    for true, answer in cells:
        both = y_true == int(true)
        assert cells[true, answer] == (
            np.sum(both & (old == int(answer))),
            np.sum(both & (new == int(answer))),
        )
    tints = [row["tint"] for row in values(chart.spec)]
    assert max(tints) <= 0.35


def test_errors_by_tenth_add_up_to_the_metric(numbers: detent.Registry) -> None:
    comparison = numbers.compare("m/1", "m/2")
    spread, chart = numbers.report(comparison).charts
    layer = chart.spec["layer"][0]
    mine = [row["error"] for row in values(layer) if row["version"] == "v2 (candidate)"]
    assert len(mine) == 10
    difference = comparison["mean_absolute_error"]
    assert min(mine) <= difference.candidate <= max(mine)
    shares = [float(row[2]) for row in spread.rows if row[0] == "v1 (baseline)"]
    assert sum(shares) == pytest.approx(1, abs=0.001 * len(shares))


def test_values_on_different_rows_are_not_joined() -> None:
    evaluations = [
        evaluation(number, digest, 0.9) for number, digest in enumerate(["a", "a", "b", "b"], 1)
    ]
    chart = over_time.metric_over_versions(evaluations[::-1], "accuracy", active=[4])
    assert chart is not None
    points = {row["version"]: row for row in values(chart.spec) if "segment" in row}
    segments = [points[f"v{number}"]["segment"] for number in (1, 2, 3, 4)]
    assert segments == [1, 1, 2, 2]
    assert [row["label"] for row in values(chart.spec) if "label" in row] == ["rows a", "rows b"]
    assert points["v4"]["fill"] != points["v1"]["fill"] == "transparent"
    assert over_time.metric_over_versions(evaluations, "recall") is None


def test_a_timeline_has_one_bar_an_activation_and_marks_rollbacks() -> None:
    chart = over_time.timeline(history(), now=NOW)
    assert chart is not None
    bars = [row for row in values(chart.spec) if "to" in row]
    assert [bar["version"] for bar in bars] == ["v1", "v2", "v1", "v3"]
    assert [bar["to"] for bar in bars[:2]] == [bar["from"] for bar in bars[1:3]]
    assert bars[-1]["to"] == NOW.isoformat()
    returns = [row for row in values(chart.spec) if "outline" not in row]
    assert [row["from"] for row in returns] == [bars[2]["from"]]
    assert chart.rows[-1][2] == "active"
    assert over_time.timeline([], now=NOW) is None


def test_hostile_names_are_hostile() -> None:
    assert "</svg>" in HOSTILE
