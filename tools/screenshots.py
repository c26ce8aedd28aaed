"""Pictures of all pages, in light and dark: `python tools/screenshots.py FOLDER`."""

import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from detent import RefusedError, Registry
from detent.blobs.memory import MemoryBlobs
from detent.domain.clock import to_us, utc_now
from detent.domain.rollout import Phase, Rollout
from detent.domain.server import Server
from detent.evaluation.evaluate import evaluate
from detent.metadata.predictions import Record
from detent.metadata.sqlite import SqliteMetadata
from detent.registry.stores import Stores
from detent.testing.registries import register_bytes, stores_on
from detent.testing.servers import serving
from detent.web.pages import make_site

SCREENS = {
    "models": "/",
    "model": "/models/churn",
    "version": "/models/churn/4",
    "compare": "/models/churn/compare?baseline=2&candidate=4",
    "activate": "/models/churn/4/activate",
    "rollback": "/models/churn/aliases/production/rollback",
    "roll-out": "/models/returns/aliases/production/rollout",
    "rollout": "/models/fraud/rollouts/1",
    "advance": "/models/fraud/rollouts/1/advance",
    "rolled-back": "/models/returns/rollouts/2",
    "decision": "/models/churn/decisions/1",
    "audit": "/audit",
    "sign-in": "/sign-in",
    "problem": "/models/churn/12",
}
LONG = ("compare",)  # shown whole: it is to be read from top to bottom


def times() -> Iterator[datetime]:
    """Give times some hours apart, up to now."""
    at = utc_now() - timedelta(days=18)
    while True:
        at = min(at + timedelta(hours=16), utc_now())
        yield at


def fill(folder: Path) -> Stores:
    """Return a registry that has lived for some weeks."""
    clock = times()
    stores = stores_on(
        SqliteMetadata(folder / "detent.db"), MemoryBlobs(), clock=lambda: next(clock)
    )
    registry = Registry(stores)
    X, y = make_classification(6000, 8, n_informative=5, flip_y=0.08, random_state=3)
    truth = np.where(y == 1, "leaves", "stays")
    region = np.array(["north", "south", "west", "abroad"])[(X[:, 5] > 0) + 2 * (X[:, 6] > 1)]
    for number, n_columns in enumerate((2, 3, 4, 8), 1):
        name = f"weights {number}".encode() * 1000
        register_bytes(stores, "churn", name, note=f"weekly retrain {number}")
        columns = ColumnTransformer([("known", "passthrough", list(range(n_columns)))])
        kind = LogisticRegression() if number < 4 else HistGradientBoostingClassifier(max_iter=15)
        model = make_pipeline(columns, kind)
        evaluate(
            stores,
            registry.version(f"churn/{number}"),
            model.fit(X[:2000], truth[:2000]),
            X[2000:],
            truth[2000:],
            dataset="holdout-2026-02",
            metrics=["accuracy", "roc_auc", "log_loss"],
            slices={"region": region[2000:]},
        )
    registry.activate("churn/1", "production", reason="the first one")
    registry.activate("churn/2", "production", reason="weekly retrain")
    registry.activate("churn/3", "production", reason="trained on more rows")
    registry.rollback("churn@production", reason="error rate doubled after 13:40")
    registry.activate("churn/4", "staging", reason="next week's")
    rules = [{"name": "not_worse", "metric": "roc_auc"}, {"name": "at_least_as_good"}]
    registry.set_policy("churn@production", {"rule": rules})
    for name in ("fraud", "returns"):
        register_bytes(stores, name, name.encode() * 1000, note="the first one")
        registry.activate(f"{name}/1", "production", reason="weekly retrain")
    with suppress(RefusedError):
        registry.activate("churn/3", "production", reason="once more")
    while next(clock) < utc_now() - timedelta(hours=1):
        pass  # what follows happens now
    _roll_out(registry, stores)
    for name in ("churn@production", "fraud@production"):
        _follow(stores, name)
    return stores


def _roll_out(registry: Registry, stores: Stores) -> None:
    """Leave one rollout in the middle of its canary, and one that was taken back."""
    for model, rate in (("fraud", 0.004), ("returns", 0.12)):
        register_bytes(stores, model, model.encode() * 1100, note="trained on more rows")
        rollout = registry.start_rollout(
            f"{model}/2", "production", labels="none", slo="50ms", step_requests=400
        )
        _answer(registry, stores, rollout, n=900, rate=0.002)
        for _ in range(2):  # to 10 %
            rollout = registry.advance_rollout(rollout.id)
        _answer(registry, stores, rollout, n=3600, rate=rate)
    register_bytes(stores, "returns", b"returns" * 1200, note="without the new columns")


def _answer(registry: Registry, stores: Stores, rollout: Rollout, *, n: int, rate: float) -> None:
    """Have both versions answer, the candidate failing at a rate, and count it now and then."""
    draw, at_us = random.Random(7), to_us(utc_now())
    shadow = rollout.phase is Phase.SHADOW
    records = []
    for i in range(n):
        is_candidate = not shadow and draw.random() < rollout.weight
        fails = draw.random() < (rate if is_candidate or shadow else 0.002)
        records.append(
            Record(
                request_id=f"{rollout.phase} {i}",
                rollout=rollout.id,
                model=rollout.model,
                alias=rollout.alias,
                version=rollout.candidate if is_candidate else rollout.baseline,
                role="canary" if is_candidate else "active",
                at_us=at_us,
                seconds=draw.expovariate(1 / 0.012),
                error="TimeoutError" if fails and not shadow else None,
                weight=None if shadow else rollout.weight,
                shadow_version=rollout.candidate if shadow else None,
                shadow_seconds=draw.expovariate(1 / 0.012) if shadow else None,
                shadow_error="TimeoutError" if fails and shadow else None,
            )
        )
    for start in range(0, n, 60):
        stores.predictions.write(records[start : start + 60])
        if registry.drive_rollout(rollout.id).has_ended:
            return


def _follow(stores: Stores, alias: str) -> None:
    status = Registry(stores).status(alias)
    for i in range(3):
        is_late = i == 2 and status.model == "fraud"
        server = Server(
            id=f"{alias} {i}",
            model=status.model,
            alias=status.alias,
            host=f"web-{i + 1}",
            pid=812,
            place="elsewhere",
            version=None if is_late else status.activation.version,
            entry=0 if is_late else status.activation.entry,
            heard_at=utc_now(),
            lease_until=datetime(2100, 1, 1, tzinfo=UTC),
        )
        stores.metadata.servers.put_server(server)


def main(folder: Path) -> None:
    """Write the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with (
        tempfile.TemporaryDirectory() as registry,
        sync_playwright() as playwright,
        serving(make_site(fill(Path(registry)))) as url,
    ):
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        for scheme in ("light", "dark"):
            with browser.new_context(
                color_scheme=scheme,  # type: ignore[arg-type]  # a name that it knows
                viewport={"width": 1080, "height": 680},
            ) as context:
                page = context.new_page()
                for name, path in SCREENS.items():
                    page.goto(url + path)
                    is_long = name in LONG
                    page.screenshot(path=folder / f"{name}-{scheme}.png", full_page=is_long)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
