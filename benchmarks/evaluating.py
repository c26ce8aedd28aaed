"""Evaluating a Parquet data set larger than one would hold: time, and memory of all processes.

The peer is what one would write by hand: pyarrow's batches, `predict_proba` on each, and the four
usual metrics with NumPy at the end. It keeps no outcome, digests nothing and gives no interval.
`DETENT_BENCH_ROWS=10000000` measures ten million rows.
"""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.linear_model import LogisticRegression

import detent
from benchmarks.measure import Row

N_ROWS = 1_000_000
N_COLUMNS = 20
GROUP_ROWS = 250_000
_STEP_S = 0.02

BY_HAND = """
import sys
import numpy as np
import pyarrow.parquet as pq
import detent

model = detent.connect(sys.argv[1], user="ana").load("churn/1")
names = [f"x{i}" for i in range(int(sys.argv[3]))]
truth, scores = [], []
for batch in pq.ParquetFile(sys.argv[2]).iter_batches(65_536):
    frame = batch.to_pandas()
    truth.append(frame["y"].to_numpy())
    scores.append(model.predict_proba(frame[names])[:, 1])
y, p = np.concatenate(truth), np.concatenate(scores)
answer = (p > 0.5).astype(y.dtype)
f1 = []
for label in (0, 1):
    right = np.count_nonzero((y == label) & (answer == label))
    f1.append(2 * right / (np.count_nonzero(y == label) + np.count_nonzero(answer == label)))
order = np.argsort(p)
ranks = np.empty(len(p))
ranks[order] = np.arange(1, len(p) + 1)
n_positive = np.count_nonzero(y)
auc = (ranks[y == 1].sum() - n_positive * (n_positive + 1) / 2) / (
    n_positive * (len(y) - n_positive)
)
q = np.clip(p, 1e-15, 1 - 1e-15)
loss = -np.mean(np.where(y == 1, np.log(q), np.log1p(-q)))
print((y == answer).mean(), np.mean(f1), loss, auc)
"""

IN_BLOCKS = """
import sys
import detent

found = detent.connect(sys.argv[1], user="ana").evaluate(
    "churn/1", data=sys.argv[2], target="y", on=sys.argv[4] or None
)
print(*(metric.value for metric in found.metrics))
"""

WHOLE = """
import sys
import pandas
import detent

rows = pandas.read_parquet(sys.argv[2])
y = rows.pop("y")
found = detent.connect(sys.argv[1], user="ana").evaluate("churn/1", rows, y, dataset="whole")
print(*(metric.value for metric in found.metrics))
"""


def measure(folder: Path) -> list[Row]:
    n = int(os.environ.get("DETENT_BENCH_ROWS", N_ROWS))
    registry, data = str(folder / "registry"), str(folder / "rows.parquet")
    _write(data, n)
    _register(registry, data)
    runs: dict[str, tuple[float, float, list[float]]] = {}
    for name, source, engine in (
        ("by hand", BY_HAND, ""),
        ("in blocks", IN_BLOCKS, ""),
        ("on Ray", IN_BLOCKS, "ray"),
        ("as a table", WHOLE, ""),
    ):
        runs[name] = _run(source, registry, data, str(N_COLUMNS), engine)
        seconds, megabytes, metrics = runs[name]
        report = {"seconds": round(seconds, 1), "megabytes": round(megabytes), "metrics": metrics}
        print(f"  {name}: {json.dumps(report)}", file=sys.stderr)
    assert runs["in blocks"][2] == runs["on Ray"][2] == runs["as a table"][2]
    np.testing.assert_allclose(runs["in blocks"][2], runs["by hand"][2], rtol=1e-6)
    rows = []
    for name, limits in (
        ("in blocks", (4.0, 1.0)),
        ("on Ray", (None, None)),
        ("as a table", (None, None)),
    ):
        for what, place, unit in (("time", 0, "s"), ("peak memory", 1, "MB")):
            rows.append(
                Row(
                    what=f"evaluate {n:,} rows {name}, {what}",
                    peer="by hand with pyarrow and NumPy",
                    ours=float(runs[name][place]),  # type: ignore[arg-type]  # time, memory
                    theirs=float(runs["by hand"][place]),  # type: ignore[arg-type]
                    limit=limits[place],
                    unit=unit,
                )
            )
    return rows


def _write(path: str, n: int) -> None:
    rng = np.random.default_rng(0)
    writer: Any = None
    for start in range(0, n, GROUP_ROWS):
        rows = rng.normal(size=(min(GROUP_ROWS, n - start), N_COLUMNS)).astype("f4").astype("f8")
        y = (rows[:, 0] + rng.normal(size=len(rows)) > 0).astype(np.int64)
        table = pa.table({f"x{i}": rows[:, i] for i in range(N_COLUMNS)} | {"y": y})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()


def _register(registry: str, data: str) -> None:
    few = next(pq.ParquetFile(data).iter_batches(5_000)).to_pandas()
    y = few.pop("y")
    model = LogisticRegression().fit(few, y)
    detent.connect(registry, user="ana").register("churn", model, sample=few[:20], code="/")


def _run(source: str, *arguments: str) -> tuple[float, float, list[float]]:
    """Return the seconds of a process, the most MB that it and its children held, and its answer.

    What processes share is counted once for each in resident size; so what counts is the
    proportional size, where the system tells it.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", source, *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )
    most = [0.0]
    watching = threading.Thread(target=_watch, args=(psutil.Process(process.pid), most))
    watching.start()
    answer, _ = process.communicate()
    watching.join()
    assert process.returncode == 0
    return time.perf_counter() - started, most[0], [float(word) for word in answer.split()]


def _watch(process: psutil.Process, most: list[float]) -> None:
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        total = 0
        for one in _tree(process):
            try:
                info = one.memory_full_info()
                total += getattr(info, "pss", info.rss)
            except psutil.Error:  # it has ended
                continue
        most[0] = max(most[0], total / 1e6)
        time.sleep(_STEP_S)


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []
