"""Whether a model with very many versions is read as quickly as one with few."""

from collections.abc import Callable
from pathlib import Path

import detent
from benchmarks.measure import Row, interleave
from benchmarks.registries import make_registry
from detent.testing.rows import add_version_rows


def measure(
    folder: Path, *, repeats: int = 31, sizes: tuple[int, ...] = (10_000, 100_000)
) -> list[Row]:
    few = make_registry(folder / "few")
    add_version_rows(few._stores, "churn", 100)
    few.activate("churn/50", "production")
    rows = []
    for n in sizes:
        many = make_registry(folder / f"many-{n}")
        add_version_rows(many._stores, "churn", n)
        many.activate(f"churn/{n // 2}", "production")
        for what, search in (
            ("resolve", None),
            ("latest 20", ""),
            ("search by note, 1 found", "retrain {third}"),
            ("search by note, 20 of all", "weekly retrain"),
        ):
            mine, other = interleave(
                _question(many, n, search), _question(few, 100, search), repeats=repeats, inner=20
            )
            rows.append(
                Row(
                    what=f"{what}, {n:,} versions",
                    peer="the same in 100",
                    ours=mine,
                    theirs=other,
                    limit=2,
                )
            )
    return rows


def _question(registry: detent.Registry, n: int, search: str | None) -> Callable[[], object]:
    if search is None:
        return lambda: registry.version("churn@production")
    words = search.format(third=n // 3)
    return lambda: registry.versions("churn", search=words, limit=20)
