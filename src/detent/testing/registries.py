"""Registries for tests: quick to fill, and one that has lived through everything.

Examples
--------
>>> from detent.blobs.memory import MemoryBlobs
>>> from detent.metadata.sqlite import SqliteMetadata
>>> stores = stores_on(SqliteMetadata(None), MemoryBlobs())
>>> register_bytes(stores, "fraud", b"any bytes", note="first")
<Version fraud/1 files 9 B>
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from detent.blobs.base import Blobs, put
from detent.domain.clock import utc_now
from detent.domain.manifest import Data, File, Lineage, Manifest
from detent.domain.version import Version
from detent.errors import RefusedError
from detent.facade import Registry
from detent.metadata.base import Metadata
from detent.registry.register import create_registry, register_manifest
from detent.registry.stores import Stores

FILE = "model.bin"


def stores_on(
    metadata: Metadata,
    blobs: Blobs,
    *,
    actor: str = "ana",
    clock: Callable[[], datetime] = utc_now,
) -> Stores:
    """Return the stores of a registry, which is made unless it is there."""
    stores = Stores(metadata=metadata, open_blobs=lambda: blobs, actor=actor, clock=clock)
    create_registry(stores)
    return stores


def register_bytes(
    stores: Stores,
    model: str,
    content: bytes,
    *,
    note: str | None = None,
    parents: Sequence[str] = (),
) -> Version:
    """Register a version whose one file, `FILE`, has this content."""
    file = File(path=FILE, digest=put(stores.blobs, content), size_bytes=len(content))
    lineage = Lineage(
        parameters={"n_estimators": 100, "rate": 0.1},
        data=(Data(name="clicks.parquet", digest=file.digest, kind="file"),),
        parents=tuple(parents),
    )
    manifest = Manifest(format="files", files=(file,), lineage=lineage)
    return register_manifest(stores, model, manifest, note=note, duration_s=2.0)[0]


def live_through_everything(stores: Stores) -> Registry:
    """Fill a registry with two models and one of everything that can happen to them."""
    registry = Registry(stores)
    for i in range(6):
        register_bytes(stores, "fraud", b"fraud %d" % i, note=f"weekly retrain {i}")
    register_bytes(stores, "wine", b"wine", parents=["fraud/1"])
    registry.activate("fraud/1", "production", reason="the first")
    registry.activate("fraud/2", "production")
    registry.rollback("fraud@production", reason="slower than before", hold=True)
    with suppress(RefusedError):
        registry.activate("fraud/2", "production", reason="once more")
    registry.release("fraud@production")
    registry.activate("fraud/2", "production", override="it was not its fault")
    registry.note("fraud@production", "the database was slow that day")
    registry.note("fraud/3", "trained on a holiday")
    registry.promote("fraud@production", "staging")
    registry.deactivate("fraud@staging")
    registry.withdraw("fraud/4", reason="trained on test rows")
    registry.delete("fraud/5", reason="a mistake")
    registry.hold("fraud@staging", reason="holiday")
    _judge(registry, stores)
    _roll_out(registry, stores)
    return registry


def _judge(registry: Registry, stores: Stores) -> None:
    from detent.evaluation.evaluate import evaluate

    registry.set_policy("fraud@production", {"rule": [{"name": "at_least_as_good"}]})
    registry.set_policy("wine@production", {"reason_required": True})
    rows, y = [[0.0], [1.0], [2.0], [3.0]], ["no", "yes", "yes", "no"]
    for number, model in ((2, _Constant("yes")), (3, _Constant("no")), (6, _Constant("maybe"))):
        version = registry.version(f"fraud/{number}")
        evaluate(stores, version, model, rows, y, dataset="four rows", metrics=["accuracy"])
    registry.activate("fraud/3", "production")
    registry.approve("fraud/6", "production", reason="looked at it")
    with suppress(RefusedError):
        registry.activate("fraud/6", "production")


def _roll_out(registry: Registry, stores: Stores) -> None:
    from detent.domain.evidence import Outcome, RuleResult
    from detent.domain.rollout import RolloutStatus
    from detent.registry.activate import take_back
    from detent.registry.rollout import complete_rollout

    registry.activate("wine/1", "staging")
    register_bytes(stores, "wine", b"better wine", note="more grapes")
    register_bytes(stores, "wine", b"other wine", note="other grapes")
    rollout = registry.start_rollout("wine/2", "staging", canary="10%,50%", labels="none")
    registry.pause_rollout(rollout.id, reason="a holiday")
    registry.resume_rollout(rollout.id)
    for _ in range(3):
        registry.advance_rollout(rollout.id)
    complete_rollout(stores, rollout.id)
    rollout = registry.start_rollout("wine/3", "staging")
    harm = RuleResult(rule="error_rate", outcome=Outcome.FAIL, text="9 of 9 requests failed")
    status = RolloutStatus.ROLLED_BACK
    take_back(stores, rollout.id, reason=harm.text, results=[harm], status=status)


class _Constant:
    """Answers every row with the same label."""

    def __init__(self, label: str) -> None:
        self._label = label

    def predict(self, X: Any) -> list[str]:
        return [self._label] * len(X)
