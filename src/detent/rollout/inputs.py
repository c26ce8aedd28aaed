"""Whether the inputs of requests have moved from the rows that a candidate was judged on.

The reference is what was kept with the candidate's newest evaluation before the rollout began, else
the sample that it was registered with: the same for every process that takes part. Of a request the
first row is looked at, of a key the first request, and in each process twenty a second at most:
beside the answers, in the thread that keeps them. What is kept are the numbers of cells.

It is looked at after 100 requests, 200, 400 and so on. The probability that chance is taken for a
move, 1 %, is shared by all looks and all inputs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from detent.blobs.base import read_verified
from detent.data.table import decode_table, n_rows
from detent.domain.rollout import Drift, FeatureDrift, Rollout, Signal
from detent.errors import DetentError
from detent.evaluation.inputs import Inputs, count_inputs, read_inputs
from detent.registry.manifest import read_manifest
from detent.registry.read import resolve
from detent.registry.stores import Stores
from detent.stats.shift import Cells, measure_shift

NAME = "feature_drift"
LEAST = 100  # requests, for a first look
MOST_SHOWN = 10
_ALPHA = 0.01
_PAUSE_S = 0.05  # between two requests that a process looks at


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What requests are compared with, and where it comes from, in words."""

    what: str
    inputs: Inputs


def find_reference(stores: Stores, rollout: Rollout) -> Reference | None:
    """Return what the requests of a rollout are compared with; None where nothing was kept.

    Raises
    ------
    DetentError
        If it cannot be read.
    """
    if not rollout.plan.features:
        return None
    tables = stores.metadata.current
    for evaluation in tables.list_evaluations(rollout.model, rollout.candidate):
        if evaluation.at <= rollout.at and evaluation.inputs is not None:
            return Reference(
                what=f"{evaluation.dataset} (evaluation {evaluation.id})",
                inputs=read_inputs(stores.blobs, evaluation.inputs),
            )
    name = f"{rollout.model}/{rollout.candidate}"
    manifest = read_manifest(stores.blobs, resolve(tables, name).digest, what=f"`{name}`")
    if manifest.sample is None:
        return None
    sample = decode_table(read_verified(stores.blobs, manifest.sample.digest, what=f"`{name}`"))
    if not n_rows(sample):
        return None
    return Reference(what=f"the sample of {name}", inputs=count_inputs(sample))


class Watch:
    """Finds the cells of some of the requests that a process answers. For one thread."""

    def __init__(self, stores: Stores, rollout: Rollout) -> None:
        self._stores, self._rollout = stores, rollout
        self._reference: Reference | None = None
        self._look_at = 0.0
        self._is_ready = False

    def place(self, rows: Any) -> bytes | None:
        """Return the cells of the first of some rows; None where they are not looked at."""
        now = time.monotonic()
        if now < self._look_at:
            return None
        self._look_at = now + _PAUSE_S
        if not self._is_ready:
            self._is_ready = True
            try:
                self._reference = find_reference(self._stores, self._rollout)
            except DetentError:  # the driver says so: see `rollout status`
                self._look_at = now + 60
                self._is_ready = False
            finally:
                self._stores.metadata.release()
        if self._reference is None:
            return None
        try:
            return self._reference.inputs.place(rows, self._rollout.plan.features)
        except Exception:  # whatever a client sent, and a model may have refused
            return None


def is_due(n: int, before: Drift | None) -> bool:
    """Say whether so many requests are to be looked at, after a look before."""
    return n >= (LEAST if before is None else 2 * before.n)


def measure(reference: Reference, counts: list[list[int]], n: int, rollout: Rollout) -> Drift:
    """Compare requests with a reference, input by input.

    Parameters
    ----------
    reference : Reference
        What they are compared with.
    counts : list of list of int
        Of each input that is watched: how many requests lie in each cell.
    n : int
        Requests.
    rollout : Rollout
        Whose plan says how many inputs are watched.
    """
    watched = reference.inputs.narrow(rollout.plan.features).cells
    look = (n // LEAST).bit_length()
    alpha = _ALPHA / (look * (look + 1) * max(1, len(watched)))  # all looks add up to the whole
    found = [_compare(cells, counts[i], alpha) for i, cells in enumerate(watched[: len(counts)])]
    found.sort(key=lambda one: (not one.has_moved, -one.distance))
    return Drift(
        reference=reference.what,
        n_reference=reference.inputs.n_rows,
        n=n,
        n_features=len(found),
        n_moved=sum(one.has_moved for one in found),
        features=tuple(found[:MOST_SHOWN]),
    )


def _compare(cells: Cells, counts: list[int], alpha: float) -> FeatureDrift:
    now = counts[: len(cells.counts)]
    shift = measure_shift(cells.counts, now, alpha=alpha)
    return FeatureDrift(
        name=cells.name,
        distance=shift.distance,
        chance=shift.chance,
        cells=cells.labels,
        before=tuple(count / sum(cells.counts) for count in cells.counts),
        now=tuple(count / sum(now) for count in now),
    )


def read_drift(drift: Drift, rollout: Rollout) -> Signal:
    """Return what drift says: harm only where the plan names a limit, and it is surely passed."""
    limit = rollout.plan.drift_limit
    furthest = max(drift.features, key=lambda one: one.distance - one.chance)
    is_harm = limit is not None and furthest.distance - furthest.chance > limit
    if drift.n_moved:
        text = (
            f"{drift.n_moved} of {drift.n_features} inputs moved, most `{furthest.name}`: distance"
            f" {furthest.distance:.2f}, by chance {furthest.chance:.2f}"
        )
    else:
        text = f"none of {drift.n_features} inputs moved more than chance explains"
    more = (
        f", at least {furthest.distance - furthest.chance:.2f}, limit {limit:g}" if is_harm else ""
    )
    return Signal(
        name=NAME,
        phase=rollout.phase,
        verdict="harm" if is_harm else "drift" if drift.n_moved else "open",
        text=f"{text}{more} (n = {drift.n:,}, against {drift.reference})",
        n=drift.n,
        limit=limit,
        evidence={
            "method": "Jensen-Shannon distance, resampled",
            "reference": drift.reference,
            "n_reference": drift.n_reference,
            "features": [
                {"name": one.name, "distance": one.distance, "chance": one.chance}
                for one in drift.features
            ],
        },
    )
