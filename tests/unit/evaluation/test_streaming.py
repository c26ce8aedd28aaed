"""Files of rows larger than memory give, to the bit, what the same rows in memory do."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import LinearSVC

import detent
from detent.data.blocks import BLOCK_ROWS
from detent.data.parquet import ParquetRows

N = 2 * BLOCK_ROWS + 901
FEATURES = [f"x{i}" for i in range(5)]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    made = pd.DataFrame(rng.normal(size=(N, 5)), columns=FEATURES)
    made["customer"] = rng.integers(0, 500, N)
    made["row"] = np.arange(N)
    made["weight"] = rng.uniform(size=N)
    noise = made["x0"] + rng.normal(size=N)
    made["label"] = (noise > 0).astype(int)
    made["word"] = np.where(noise > 0, "churned", "stays")
    made["number"] = noise
    return made


@pytest.fixture(scope="module")
def registry(frame: pd.DataFrame) -> detent.Registry:
    registry = detent.connect("memory:", user="ana")
    few = frame[:400]
    for name, target, models in (
        (
            "label",
            "label",
            [
                LogisticRegression(),
                HistGradientBoostingClassifier(max_iter=5),
                RandomForestClassifier(n_estimators=3, random_state=0),
                LinearSVC(),
            ],
        ),
        ("word", "word", [LogisticRegression()]),
        ("number", "number", [Ridge()]),
    ):
        for model in models:
            fitted = model.fit(few[FEATURES], few[target])
            registry.register(name, fitted, sample=few[FEATURES][:20], code="/")
    return registry


@pytest.mark.parametrize("target", ["label", "word", "number"])
@pytest.mark.parametrize("options", [{}, {"groups": "customer"}, {"sample_weight": "weight"}])
def test_a_file_and_a_table_agree_to_the_bit(
    registry: detent.Registry, frame: pd.DataFrame, target: str, options: dict[str, Any]
) -> None:
    columns = [*FEATURES, "row", target, *options.values()]
    frame[columns].to_parquet("rows.parquet", row_group_size=5_003)
    versions = [str(version) for version in registry.versions(target)]
    slices = {"x1": [-0.5, 0.5]}
    found = registry.evaluate(
        versions, data="rows.parquet", target=target, ids="row", slices=slices, **options
    )
    whole = pd.read_parquet("rows.parquet")
    weight = whole.pop("weight") if "sample_weight" in options else None
    y = whole.pop(target)
    for version, ours in zip(versions, found, strict=True):
        theirs = registry.evaluate(
            version,
            whole,
            y,
            dataset="rows",
            ids="row",
            slices=slices,
            groups=options.get("groups"),
            sample_weight=weight,
        )
        assert ours.metrics == theirs.metrics
        assert ours.outcomes == theirs.outcomes
        assert ours.dataset_digest == theirs.dataset_digest
        assert (ours.dataset, ours.n_rows) == ("rows", N)


def test_versions_evaluated_in_one_pass_are_compared(
    registry: detent.Registry, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame[[*FEATURES, "label"]].to_parquet("rows.parquet", row_group_size=3_000)
    passes = []
    real = ParquetRows.blocks

    def counted(self: ParquetRows, *bounds: Any) -> Any:
        passes.append(bounds)
        return real(self, *bounds)

    monkeypatch.setattr(ParquetRows, "blocks", counted)
    told: list[tuple[int, int]] = []
    found = registry.evaluate(
        ("label/1", "label/2", registry.version("label/3")),
        data="rows.parquet",
        target="label",
        progress=lambda *rows: told.append(rows),
    )
    assert [one.version for one in found] == [1, 2, 3]
    assert passes.count(()) == 1, "beside some blocks, to see what the rows are like"
    assert told == [(BLOCK_ROWS, N), (2 * BLOCK_ROWS, N), (N, N)]
    compared = registry.compare("label/1", "label/2", dataset="rows")
    assert compared.n_rows == N
    assert len({one.dataset_digest for one in found}) == 1


def test_errors_come_before_anything_is_recorded(
    registry: detent.Registry, frame: pd.DataFrame
) -> None:
    before = len(registry.audit())
    frame[[*FEATURES, "label"]].to_parquet("rows.parquet")

    def refused(match: str, kind: type[detent.DetentError], **changes: Any) -> None:
        options: dict[str, Any] = {"data": "rows.parquet", "target": "label"}
        with pytest.raises(kind, match=match):
            registry.evaluate(**{"reference": "label/1"} | options | changes)
        assert len(registry.audit()) == before

    refused("no column `labels`; did you mean `label`", detent.NotFoundError, target="labels")
    refused("no version 99", detent.NotFoundError, reference=["label/1", "label/99"])
    refused("no version was named", detent.InvalidError, reference=[])
    refused("by X and y", detent.InvalidError, target=None)
    refused("what to evaluate on", detent.InvalidError, data=None, target=None)
    refused("no engine `spark`", detent.NotFoundError, on="spark")
    refused("no column `region` to slice by", detent.InvalidError, slices=["region"])
    holes = frame[[*FEATURES, "label"]].copy()
    holes.loc[N - 1, "x0"] = float("nan")
    holes.to_parquet("holes.parquet")
    refused("could not predict these rows", detent.InvalidError, data="holes.parquet")
    with pytest.raises(detent.InvalidError, match="have no name"):
        registry.evaluate("label/1", frame[FEATURES], frame["label"])


def test_a_compiled_form_is_checked_on_every_block(frame: pd.DataFrame) -> None:
    pytest.importorskip("treelite")
    registry = detent.connect("memory:", user="ana")
    forest = RandomForestClassifier(n_estimators=3, random_state=0)
    few = frame[:400]
    forest.fit(few[FEATURES], few["label"])
    registry.register("forest", forest, sample=few[FEATURES][:20], compile="treelite", code="/")
    frame[[*FEATURES, "label"]].to_parquet("rows.parquet")
    assert registry.evaluate("forest/1", data="rows.parquet", target="label").n_rows == N


CHILD = """
import resource, sys
import pandas, pyarrow.parquet
import detent

def size(name):
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024

how, folder, allowed = sys.argv[1], sys.argv[2], int(sys.argv[3])
registry = detent.connect("registry", user="ana")

def in_blocks(data):
    return registry.evaluate("wide/1", data=data, target="y")

def whole(data):
    rows = pandas.read_parquet(data)
    return registry.evaluate("wide/1", rows.drop(columns="y"), rows["y"], dataset="whole")

in_blocks("few.parquet")  # what is imported and allocated once is no matter of the rows
start = size("VmRSS")
resource.setrlimit(resource.RLIMIT_AS, (size("VmSize") + allowed,) * 2)
with open("/proc/self/clear_refs", "w") as stream:
    stream.write("5")  # the largest size is measured from here on
try:
    evaluation = {"blocks": in_blocks, "whole": whole}[how](folder)
except MemoryError:
    print("no room")
else:
    print(evaluation.n_rows, size("VmHWM") - start)
"""


@pytest.mark.folder
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells the size")
def test_a_data_set_ten_times_the_memory_allowed_is_evaluated(tmp_path: Path) -> None:
    """The kernel allows this much more than the process has; whole, the rows do not fit in."""
    n_files, n, n_columns = 20, 30_000, 250
    rng = np.random.default_rng(0)
    names = [f"x{i}" for i in range(n_columns)]
    rows = pd.DataFrame(rng.integers(0, 100, (n, n_columns)).astype(np.float64), columns=names)
    rows["y"] = (rows["x0"] > 50).astype(int)
    registry = detent.connect("registry", user="ana")
    model = LogisticRegression(max_iter=20, tol=1.0).fit(rows[names][:500], rows["y"][:500])
    registry.register("wide", model, sample=rows[names][:5], code="/")
    rows[:9_000].to_parquet("few.parquet")
    first = tmp_path / "many" / "0.parquet"
    first.parent.mkdir()
    rows.to_parquet(first, row_group_size=10_000)
    for k in range(1, n_files):
        (first.parent / f"{k}.parquet").hardlink_to(first)
    size = n_files * n * (n_columns + 1) * 8
    allowed = size // 10

    def child(how: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-c", CHILD, how, str(first.parent), str(allowed)],
            capture_output=True,
            text=True,
            check=False,
        )

    result = child("blocks")
    assert result.returncode == 0, result.stderr
    n_rows, grown = map(int, result.stdout.split())
    assert n_rows == n_files * n
    assert grown < allowed
    assert str(n_rows) not in child("whole").stdout  # it says so, or ends in the middle
