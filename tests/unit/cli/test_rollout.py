"""Rollouts and feedback as they are typed."""

import json
import sys
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from tests.unit.cli.conftest import Run
from tests.unit.rollout.test_predictions import make_record

import detent


def test_a_rollout_from_start_to_stop(run: Run, registry: detent.Registry) -> None:
    assert "nothing was ever rolled out" in run("rollout", "status", "churn@production").err
    started = run("rollout", "start", "churn/3", "production", "--shadow", "2h", "--labels", "none")
    assert started.code == 0
    assert "started: rollout 1  churn/3 into production  shadow" in started.out
    assert "undo: detent rollout stop churn@production" in started.err
    assert run("status").out.splitlines()[1].endswith("\tv3 shadow")
    assert "canary 1%" in run("rollout", "advance", "churn@production").out
    assert "canary 1%, paused" in run("rollout", "pause", "1", "-m", "a holiday").out
    assert "paused: a holiday" in run("rollout", "status", "1").out
    assert "canary 1%" in run("rollout", "resume", "1").out
    stopped = run("rollout", "stop", "churn@production", "--reason", "another day")
    assert stopped.code == 0
    assert "stopped" in stopped.out
    assert "churn@production is v2" in stopped.out
    listed = run("rollout", "status").out.splitlines()
    assert listed[0].split("\t")[0] == "ROLLOUT"
    assert listed[1].split("\t")[:4] == ["1", "churn@production", "v2 → v3", "stopped"]
    again = run("rollout", "advance", "1")
    assert (again.code, again.out) == (5, "")
    assert "ended at" in again.err


def test_json_says_it_all(run: Run, registry: detent.Registry) -> None:
    start = ("rollout", "start", "churn/3", "production", "--canary", "5%", "--json")
    body = json.loads(run(*start, "--dry-run").out)
    assert body["schema"] == "detent.rollout/1"
    assert (body["dry_run"], body["rollout"]["plan"]["canary"]) == (True, [0.05])
    assert registry.rollouts() == []
    json.loads(run(*start).out)
    body = json.loads(run("rollout", "status", "churn@production", "--json").out)
    assert body["rollout"]["status"] == "running"
    assert json.loads(run("status", "--json").out)["rollouts"][0]["candidate"] == 3


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("advance",), 2, "needs a name"),
        (("start", "churn/3"), 2, "needs a version and an alias"),
        (("start", "churn/9", "production"), 4, "no version 9"),
        (("start", "churn/2", "production"), 2, "is active as"),
        (("start", "churn/3", "staging"), 4, "staging"),
        (("start", "churn/3", "production", "--shadow", "soon"), 2, "not a duration"),
        (("start", "churn/3", "production", "--step-requests", "many"), 2, "not a number"),
        (("stop", "churn@production"), 4, "nothing was ever rolled out"),
        (("stop", "7"), 4, "no rollout 7"),
        (("pause", "churn@production", "staging"), 2, "one name too many"),
        (("stop", "churn@production", "--dry-run"), 2, "no --dry-run"),
    ],
)
def test_what_cannot_be_done_is_said(
    run: Run, registry: detent.Registry, arguments: tuple[str, ...], code: int, says: str
) -> None:
    result = run("rollout", *arguments)
    assert (result.code, result.out) == (code, "")
    assert says in result.err


def test_inputs_that_moved_are_a_table(run: Run, folder: detent.Registry) -> None:
    from detent.domain.rollout import Drift, FeatureDrift
    from detent.metadata.rollouts import Progress

    rollout = folder.start_rollout("churn/3", "production")
    moved = FeatureDrift(
        name="age",
        distance=0.3125,
        chance=0.0625,
        cells=("below 64", "64 and above", "missing"),
        before=(0.9, 0.1, 0.0),
        now=(0.69, 0.31, 0.0),
    )
    drift = Drift(
        reference="holdout (evaluation 1)",
        n_reference=2000,
        n=800,
        n_features=13,
        n_moved=1,
        features=(moved,),
    )
    with folder._stores.metadata.write() as tables:
        state = {"drift": msgspec.to_builtins(drift), "counts": {"n_labels": 3, "paired": {}}}
        tables.put_progress(
            Progress(rollout=rollout.id, revision=1, driver=None, driven_until_us=0, state=state),
            expected=0,
        )
    shown = folder.rollout(rollout.id)
    assert (shown.drift, shown.counts) == (drift, {"n_labels": 3})
    lines = run("rollout", "status", str(rollout.id)).out.splitlines()
    assert "INPUT\tDISTANCE\tBY CHANCE\tMOVED MOST" in lines
    assert "age\t0.3125\t0.0625\tbelow 64: 90% → 69%" in lines
    body = json.loads(run("rollout", "status", str(rollout.id), "--json").out)
    assert body["rollout"]["drift"]["features"][0]["cells"][1] == "64 and above"


def test_watching_ends_with_the_rollout(run: Run, folder: detent.Registry) -> None:
    """Where the rows are the watch itself drives; failures that were kept roll it back."""
    rollout = folder.start_rollout("churn/3", "production", labels="none")
    folder._stores.predictions.write(
        [make_record(rollout, f"r{i}", shadow_error="RuntimeError: oh") for i in range(20)]
    )
    result = run("rollout", "status", str(rollout.id), "--watch", "--json")
    assert result.code == 6
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert lines[-1]["rollout"]["status"] == "rolled_back"
    assert {line["schema"] for line in lines} == {"detent.rollout/1"}
    shown = run("rollout", "status", str(rollout.id)).out
    assert "✗ shadow: error_rate +100 pt" in shown
    assert "decision 1" in shown
    assert "fail" in run("decision", "1").out
    told = run("history", "churn@production").out  # nothing passed a gate
    assert "decision 1: error_rate +100 pt" in told
    assert "gate passed" not in told
    assert run("rollout", "status", "1", "--watch").code == 6


def test_labels_from_a_file(
    run: Run, registry: detent.Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = registry.start_rollout("churn/3", "production")
    registry._stores.predictions.write([make_record(rollout, name) for name in "abc"])
    wanted = run("rollout", "labels-wanted", "churn@production", "--limit", "2")
    assert wanted.out == "ID\tROW\tWHEN (UTC)\tANSWERS\n"  # their time is long over
    path = tmp_path / "labels.csv"
    path.write_text("id,label\na,1\n")
    assert run("feedback", str(path), "--model", "churn").out == "1 labels joined\n"
    again = run("feedback", str(path), "--model", "churn")
    assert again.out == "0 labels joined, 1 were there already\n"
    monkeypatch.setattr(sys, "stdin", StringIO('{"id": "c", "label": 0, "model": "churn"}\n'))
    assert json.loads(run("feedback", "-", "--json").out)["joined"]["joined"] == 1
    assert run("feedback", str(tmp_path / "none.csv")).code == 4


@pytest.fixture
def labels(registry: detent.Registry, tmp_path: Path) -> Path:
    """Return a file with a label of an answer, and in its line 3 one of none that is known."""
    rollout = registry.start_rollout("churn/3", "production")
    registry._stores.predictions.write([make_record(rollout, "b")])
    path = tmp_path / "labels.csv"
    path.write_text("id,label\nb,1\nz,1\n")
    return path


@pytest.mark.parametrize("registry", ["folder", "server"], indirect=True)
def test_labels_of_no_answer_are_refused(run: Run, labels: Path) -> None:
    refused = run("feedback", str(labels), "--model", "churn")
    assert refused.code == 4
    assert "line 3: no answer of `churn`" in refused.err


@pytest.mark.parametrize("registry", ["postgres and s3"], indirect=True)
def test_labels_of_no_answer_here_wait_for_other_machines(run: Run, labels: Path) -> None:
    told = run("feedback", str(labels), "--model", "churn")
    assert (told.code, told.out) == (0, "1 labels joined, 1 wait for other machines\n")
