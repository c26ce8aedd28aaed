"""What a server costs: its answers beside a minimal route that runs the same SQL, and its pages."""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import urllib3
from fastapi import FastAPI

import detent
from benchmarks.measure import Row, interleave
from benchmarks.registries import add_rows, make_registry
from detent.registry.stores import change
from detent.testing.servers import serving
from detent.web.pages import make_site

PAGE_BYTES = 60_000  # of the first screen, as it is sent
PAGE_S = 0.5  # for a page on the same machine
PARTS = ("/static/style.css", "/static/page.js", "/static/mark.svg")


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
        pool.clear()
    return rows


def _sent(pool: urllib3.PoolManager, url: str) -> int:
    """Return how many bytes the body of an answer has on its way."""
    headers = {"Accept-Encoding": "gzip"}
    return len(pool.request("GET", url, headers=headers, decode_content=False).data)


def _fill(folder: Path, n_models: int, n_versions: int) -> detent.Registry:
    registry = make_registry(folder)
    with change(registry._stores) as step:
        for i in range(n_models - 1):
            step.tables.insert_model(f"model-{i:04}", at_us=step.at_us, actor=step.actor)
    add_rows(registry, "churn", n_versions)
    registry.activate("churn/50", "production", reason="weekly retrain")
    registry.activate("churn/51", "production", reason="weekly retrain")
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
