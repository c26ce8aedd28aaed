"""Rebuilding a version in a folder, and setting it beside the one that was registered."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from detent.blobs.base import Blobs, read_verified
from detent.blobs.local import LocalBlobs
from detent.compilers.agreement import find_difference
from detent.data.table import decode_table, n_rows
from detent.domain.report import VersionCard
from detent.domain.reproduction import Likeness, Reproduction, ReproductionPlan
from detent.errors import InvalidError
from detent.metadata.sqlite import SqliteMetadata
from detent.registry.describe import describe, diff
from detent.registry.files import load_version
from detent.registry.stores import Stores
from detent.reproduction.rebuild import (
    Tell,
    bring_data,
    check_out,
    find_place,
    find_repository,
    make_environment,
    run_command,
)

_METHODS = ("predict", "predict_proba", "decision_function")
_CAUSES = ("data", "packages", "params", "python", "platform")  # the likeliest first


def reproduce(
    card: VersionCard,
    plan: ReproductionPlan,
    blobs: Blobs,
    *,
    repository: Path,
    folder: Path | None = None,
    here: bool = False,
    trusted: bool | Sequence[str] = False,
    tell: Tell = lambda _: None,
) -> Reproduction:
    """Do again what trained a version, and compare; see `Registry.reproduce`."""
    started = time.monotonic()
    if folder is not None and folder.exists() and any(folder.iterdir()):
        raise InvalidError(f"{folder} is not empty; nothing was done", hint="name a new folder")
    repository = find_repository(plan.commit, repository)
    top = folder or Path(tempfile.mkdtemp(prefix="detent-reproduce-"))
    top.mkdir(parents=True, exist_ok=True)
    top = top.resolve()
    code = top / "code"
    lineage = card.manifest.lineage
    tell(f"checking out {plan.commit[:12]}")
    patch = None
    if plan.patch is not None:
        patch = read_verified(blobs, plan.patch, what=f"the changes of `{card.version}`")
    try:
        check_out(plan.commit, patch, repository, code)
    except BaseException:
        if folder is None:
            shutil.rmtree(top, ignore_errors=True)
        raise
    place, arguments = find_place(plan.command, code)
    bring_data(lineage, repository, code, place)
    python = Path(sys.executable)
    if plan.packages and not here:
        python = make_environment(lineage, top / "environment", tell)
    tell(f"running {' '.join(plan.command)}")
    run_command(python, arguments, place=place, registry=top / "registry")
    stores = Stores(
        metadata=SqliteMetadata(str(top / "registry" / "detent.db")),
        open_blobs=lambda: LocalBlobs(top / "registry" / "blobs"),
        actor="reproduce",
    )
    try:
        rebuilt = _find_rebuilt(card, stores)
        found = _compare(card, blobs, rebuilt, stores, plan, trusted=trusted)
    finally:
        stores.metadata.close()
    is_kept = folder is not None or not found.is_same
    if not is_kept:
        shutil.rmtree(top, ignore_errors=True)
    kept = str(top) if is_kept else None
    return replace(found, seconds=time.monotonic() - started, folder=kept)


def _find_rebuilt(card: VersionCard, stores: Stores) -> VersionCard:
    """Return the version that the command registered in place of the one it trained before."""
    tables = stores.metadata.current
    numbers = range(1, (tables.newest_number(card.version.model) or 0) + 1)
    cards = [describe(stores, f"{card.version.model}/{number}") for number in numbers]
    if not cards:
        raise InvalidError(
            f"the recorded command ran, and registered no version of `{card.version.model}`",
            hint="it may register only under some condition: see its output",
        )
    before = card.manifest

    def likeness(other: VersionCard) -> tuple[bool, bool, bool]:
        after = other.manifest
        return (
            after.files == before.files,
            after.lineage.parameters == before.lineage.parameters,
            after.lineage.estimator == before.lineage.estimator,
        )

    return max(cards, key=likeness)


def _compare(
    card: VersionCard,
    blobs: Blobs,
    rebuilt: VersionCard,
    stores: Stores,
    plan: ReproductionPlan,
    *,
    trusted: bool | Sequence[str],
) -> Reproduction:
    found = Reproduction(
        version=card.version.name,
        likeness=Likeness.SAME_BYTES,
        rebuilt=rebuilt.version.digest,
        n_rows=0,
        largest_difference=None,
        difference=None,
        causes=(),
        seconds=0.0,
        folder=None,
    )
    if card.manifest.files == rebuilt.manifest.files:
        return found
    found = replace(found, likeness=Likeness.DIFFERS, causes=_causes(card, rebuilt, plan))
    if card.manifest.sample is None:
        why = "the files differ, and no rows are stored to compare predictions on"
        return replace(found, difference=why)
    sample = decode_table(
        read_verified(blobs, card.manifest.sample.digest, what=f"the sample of `{card.version}`")
    )
    old = load_version(blobs, card.version, trusted=trusted)
    new = load_version(stores.blobs, rebuilt.version, trusted=trusted)
    methods = {
        name: getattr(new, name)
        for name in _METHODS
        if callable(getattr(old, name, None)) and callable(getattr(new, name, None))
    }
    difference = find_difference(old, methods, sample)
    n, largest = n_rows(sample), _largest(old, new, methods, sample)
    found = replace(found, n_rows=n, largest_difference=largest)
    if difference is None:
        return replace(found, likeness=Likeness.SAME_PREDICTIONS)
    where = f"`{difference.method}` differs in {len(difference.rows)} of {n} rows"
    return replace(found, difference=where)


def _largest(old: Any, new: Any, methods: dict[str, Any], sample: Any) -> float | None:
    differences = []
    for name in methods:
        a, b = (np.asarray(getattr(model, name)(sample)) for model in (old, new))
        if a.dtype.kind == b.dtype.kind == "f" and a.shape == b.shape:
            differences.append(float(np.max(np.abs(a - b), initial=0.0)))
    return max(differences, default=None)


def _causes(card: VersionCard, rebuilt: VersionCard, plan: ReproductionPlan) -> tuple[str, ...]:
    changes = diff(card, rebuilt)
    told = [
        f"{change.part}: {change.text}"
        for part in _CAUSES
        for change in changes
        if change.part == part
    ]
    return (*told, *plan.doubts)
