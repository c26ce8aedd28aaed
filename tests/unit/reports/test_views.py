"""Values show themselves in a notebook, and leave it as frames, specifications and JSON."""

import json
import subprocess
import sys
from collections.abc import Callable

import pandas as pd
import pytest
from tests.unit.reports.test_reports import Page

import detent


@pytest.fixture
def registry(two_classes: detent.Registry) -> detent.Registry:
    if not two_classes.list_status():
        two_classes.activate("m/1", "production", reason="first")
        two_classes.activate("m/2", "production")
        two_classes.rollback("m@production", reason="it failed")
    return two_classes


def test_each_value_is_a_table(registry: detent.Registry) -> None:
    comparison = registry.compare("m/1", "m/2")
    for value, expected in (
        (registry.version("m/1"), "skops"),
        (registry.history("m@production"), "it failed"),
        (registry.evaluations("m")[0], "roc_auc"),
        (comparison, "log_loss"),
        (registry.rank("m/1", ["m/2"]), "accuracy"),
        (registry.gate("m/2", "production"), "not_rolled_back"),
    ):
        page = Page(value._repr_html_())
        assert expected in page.texts["table"], value
        assert "style" not in page.tags  # nothing that would reach beyond it
        frame = value.to_frame()
        assert isinstance(frame, pd.DataFrame)
        assert len(frame) >= 1
        assert json.loads(value.to_json())


def test_a_history_is_a_list_that_shows_itself(registry: detent.Registry) -> None:
    history = registry.history("m@production")
    assert isinstance(history, list)
    assert history == list(history)
    assert list(history.to_frame()["version"]) == [1, 2, 1]
    assert "svg" in Page(history._repr_html_()).tags
    assert len(registry.history("m@production", limit=1)) == 1


def test_frames_and_json_are_in_full_precision(registry: detent.Registry) -> None:
    comparison = registry.compare("m/1", "m/2")
    frame = comparison.to_frame().set_index("metric")
    assert frame.loc["accuracy", "difference"] == comparison["accuracy"].value
    assert json.loads(comparison.to_json())["differences"][0]["low"] == comparison["accuracy"].low


def test_a_chart_is_a_specification(registry: detent.Registry) -> None:
    for value in (
        registry.compare("m/1", "m/2"),
        registry.rank("m/1", ["m/2"]),
        registry.history("m@production"),
    ):
        assert value.chart()["$schema"].endswith("vega-lite/v6.json")
    with pytest.raises(detent.InvalidError, match="nothing to draw"):
        detent.History().chart()


def test_a_frame_needs_pandas(registry: detent.Registry, without: Callable[[str], None]) -> None:
    without("pandas")
    with pytest.raises(detent.InvalidError) as caught:
        registry.version("m/1").to_frame()
    assert caught.value.hint == "pip install 'detent[data]'"


def test_importing_detent_loads_no_view() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import detent, sys; detent.Comparison; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "detent.domain.shown" in loaded
    assert not {"detent.reports.views", "numpy", "msgspec"} & set(loaded)
