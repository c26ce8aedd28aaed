"""What Prometheus is told. Workers write into files that each of them can add up."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    multiprocess,
)
from prometheus_client import generate_latest as generate

from detent.domain.rollout import Rollout, Signal
from detent.rollout.trial import Trials
from detent.runtime.answered import Answered

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # prometheus-client looks there when it is imported
_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
_ENDS = {
    "": "Difference",
    "_low": "Lower bound, at every look, of the difference",
    "_high": "Upper bound, at every look, of the difference",
    "_limit": "What is allowed of the difference",
}


class Metrics:
    """Counts answers: an observer of the engine."""

    def __init__(self) -> None:
        self._folder = os.environ.get(FOLDER_VARIABLE)
        self._registry = CollectorRegistry()
        labels = ("model", "alias", "version", "role")
        options: dict[str, Any] = {"registry": self._registry}
        self._predictions = Counter(
            "detent_predictions_total", "Requests that a version answered", labels, **options
        )
        self._errors = Counter(
            "detent_prediction_errors_total", "Requests that a version failed on", labels, **options
        )
        self._seconds = Histogram(
            "detent_prediction_seconds",
            "Time that a version took to answer a request",
            labels,
            buckets=_BUCKETS,
            **options,
        )
        self._version = Gauge(
            "detent_active_version",
            "The version that answers; 0 when the alias holds none",
            ("model", "alias"),
            multiprocess_mode="livemostrecent",
            **options,
        )
        self._changed = Gauge(
            "detent_alias_changed_timestamp_seconds",
            "When the alias was changed to what answers",
            ("model", "alias"),
            multiprocess_mode="livemostrecent",
            **options,
        )
        self._differences = {
            end: Gauge(
                f"detent_rollout_difference{end}",
                f"{what} of bad outcomes, candidate minus baseline: failures, wrong answers",
                ("model", "alias", "version", "phase", "metric"),
                multiprocess_mode="livemostrecent",
                **options,
            )
            for end, what in _ENDS.items()
        }
        self._dropped = Gauge(
            "detent_rollout_requests_dropped",
            "Requests that were not kept, or not asked in the shadow: too many at once",
            multiprocess_mode="livesum",
            **options,
        )
        self.trials: Trials | None = None
        self._children: dict[tuple[Any, Any], tuple[Counter, Counter, Histogram]] = {}
        if self._folder:
            _forget_dead(Path(self._folder))

    def __call__(self, answered: Answered) -> None:
        """Count an answer."""
        key = (answered.slot, answered.role)
        children = self._children.get(key)
        if children is None:
            if len(self._children) > 100:  # slots come and go
                self._children.clear()
            labels = (
                answered.deployment.model,
                answered.deployment.alias,
                str(answered.slot.version.number),
                str(answered.role),
            )
            children = self._children[key] = (
                self._predictions.labels(*labels),
                self._errors.labels(*labels),
                self._seconds.labels(*labels),
            )
        answers, errors, seconds = children
        (answers if answered.error is None else errors).inc()
        seconds.observe(answered.seconds)

    def _show_rollout(self, rollout: Rollout) -> None:
        for signal in rollout.signals:
            labels = (
                *(rollout.model, rollout.alias, str(rollout.candidate)),
                *(str(signal.phase), signal.name),
            )
            for end, number in _ends_of(signal).items():
                if number is not None:
                    self._differences[end].labels(*labels).set(number)

    def switched(self, alias: str, version: int | None, changed_at: float) -> None:
        """Note what answers from now on."""
        model, _, name = alias.partition("@")
        self._version.labels(model, name).set(version or 0)
        self._changed.labels(model, name).set(changed_at)

    def show(self) -> tuple[bytes, str]:
        """Return the text for Prometheus, and its media type: of all workers together."""
        if self.trials is not None:
            self._dropped.set(self.trials.dropped())
            for rollout in self.trials.rollouts():
                self._show_rollout(rollout)
        if not self._folder:
            return generate(self._registry), CONTENT_TYPE_LATEST
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate(together), CONTENT_TYPE_LATEST


def _ends_of(signal: Signal) -> dict[str, float | None]:
    return {
        "": signal.difference,
        "_low": signal.low,
        "_high": signal.high,
        "_limit": signal.limit,
    }


def _forget_dead(folder: Path) -> None:
    """Take away what workers that were killed said of the present."""
    for path in folder.glob("gauge_live*_*.db"):
        pid = int(path.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            with suppress(FileNotFoundError):
                path.unlink()
        except PermissionError:
            continue
