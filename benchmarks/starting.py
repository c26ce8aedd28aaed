"""How long it takes until a command answers, and what an import costs."""

import sys
from pathlib import Path

import detent
from benchmarks.measure import Row, interleave, peak_memory, process
from benchmarks.registries import add_versions, make_registry


def measure(folder: Path, *, repeats: int = 21) -> list[Row]:
    python = sys.executable
    command = str(Path(python).with_name("detent"))
    registry = make_registry(folder / "starting")
    add_versions(registry, "churn", 3)
    registry.activate("churn/2", "production", reason="weekly retrain")
    url = f"--url={folder / 'starting'}"

    ours, theirs = interleave(
        process(python, "-c", "import detent"),
        process(python, "-c", "import numpy"),
        repeats=repeats,
    )
    rows = [
        Row(what="import detent", peer="import numpy", ours=ours, theirs=theirs, limit=2),
        Row(
            what="import detent, memory",
            peer="import numpy",
            ours=peak_memory("import detent"),
            theirs=peak_memory("import numpy"),
            limit=None,
            unit="MB",
        ),
    ]
    for arguments in ((url, "status"), ("--help",)):
        ours, theirs = interleave(
            process(command, *arguments), process(python, "-c", "pass"), repeats=repeats
        )
        what = f"detent {arguments[-1]}"
        rows.append(Row(what=what, peer="python -c pass", ours=ours, theirs=theirs, limit=4))
    assert detent.connect(folder / "starting").version("churn@production").number == 2
    return rows
