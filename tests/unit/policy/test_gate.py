"""The gate decides in the transaction of the activation, on evidence that its decision names."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

import detent
from detent.comparison.differences import difference_of_counts
from detent.domain.evidence import Outcome
from detent.opening import connect
from detent.stats.counts import PairedCounts

N = 3000


class Fixed:
    """Answers a row as the column of this version says."""

    def __init__(self, column: int) -> None:
        self.column = column
        self.classes_ = np.array([0, 1])

    def predict(self, X: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> object:
        return X[:, self.column]


@pytest.fixture
def registry() -> detent.Registry:
    return connect("memory:", user="ana")


def answers(*changes: tuple[int, int], n: int = N, seed: int = 0) -> tuple[object, object]:
    """Rows whose columns are what versions answer: 90 % right, then newly wrong and newly right."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    wrong = rng.permutation(n)[: n // 10]
    first = y.copy()
    first[wrong] = 1 - first[wrong]
    columns = [first]
    right = np.setdiff1d(np.arange(n), wrong)
    for newly_wrong, newly_right in changes:
        column = first.copy()
        column[right[:newly_wrong]] = 1 - y[right[:newly_wrong]]
        column[wrong[:newly_right]] = y[wrong[:newly_right]]
        columns.append(column)
    return np.column_stack(columns), y


def prepared(
    registry: detent.Registry, *changes: tuple[int, int], n: int = N, dataset: str = "holdout"
) -> None:
    """Register a version for each column, evaluate all, activate the first, and protect."""
    X, y = answers(*changes, n=n)
    for column in range(len(changes) + 1):
        registry.register_file("churn", _file(column))
        evaluate(registry, column, X, y, dataset)
    registry.activate("churn/1", "production", reason="the first one")


def _file(column: int) -> str:
    from pathlib import Path

    path = Path(f"model{column}.bin")
    path.write_bytes(b"weights" * (column + 1))
    return str(path)


def evaluate(
    registry: detent.Registry, column: int, X: object, y: object, dataset: str, **options: object
) -> detent.Evaluation:
    from detent.evaluation.evaluate import evaluate

    version = registry.version(f"churn/{column + 1}")
    return evaluate(
        registry._stores,  # the model is not in the registry's files: only its answers matter
        version,
        Fixed(column),
        X,
        y,
        dataset=dataset,
        metrics=["accuracy"],
        **options,  # type: ignore[arg-type]  # of evaluate
    )


def outcome(registry: detent.Registry, number: int) -> Outcome:
    return registry.gate(f"churn/{number}", "production").outcome


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ((10, 10), Outcome.PASS),
        ((5, 60), Outcome.PASS),
        ((90, 80), Outcome.INCONCLUSIVE),
        ((60, 40), Outcome.FAIL),  # worse, within the margin
        ((120, 20), Outcome.FAIL),
    ],
)
def test_not_worse(registry: detent.Registry, changes: tuple[int, int], expected: Outcome) -> None:
    prepared(registry, changes)
    registry.set_policy("churn@production")
    decision = registry.gate("churn/2", "production")
    evidence = decision.results[0].evidence
    newly_wrong, newly_right = changes
    table = PairedCounts(
        both_right=N * 9 // 10 - newly_wrong,
        newly_wrong=newly_wrong,
        newly_right=newly_right,
        both_wrong=N // 10 - newly_right,
    )
    assert evidence["counts"] == [
        table.both_right,
        table.newly_wrong,
        table.newly_right,
        table.both_wrong,
    ]
    assert evidence["verdict"] == str(difference_of_counts(table).verdict)
    assert decision.outcome is expected


def test_worse_within_the_margin_may_be_allowed(registry: detent.Registry) -> None:
    prepared(registry, (60, 40))
    strict = {"name": "not_worse", "margin": 0.02}
    registry.set_policy("churn@production", {"rule": [strict]})
    assert outcome(registry, 2) is Outcome.FAIL
    allowed = strict | {"allow_worse_within_margin": True}
    registry.set_policy("churn@production", {"rule": [allowed]})
    assert outcome(registry, 2) is Outcome.PASS


def test_an_inconclusive_answer_names_the_rows_needed(registry: detent.Registry) -> None:
    prepared(registry, (0, 0), n=54)
    registry.set_policy("churn@production")
    with pytest.raises(detent.InconclusiveError, match="268 rows would") as caught:
        registry.activate("churn/2", "production")
    assert registry.status("churn@production").activation.version == 1
    assert caught.value.decision.results[0].evidence["rows_needed"] == 268


def test_the_decision_is_bound_to_what_it_was_made_from(registry: detent.Registry) -> None:
    prepared(registry, (5, 60))
    policy = registry.set_policy("churn@production")
    entry = registry.activate("churn/2", "production")
    assert entry.decision is not None
    decision = registry.decision(entry.decision)
    evidence = decision.results[0].evidence
    assert decision.policy_digest == policy.digest
    assert evidence["candidate_digest"] == registry.version("churn/2").digest
    assert evidence["baseline_digest"] == registry.version("churn/1").digest
    newest = registry.evaluations("churn/2")[0]
    assert evidence["dataset_digest"] == newest.dataset_digest
    assert newest.outcomes in evidence["outcomes"]
    assert registry.audit(verify=True).is_unbroken


def test_what_changes_between_the_look_and_the_transaction_is_judged_anew(
    registry: detent.Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that was prepared on other facts must not be used."""
    import detent.registry.activate
    from detent.registry.decide import prepare

    activating = detent.registry.activate
    prepared(registry, (5, 60), (120, 20))
    registry.set_policy("churn@production")
    look = prepare

    def look_then_move(stores: object, *arguments: object, **options: object) -> object:
        found = look(stores, *arguments, **options)  # type: ignore[arg-type]  # as it was called
        monkeypatch.setattr(activating, "prepare", look)
        strict = {"name": "better", "metric": "accuracy", "alpha": 1e-6}
        registry.set_policy("churn@production", {"rule": [strict, strict]})
        return found

    monkeypatch.setattr(activating, "prepare", look_then_move)
    with pytest.raises(detent.RefusedError, match="2 of 2 rules failed"):
        registry.activate("churn/3", "production")


def test_losses_within_the_margin_do_not_add_up(registry: detent.Registry) -> None:
    """Beside v2 the third version would pass; beside v1, which a person chose, it does not."""
    prepared(registry, (30, 20), (60, 30))
    rule = {"name": "not_worse", "margin": 0.015, "allow_worse_within_margin": True}
    registry.set_policy("churn@production", {"rule": [rule]})
    assert registry.activate("churn/2", "production").version == 2
    decision = registry.gate("churn/3", "production")
    assert decision.outcome is not Outcome.PASS
    assert "against v1, which was chosen last on evidence" in decision.results[0].text


def test_the_second_candidate_on_the_same_rows_needs_more(registry: detent.Registry) -> None:
    prepared(registry, (20, 20), (20, 20))
    registry.set_policy("churn@production")
    first, second = (registry.gate(f"churn/{n}", "production").results[0] for n in (2, 3))
    assert (first.evidence["use"], second.evidence["use"]) == (1, 2)
    assert second.evidence["at_worst"] < first.evidence["at_worst"]
    assert "use 2 of these rows" in second.text


def test_looking_again_at_a_grown_data_set_is_counted(registry: detent.Registry) -> None:
    rule = {"name": "not_worse", "dataset": "holdout"}
    prepared(registry, (5, 5), n=200)
    registry.set_policy("churn@production", {"rule": [rule]})
    for seed, n in enumerate((300, 400), start=1):
        X, y = answers((5, 5), n=n, seed=seed)
        for column in (0, 1):
            evaluate(registry, column, X, y, "holdout")
    assert registry.gate("churn/2", "production").results[0].evidence["use"] == 3
    X, y = answers((5, 5), n=500, seed=9)
    for column in (0, 1):
        evaluate(registry, column, X, y, "another")
    assert registry.gate("churn/2", "production").results[0].evidence["use"] == 3


def test_better(registry: detent.Registry) -> None:
    prepared(registry, (5, 60), (20, 20), (60, 5))
    registry.set_policy("churn@production", {"rule": [{"name": "better"}]})
    expected = [Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.FAIL]
    assert [outcome(registry, number) for number in (2, 3, 4)] == expected


def test_slices(registry: detent.Registry) -> None:
    """A slice that got worse is found behind a difference that looks harmless."""
    X, y = answers((60, 60))
    parts = np.where(np.asarray(X)[:, 1] != y, "north", "south")
    parts[np.random.default_rng(0).permutation(N)[: N // 2]] = "south"
    parts[(np.asarray(X)[:, 1] != y) & (np.asarray(X)[:, 0] == y)] = "north"
    for column in (0, 1):
        registry.register_file("churn", _file(column))
        evaluate(registry, column, X, y, "holdout", slices={"region": parts})
    registry.activate("churn/1", "production", reason="first")
    registry.set_policy("churn@production", {"rule": [{"name": "slices_not_worse"}]})
    decision = registry.gate("churn/2", "production")
    assert decision.outcome is Outcome.FAIL
    assert "region=north" in decision.results[0].text
    critical = {"name": "slices_not_worse", "slices": ["region=south"], "margin": 0.05}
    registry.set_policy("churn@production", {"rule": [critical]})
    assert outcome(registry, 2) is Outcome.PASS
    missing = {"name": "slices_not_worse", "slices": ["country"]}
    registry.set_policy("churn@production", {"rule": [missing]})
    assert outcome(registry, 2) is Outcome.INCONCLUSIVE
    comparison = registry.compare("churn/1", "churn/2")
    assert [one.slice for one in comparison.slices if one.is_worse] == ["region=north"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"name": "size", "max_ratio": 3}, Outcome.PASS),
        ({"name": "size", "max_ratio": 1.5}, Outcome.FAIL),
        ({"name": "size", "max_bytes": 10}, Outcome.FAIL),
        ({"name": "latency", "max_ms": 10_000}, Outcome.PASS),
        ({"name": "latency", "max_ms": 1e-9}, Outcome.FAIL),
        ({"name": "churn", "max": 0.2}, Outcome.PASS),
        ({"name": "churn", "max": 0.04}, Outcome.INCONCLUSIVE),
        ({"name": "churn", "max": 0.01}, Outcome.FAIL),
        ({"name": "error_rate", "max": 0.5}, Outcome.PASS),
        ({"name": "error_rate", "max": 0.1}, Outcome.INCONCLUSIVE),
        ({"name": "error_rate", "max": 0.01}, Outcome.FAIL),
        ({"name": "not_worse", "metric": "log_loss"}, Outcome.INCONCLUSIVE),
        ({"name": "not_worse", "dataset": "other"}, Outcome.INCONCLUSIVE),
        ({"name": "churn", "max": 0.1, "dataset": "other"}, Outcome.INCONCLUSIVE),
    ],
)
def test_limits(registry: detent.Registry, rule: dict[str, object], expected: Outcome) -> None:
    prepared(registry, (60, 60))
    registry.set_policy("churn@production", {"rule": [rule]})
    assert outcome(registry, 2) is expected


def test_approvals_are_those_of_others() -> None:
    registry = connect("memory:", user="ana")
    prepared(registry, (5, 60))
    registry.set_policy("churn@production", {"approvals": 1})
    registry.approve("churn/2", "production", reason="my own work")
    with pytest.raises(detent.RefusedError, match="0 of 1 approvals by others than ana"):
        registry.activate("churn/2", "production")
    stores = registry._stores
    stores.actor = "bo"
    first = registry.approve("churn/2", "production", reason="looked at it")
    assert registry.approve("churn/2", "production") == first, "twice is safe"
    stores.actor = "ana"
    assert registry.activate("churn/2", "production").version == 2
    assert registry.audit(verify=True).is_unbroken


def test_a_policy_is_tried_on_the_past() -> None:
    registry = connect("memory:", user="ana")
    now = [datetime(2026, 3, 1, tzinfo=UTC)]

    def clock() -> datetime:
        now[0] += timedelta(hours=1)
        return now[0]

    registry._stores.clock = clock
    prepared(registry, (5, 60), (120, 20))
    registry.activate("churn/2", "production")
    registry.activate("churn/3", "production")
    trials = registry.try_policy("churn@production", {"rule": [{"name": "not_worse"}]})
    assert [(trial.version, trial.outcome) for trial in trials] == [
        (3, Outcome.FAIL),
        (2, Outcome.PASS),
        (1, Outcome.PASS),
    ]
    assert [trial.baseline for trial in trials] == [2, 1, None]
    assert all(trial.activated for trial in trials)
    assert registry.policy("churn@production") is None, "nothing was set"
    assert len(registry.try_policy("churn@production", {}, limit=1)) == 1


def test_rollback_is_never_gated(registry: detent.Registry) -> None:
    prepared(registry, (5, 60))
    registry.activate("churn/2", "production")
    impossible = {"name": "size", "max_bytes": 1}
    registry.set_policy("churn@production", {"rule": [impossible], "approvals": 5})
    assert registry.rollback("churn@production").version == 1
