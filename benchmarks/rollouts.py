"""What a running rollout costs those who are answered, and how quickly labels are counted."""

import itertools
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression

import detent
from benchmarks.measure import Row
from benchmarks.serving import ask_for, detent_serve, per_request, quantile, serving
from detent.domain.clock import utc_now
from detent.domain.rollout import Phase, Plan, Rollout
from detent.metadata import predictions
from detent.rollout.counting import Counts, count_rows
from detent.rollout.monitor import read_signals
from detent.testing.load import Record
from detent.testing.rollouts import make_rollout

ROUND_S, ROUNDS = 3.0, 3
N_LABELS = 100_000
PLANS: dict[str, dict[str, Any]] = {
    "the shadow": {"shadow": "1d", "labels": "none"},
    "a canary of 50 %": {"shadow": 0, "canary": "50%", "step": "1d", "labels": "none"},
}


def measure(folder: Path) -> list[Row]:
    rows = _labels()
    for workers in (1, 2):
        rows += _cost(folder / f"rollouts-{workers}", workers)
    return rows


def _labels() -> list[Row]:
    """Count labels as a driver does, and look at them once: in the shadow, and in a canary."""
    now = utc_now()
    shadow = [
        predictions.Row(
            request=i,
            request_id=str(i),
            row=0,
            at_us=1,
            version=1,
            answer="1",
            shadow_version=2,
            shadow_answer="0" if i % 33 == 0 else "1",
            label="0" if i % 40 == 0 else "1",
            weight=None,
            is_first=True,
        )
        for i in range(N_LABELS)
    ]
    canary = [
        replace(row, version=1 + i % 2, shadow_version=None, shadow_answer=None, weight=0.5)
        for i, row in enumerate(shadow)
    ]
    plan = Plan(canary=(0.5,))
    by_lot = make_rollout(at=now, phase_at=now, phase=Phase.CANARY, plan=plan)
    return [
        _counted("the shadow", shadow, make_rollout(at=now, phase_at=now)),
        _counted("a canary", canary, by_lot),
    ]


def _counted(where: str, rows: list[predictions.Row], rollout: Rollout) -> Row:
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        read_signals(count_rows(Counts(), rows, rollout, last=0), rollout)
        times.append(time.perf_counter() - started)
    return Row(
        what=f"counting {N_LABELS:,} labels in {where}",
        peer="100,000 labels a second",
        ours=statistics.median(times),
        theirs=N_LABELS / 100_000,
        limit=1,
    )


def _cost(folder: Path, workers: int) -> list[Row]:
    """Ask the same server with and without a rollout, in turns."""
    registry = detent.connect(folder, user="bench")
    X, y = load_wine(return_X_y=True)
    numbers = itertools.count(1)

    def register() -> str:
        model = LogisticRegression(C=1 / next(numbers), max_iter=5000).fit(X, y)
        return str(registry.register("fast", model, sample=X[:50], code="/"))

    registry.activate(register(), "production")
    registry.evaluate("fast/1", X, y, dataset="wine")
    found: dict[str, list[list[Record]]] = {name: [] for name in ("nothing", *PLANS)}
    with serving(*detent_serve(registry, "fast", workers), workers=workers) as port:
        while not _are_there(registry, workers):
            time.sleep(0.5)
        for _ in range(ROUNDS):
            found["nothing"].append(ask_for(ROUND_S, port, "fast", folder))
            for name, plan in PLANS.items():
                # One that was in a canary may not come again: each round has another one.
                rollout = registry.start_rollout(register(), "production", **plan)
                time.sleep(1.5)  # until the candidate is loaded
                found[name].append(ask_for(ROUND_S, port, "fast", folder))
                counts = registry.rollout(rollout.id).counts or {}
                kept = counts["in_shadow"] + counts["by_candidate"]
                assert kept > 0, f"nobody took part in {name}"
                registry.stop_rollout(rollout.id)
    rows = []
    several = f"{workers} worker{'s' if workers > 1 else ''}"
    for name in PLANS:
        for what, value in (("a one-row request", per_request), ("p99 of it", _p99)):
            ours, theirs = (
                statistics.median(value(records) for records in found[which])
                for which in (name, "nothing")
            )
            rows.append(
                Row(
                    what=f"{what}, in {name}, {several}",
                    peer="the same server without a rollout",
                    ours=ours,
                    theirs=theirs,
                    limit=None,
                )
            )
    return rows


def _are_there(registry: detent.Registry, workers: int) -> bool:
    try:
        return len(registry.servers("fast")) == workers
    except detent.UnavailableError:  # all of them come at once
        return False


def _p99(records: list[Record]) -> float:
    return quantile(records, 0.99)
