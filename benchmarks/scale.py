"""Whether a model with very many versions is read as quickly as one with few."""

from pathlib import Path

from benchmarks.measure import Row, interleave
from benchmarks.registries import add_rows, make_registry


def measure(
    folder: Path, *, repeats: int = 31, sizes: tuple[int, ...] = (10_000, 100_000)
) -> list[Row]:
    few = make_registry(folder / "few")
    add_rows(few, "churn", 100)
    few.activate("churn/50", "production")
    rows = []
    for n in sizes:
        many = make_registry(folder / f"many-{n}")
        add_rows(many, "churn", n)
        many.activate(f"churn/{n // 2}", "production")
        questions = {
            "resolve": (
                lambda many=many: many.version("churn@production"),
                lambda: few.version("churn@production"),
            ),
            "latest 20": (
                lambda many=many: many.versions("churn", limit=20),
                lambda: few.versions("churn", limit=20),
            ),
            "search by note, 1 found": (
                lambda many=many, n=n: many.versions("churn", search=f"retrain {n // 3}", limit=20),
                lambda: few.versions("churn", search="retrain 33", limit=20),
            ),
            "search by note, 20 of all": (
                lambda many=many: many.versions("churn", search="weekly retrain", limit=20),
                lambda: few.versions("churn", search="weekly retrain", limit=20),
            ),
        }
        for what, (ours, theirs) in questions.items():
            mine, other = interleave(ours, theirs, repeats=repeats, inner=20)
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
