"""Requests that differ from what a candidate was judged on: shown, and harm only by a limit."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from tests.unit.rollout.test_predictions import make_record

import detent
from detent import Rollout
from detent.errors import InvalidError
from detent.evaluation.inputs import count_inputs, read_inputs
from detent.rollout.driver import Driver
from detent.rollout.inputs import LEAST, Watch, find_reference

NAMES = ("age", "income", "city")


def table(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    city = rng.choice(["bonn", "bern"], size=n)
    columns = (rng.normal(size=n), rng.normal(size=n), city)
    frame = pd.DataFrame(dict(zip(NAMES, columns, strict=True)))
    frame.loc[frame.index % 10 == 3, "income"] = np.nan
    return frame


@pytest.fixture
def judged(tmp_path: Any) -> detent.Registry:
    """Return a registry whose candidate, version 2 of `m`, was judged on 2,000 rows."""
    registry = detent.connect("memory:", user="ana")
    X = np.random.default_rng(0).normal(size=(300, 4))
    for strength in (1.0, 0.1):
        model = LogisticRegression(C=strength).fit(X, X[:, 0] > 0)
        registry.register("m", model, sample=X[:40], code=tmp_path)
    registry.activate("m/1", "production")
    rows = np.random.default_rng(1).normal(size=(2000, 4))
    registry.evaluate("m/2", rows, rows[:, 0] > 0, dataset="holdout")
    return registry


def ask(
    registry: detent.Registry, rollout: Rollout, n: int, *, shift: float = 0.0, **fields: Any
) -> None:
    """Keep what a server keeps of so many requests."""
    reference = find_reference(registry._stores, rollout)
    assert reference is not None
    rows = np.random.default_rng(n).normal(size=(n, 4)) + np.array([shift, 0, 0, 0])
    registry._stores.predictions.write(
        [
            make_record(
                rollout,
                f"r{i}",
                cells=reference.inputs.place(rows[i : i + 1], rollout.plan.features),
                answers=[],
                shadow_answers=[],
                **fields,
            )
            for i in range(n)
        ]
    )


def test_inputs_that_moved_are_shown_and_are_no_harm(judged: detent.Registry) -> None:
    rollout = judged.start_rollout("m/2", "production", labels="none", unlabelled="roll-back")
    ask(judged, rollout, LEAST - 1, shift=2.0)
    assert judged.drive_rollout(rollout.id).drift is None
    ask(judged, rollout, LEAST, shift=2.0)
    driven = judged.drive_rollout(rollout.id)
    assert driven.status == "running"
    drift = driven.drift
    assert drift is not None
    assert (drift.reference, drift.n_reference) == ("holdout (evaluation 1)", 2000)
    assert (drift.n, drift.n_features, drift.n_moved) == (2 * LEAST - 1, 4, 1)
    first, *others = drift.features
    assert (first.name, first.has_moved) == ("x[0]", True)
    assert not any(one.has_moved for one in others)
    assert sum(first.before) == pytest.approx(1)
    assert sum(first.now) == pytest.approx(1)
    assert " and above: 10% → " in first.most
    (signal,) = [one for one in driven.signals if one.name == "feature_drift"]
    assert signal.verdict == "drift"
    assert signal.text.startswith("1 of 4 inputs moved, most `x[0]`: distance 0.")


def test_an_input_that_surely_moved_beyond_the_limit_rolls_back(judged: detent.Registry) -> None:
    rollout = judged.start_rollout("m/2", "production", labels="none", drift_limit=0.4)
    ask(judged, rollout, 2 * LEAST, shift=0.7)  # it has moved, and not so far
    driven = judged.drive_rollout(rollout.id)
    assert (driven.status, driven.drift and driven.drift.n_moved) == ("running", 1)
    ask(judged, rollout, 8 * LEAST, shift=3.0)
    assert judged.drive_rollout(rollout.id).status == "rolled_back"
    newest = judged.history("m@production")[0]
    assert getattr(newest, "by", None) == "auto (policy rule feature_drift)"


def test_requests_alike_have_not_moved_and_a_key_counts_once(judged: detent.Registry) -> None:
    rollout = judged.start_rollout("m/2", "production", labels="none", features=3)
    ask(judged, rollout, 4 * LEAST)
    ask(judged, rollout, 4 * LEAST, shift=9.0, key=7)  # one of them counts
    drift = judged.drive_rollout(rollout.id).drift
    assert drift is not None
    assert (drift.n, drift.n_features, drift.n_moved) == (4 * LEAST + 1, 3, 0)


def test_it_is_looked_at_each_time_that_requests_have_doubled(judged: detent.Registry) -> None:
    rollout = judged.start_rollout("m/2", "production", labels="none")
    looked = []
    for _ in range(8):
        ask(judged, rollout, LEAST // 2)
        drift = judged.drive_rollout(rollout.id).drift
        looked.append(drift.n if drift else 0)
    assert looked == [0, *[LEAST] * 2, *[2 * LEAST] * 4, 4 * LEAST]


def test_the_reference_is_the_newest_evaluation_before_the_start_else_the_sample(
    judged: detent.Registry,
) -> None:
    stores = judged._stores
    rollout = judged.start_rollout("m/2", "production")
    rows = np.zeros((5, 4))
    judged.evaluate("m/2", rows, [False] * 5, dataset="later")
    reference = find_reference(stores, rollout)
    assert reference is not None
    assert reference.what == "holdout (evaluation 1)"
    judged.stop_rollout(rollout.id)
    judged.activate("m/2", "production", override="to look at version 1")
    again = judged.start_rollout("m/1", "production")
    sample = find_reference(stores, again)
    assert sample is not None
    assert (sample.what, sample.inputs.n_rows) == ("the sample of m/1", 40)
    judged.stop_rollout(again.id)
    assert find_reference(stores, judged.start_rollout("m/1", "production", features=0)) is None


def test_what_an_evaluation_keeps_is_reached_verified_and_replayed(
    judged: detent.Registry,
) -> None:
    (evaluation,) = judged.evaluations("m/2")
    assert evaluation.inputs is not None
    kept = read_inputs(judged._stores.blobs, evaluation.inputs)
    assert (kept.width, kept.n_rows, len(kept.cells)) == (4, 2000, 4)
    judged.prune(grace_s=0)
    assert judged.verify().problems == ()
    assert read_inputs(judged._stores.blobs, evaluation.inputs) == kept
    copy = detent.connect("memory:")
    judged.copy_to(copy)
    assert copy.evaluations("m/2")[0].inputs == evaluation.inputs


def test_a_reference_that_is_damaged_is_said_once_and_stops_nothing(
    judged: detent.Registry,
) -> None:
    told: list[dict[str, object]] = []
    driver = Driver(judged._stores, tell=lambda _event, fields: told.append(fields))
    rollout = judged.start_rollout("m/2", "production", labels="none")
    ask(judged, rollout, LEAST)
    digest = judged.evaluations("m/2")[0].inputs
    assert digest is not None
    judged._stores.blobs.delete(digest)
    for _ in range(2):
        assert driver.drive(rollout) is not None
    assert [fields["what"] for fields in told] == ["drift"]
    assert judged.rollout(rollout.id).drift is None


def test_tables_of_named_columns_with_missing_values() -> None:
    inputs = count_inputs(table(500))
    assert [cells.name for cells in inputs.cells] == list(NAMES)
    assert inputs.cells[1].counts[-1] == 50
    assert inputs.place(table(1).head(1), 50) is not None
    assert inputs.place(table(1).drop(columns="city"), 50) is None


def test_a_process_looks_at_some_requests_and_at_none_that_it_cannot_read(
    judged: detent.Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("detent.rollout.inputs.time.monotonic", lambda: now)
    watch = Watch(judged._stores, judged.start_rollout("m/2", "production"))
    rows = np.zeros((1, 4))
    assert watch.place(rows) is not None
    assert watch.place(rows) is None  # too soon
    now += 1
    assert watch.place(object()) is None
    now += 1
    assert watch.place(rows) is not None


def test_a_limit_has_to_be_a_distance(judged: detent.Registry) -> None:
    for wrong in ({"drift_limit": 1.5}, {"features": 201}):
        with pytest.raises(InvalidError, match="of a plan is"):
            judged.start_rollout("m/2", "production", **wrong)


def test_nothing_is_compared_where_nothing_was_kept(registry: detent.Registry) -> None:
    rollout = registry.start_rollout("churn/3", "production")
    assert find_reference(registry._stores, rollout) is None
    assert Watch(registry._stores, rollout).place(np.zeros((1, 4))) is None


def test_two_inputs_of_one_name_are_two_inputs() -> None:
    frame = pd.DataFrame([[1.0, 100.0], [2.0, 200.0], [3.0, 300.0]], columns=["x", "x"])
    inputs = count_inputs(frame)
    assert (inputs.width, len(inputs.cells), inputs.n_rows) == (2, 2, 3)
    placed = inputs.place(frame[:1], 50)
    assert placed is not None
    assert len(placed) == 2
