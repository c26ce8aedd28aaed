"""Rows of versions and evaluations without their bytes: where only reading them is tested.

Examples
--------
>>> from detent.blobs.memory import MemoryBlobs
>>> from detent.facade import Registry
>>> from detent.metadata.sqlite import SqliteMetadata
>>> from detent.testing.registries import stores_on
>>> stores = stores_on(SqliteMetadata(None), MemoryBlobs())
>>> add_version_rows(stores, "churn", 3)
>>> add_evaluation_rows(stores, "churn", 2)
>>> [evaluation.version for evaluation in Registry(stores).evaluations("churn")]
[2, 1]
"""

import random

from detent.domain.evidence import Evaluation, Metric
from detent.domain.version import Version
from detent.registry.stores import Stores, change

METRICS = ("accuracy", "roc_auc", "log_loss", "f1")
SAME_ROWS = 4  # versions in a row that are evaluated on the same rows


def add_version_rows(stores: Stores, model: str, n: int) -> None:
    """Add rows of `n` versions, in one transaction."""
    with change(stores) as step:
        step.tables.insert_model(model, at_us=step.at_us, actor=step.actor)
        for _ in range(n):
            number = step.tables.take_number(model)
            version = Version(
                model=model,
                number=number,
                digest=f"sha256:{number:064x}",
                format="skops",
                size_bytes=4_100_000 + number,
                created_at=step.at,
                created_by="ci" if number % 2 else "ana",
                code=f"{number:07x}",
                data=f"2026-{number % 12 + 1:02d}",
                note=f"weekly retrain {number}, {number % 1000} trees",
            )
            step.tables.insert_version(version, at_us=step.at_us, duration_s=1.0)


def add_evaluation_rows(stores: Stores, model: str, n: int) -> None:
    """Add rows of evaluations, one for each of the first `n` versions, in one transaction."""
    draw = random.Random(model)
    with change(stores) as step:
        for number in range(1, n + 1):
            evaluation = Evaluation(
                id=step.tables.next_evaluation(),
                model=model,
                version=number,
                dataset="holdout",
                dataset_digest=f"sha256:{number // SAME_ROWS:064x}",
                n_rows=10_000,
                metrics=tuple(_metric(name, draw.uniform(0.7, 0.95)) for name in METRICS),
                outcomes=f"sha256:{number:064x}",
                one_row_s=1e-4,
                at=step.at,
                by="ci",
            )
            step.tables.insert_evaluation(evaluation, at_us=step.at_us)


def _metric(name: str, value: float) -> Metric:
    return Metric(
        name=name,
        value=value,
        n=10_000,
        greater_is_better=name != "log_loss",
        low=value - 0.01,
        high=value + 0.01,
        confidence=0.95,
    )
