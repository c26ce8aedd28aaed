"""The store of predictions: labels join their rows, cohorts are whole, what is old goes."""

from pathlib import Path
from typing import Any

import pytest

from detent import ConflictError, DetentError, InvalidError, NotFoundError, Registry, Rollout
from detent.metadata.predictions import Predictions, Record
from detent.rollout.feedback import Label, give_label
from detent.rollout.recorder import Recorder


def make_record(rollout: Rollout, name: str, **fields: Any) -> Record:
    return Record(
        **{
            "request_id": name,
            "rollout": rollout.id,
            "model": rollout.model,
            "alias": rollout.alias,
            "version": rollout.baseline,
            "role": "active",
            "at_us": 1_000_000,
            "seconds": 0.001,
            "answers": [("1", 0.9)],
            "shadow_version": rollout.candidate,
            "shadow_answers": [("0", 0.2)],
            **fields,
        }
    )


@pytest.fixture
def rollout(registry: Registry) -> Rollout:
    return registry.start_rollout("churn/3", "production")


@pytest.fixture(params=["file", "memory"])
def predictions(request: pytest.FixtureRequest, tmp_path: Path) -> Predictions:
    return Predictions(str(tmp_path / "predictions.db") if request.param == "file" else None)


def test_a_label_joins_its_row(predictions: Predictions, rollout: Rollout) -> None:
    two = [("1", None), ("0", None)]
    predictions.write([make_record(rollout, "a", answers=two, shadow_answers=two)])
    give_label(predictions, "churn", Label(request_id="a", row=1, label=1))
    rows, _ = predictions.rows_of_cohorts(rollout.id, 0, before_us=2_000_000, limit=10)
    assert [(row.row, row.answer, row.label) for row in rows] == [(0, "1", None), (1, "0", "1")]


@pytest.mark.parametrize(
    ("label", "error"),
    [
        (Label(request_id="b", label=1), NotFoundError),
        (Label(request_id="a", label=1, row=7), NotFoundError),
        (Label(request_id="a", label="yes"), InvalidError),
        (Label(request_id="a", label=None), InvalidError),
        (Label(request_id="a", label=float("nan")), InvalidError),
        (Label(request_id="a", label=[1]), InvalidError),
    ],
)
def test_what_joins_nothing_is_refused(
    predictions: Predictions, rollout: Rollout, label: Label, error: type[DetentError]
) -> None:
    predictions.write([make_record(rollout, "a")])
    with pytest.raises(error) as raised:
        give_label(predictions, "churn", label)
    assert raised.value.details["field"] in ("id", "label")
    rows, _ = predictions.rows_of_cohorts(rollout.id, 0, before_us=2_000_000, limit=10)
    assert [row.label for row in rows] == [None]


def test_a_second_label_is_refused(predictions: Predictions, rollout: Rollout) -> None:
    predictions.write([make_record(rollout, "a")])
    give_label(predictions, "churn", Label(request_id="a", label=1))
    with pytest.raises(ConflictError, match="has a label already"):
        give_label(predictions, "churn", Label(request_id="a", label=0))


def test_cohorts_wait_for_the_one_before(predictions: Predictions, rollout: Rollout) -> None:
    """A request written late does not let those behind it in before their time."""
    times = {"a": 1, "b": 30, "c": 2, "d": 40}
    predictions.write([make_record(rollout, name, at_us=at) for name, at in times.items()])
    rows, last = predictions.rows_of_cohorts(rollout.id, 0, before_us=20, limit=10)
    assert [row.request_id for row in rows] == ["a"]
    rows, last = predictions.rows_of_cohorts(rollout.id, last, before_us=35, limit=10)
    assert [row.request_id for row in rows] == ["b", "c"]
    assert predictions.rows_of_cohorts(rollout.id, last, before_us=35, limit=10) == ([], last)


def test_a_key_counts_once(predictions: Predictions, rollout: Rollout) -> None:
    predictions.write([make_record(rollout, str(i), key=i // 2) for i in range(4)])
    found = predictions.requests_after(rollout.id, 0, limit=10)
    assert [one.is_first for one in found] == [True, False, True, False]


def test_what_is_old_or_too_much_goes(predictions: Predictions, rollout: Rollout) -> None:
    predictions.write([make_record(rollout, str(i), at_us=i) for i in range(10)])
    assert predictions.forget(before_us=3, most=5) == 5
    left = predictions.requests_after(rollout.id, 0, limit=10)
    assert [one.request_id for one in left] == ["5", "6", "7", "8", "9"]
    assert predictions.forget(before_us=7, most=5) == 2
    rows, _ = predictions.rows_of_cohorts(rollout.id, 0, before_us=100, limit=10)
    assert [row.request_id for row in rows] == ["7", "8", "9"]  # the rows go with their request


def test_a_full_queue_drops_and_counts(tmp_path: Path, rollout: Rollout) -> None:
    predictions = Predictions(str(tmp_path / "predictions.db"))
    recorder = Recorder(predictions, most=3, keep_s=1e10)
    with recorder._writing:  # as when the disk is slow
        for i in range(5):
            recorder.put(lambda i=i: make_record(rollout, str(i)))  # type: ignore[misc]  # a draft
    recorder.close()
    assert recorder.n_dropped == 2
    assert len(predictions.requests_after(rollout.id, 0, limit=10)) == 3


def test_a_store_that_cannot_be_written_costs_records_only(
    tmp_path: Path, rollout: Rollout
) -> None:
    path = tmp_path / "predictions.db"
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    recorder = Recorder(Predictions(str(path)))
    recorder.put(lambda: make_record(rollout, "a"))
    recorder.close()
    assert recorder.n_dropped == 1


def test_files_of_labels(registry: Registry, rollout: Rollout, tmp_path: Path) -> None:
    registry._stores.predictions.write([make_record(rollout, name) for name in "abcd"])
    csv = tmp_path / "labels.csv"
    csv.write_text("id,label\na,1\nb,0\nz,1\nc,maybe\n")
    joined = registry.feedback(csv, model="churn")
    assert (joined.joined, joined.known) == (2, 0)
    assert [place for place, _ in joined.refused] == [4, 5]
    lines = tmp_path / "labels.jsonl"
    lines.write_text('{"id": "a", "label": 1, "model": "churn"}\n\n{"id": "d", "label": 0}\n')
    joined = registry.feedback(lines, model="churn")
    assert (joined.joined, joined.known, joined.refused) == (1, 1, [])
    (tmp_path / "bad.csv").write_text("request;label\na;1\n")
    with pytest.raises(InvalidError, match="no columns"):
        registry.feedback(tmp_path / "bad.csv", model="churn")
    with pytest.raises(NotFoundError, match="there is no file"):
        registry.feedback(tmp_path / "missing.csv")
    with pytest.raises(InvalidError, match="line 1"):
        registry.feedback([{"label": 1}])


def test_labels_in_the_order_of_their_coming_are_one_a_request(
    predictions: Predictions, rollout: Rollout
) -> None:
    answers = [("1", None)] * 3
    predictions.write(
        [make_record(rollout, name, answers=answers, shadow_answers=answers) for name in "ab"]
    )
    for at_us, (name, row) in enumerate([("a", 2), ("b", 0), ("a", 0), ("b", 1)], start=1):
        assert predictions.put_label("churn", name, row, "1", at_us=at_us)
    found, last = predictions.rows_as_labelled(rollout.id, 0, limit=10)
    assert [(row.request_id, row.row) for row in found] == [("a", 2), ("b", 0)]
    assert predictions.rows_as_labelled(rollout.id, last, limit=10) == ([], last)
