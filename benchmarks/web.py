"""What a server costs: its answers beside a minimal route that runs the same SQL, and its pages."""

import sqlite3
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import urllib3
from fastapi import FastAPI
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

import detent
from benchmarks.browsing import browsing, content_after, find_chromium
from benchmarks.measure import Row, interleave
from benchmarks.registries import make_registry
from detent.testing.rows import add_evaluation_rows, add_version_rows
from detent.testing.servers import serving
from detent.web.pages import make_site

PAGE_BYTES = 60_000  # of the first screen, as it is sent
PAGE_S = 0.5  # for a page on the same machine
SLOW_PAGE_S = 1.0  # for its content on a slow link
FIRST_COMPARISON_S = 2.0  # for a page whose rows nobody has compared yet
PARTS = ("/static/style.css", "/static/page.js")
ROWS = 12_480  # that versions are compared on
CANDIDATES = 5
EVALUATED = 12  # versions of each of the other models


def measure(
    folder: Path, *, repeats: int = 101, n_models: int = 1000, n_versions: int = 10_000
) -> list[Row]:
    registry = _fill(folder / "web", n_models, n_versions)
    path = folder / "web" / "detent.db"
    statement = _versions_statement()
    with (
        serving(make_site(registry._stores)) as ours,
        serving(_plain(path, statement)) as theirs,
    ):
        pool = urllib3.PoolManager(maxsize=2)

        def get(url: str) -> Callable[[], bytes]:
            return lambda: pool.request("GET", url).data

        mine, other = interleave(
            get(f"{ours}/api/v1/models/churn/versions?limit=20"),
            get(f"{theirs}/versions"),
            repeats=repeats,
        )
        peer = "a minimal FastAPI route with the same SQL"
        rows = [Row(what="API: 20 versions", peer=peer, ours=mine, theirs=other, limit=1.5)]
        for what, url in (("first screen", ours), ("model page", f"{ours}/models/churn")):
            taken, _ = interleave(get(url), lambda: None, repeats=11)
            rows.append(Row(what=what, peer="the limit", ours=taken, theirs=PAGE_S, limit=1))
        for what, page in (("first screen", "/"), ("model page", "/models/churn")):
            size = sum(_sent(pool, ours + path) for path in (page, *PARTS)) / 1000
            limit = PAGE_BYTES / 1000
            rows.append(
                Row(
                    what=f"{what} with its parts, sent",
                    peer="the limit",
                    ours=size,
                    theirs=limit,
                    limit=1,
                    unit="kB",
                )
            )
        rows += _comparisons(pool, ours)
        pool.clear()
        rows += _on_a_slow_link(ours)
    return rows


def _comparisons(pool: urllib3.PoolManager, url: str) -> list[Row]:
    """Measure the page of a comparison: of rows that are compared for the first time, and again."""

    def page(candidate: int) -> float:
        started = time.perf_counter()
        there = f"{url}/models/judged/compare?baseline=1&candidate={candidate}"
        answer = pool.request("GET", there)
        assert b"What they answer" in answer.data
        return time.perf_counter() - started

    page(2)  # imports
    first = statistics.median(page(3 + i) for i in range(CANDIDATES))
    again = statistics.median(page(3 + i) for i in range(CANDIDATES))
    what = f"comparison of {ROWS:,} rows"
    limit = "the limit"
    return [
        Row(what=f"{what}, new", peer=limit, ours=first, theirs=FIRST_COMPARISON_S, limit=1),
        Row(what=f"{what}, again", peer=limit, ours=again, theirs=PAGE_S, limit=1),
    ]


def _on_a_slow_link(url: str) -> list[Row]:
    if find_chromium() is None:
        print("NOT MEASURED: pages on a slow link need chromium", file=sys.stderr)
        return []
    pages = {
        "first screen": "/",
        "model page, 500 versions": "/models/churn",
        "comparison": "/models/judged/compare?baseline=1&candidate=2",
    }
    with browsing() as browser:
        return [
            Row(
                what=f"{what}, slow link",
                peer="the limit",
                ours=content_after(browser, url + path, repeats=5),
                theirs=SLOW_PAGE_S,
                limit=1,
            )
            for what, path in pages.items()
        ]


def _sent(pool: urllib3.PoolManager, url: str) -> int:
    """Return how many bytes the body of an answer has on its way."""
    headers = {"Accept-Encoding": "gzip"}
    return len(pool.request("GET", url, headers=headers, decode_content=False).data)


def _fill(folder: Path, n_models: int, n_versions: int) -> detent.Registry:
    registry = make_registry(folder)
    for i in range(n_models - 2):  # a first screen full of what it shows
        name = f"model-{i:04}"
        add_version_rows(registry._stores, name, EVALUATED)
        add_evaluation_rows(registry._stores, name, EVALUATED)
        registry.activate(f"{name}/{EVALUATED}", "production", reason="weekly retrain")
    add_version_rows(registry._stores, "churn", n_versions)
    registry.activate("churn/50", "production", reason="weekly retrain")
    registry.activate("churn/51", "production", reason="weekly retrain")
    X, y = make_classification(2 * ROWS, 8, n_informative=4, flip_y=0.1, random_state=0)
    slices = {"region": [f"region {i % 6}" for i in range(ROWS)]}
    for i in range(CANDIDATES + 2):
        model = LogisticRegression(C=10.0**-i).fit(X[: 1000 + i], y[: 1000 + i])
        version = registry.register("judged", model, code=folder)
        registry.evaluate(version, X[ROWS:], y[ROWS:], dataset="holdout", slices=slices)
    return registry


def _versions_statement() -> str:
    from detent.metadata.statements import _VERSION

    columns = _VERSION.format(concat="group_concat(a.name, ' ')")
    return f"""SELECT {columns} FROM version v WHERE v.model = 'churn' AND v.deleted_at IS NULL
        ORDER BY v.number DESC LIMIT 21"""


def _plain(path: Path, statement: str) -> FastAPI:
    app = FastAPI()
    here = threading.local()

    @app.get("/versions")
    def versions() -> list[list[Any]]:
        if not hasattr(here, "connection"):
            here.connection = sqlite3.connect(path, isolation_level=None)
        return [list(row) for row in here.connection.execute(statement)]

    return app
