"""Ray, started once for this file: numbers as in one process, and replicas that a change awaits."""

import gc
import json
import logging
import os
import sys
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from tests.serving.conftest import free_port, make_registry, rows, tensor

import detent
from detent.cli import main
from detent.data.blocks import BLOCK_ROWS

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("default"),  # what Ray warns of is not ours to mend
]

N = 5 * BLOCK_ROWS + 1234
MODELS = """
import os

class Noting:
    def __init__(self):
        self.classes_ = [0, 1]

    def __setstate__(self, state):
        self.__dict__.update(state)
        with open(os.environ["DETENT_TEST_LOADS"], "a") as stream:
            stream.write(f"{os.getpid()}\\n")

    def predict(self, X):
        return (X["x0"] > 0).astype(int)

class Ending(Noting):
    def predict(self, X):
        if len(X) > 1000:
            os._exit(3)
        return super().predict(X)
"""


@pytest.fixture(scope="module")
def loads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the file in which each loading of a `Noting` writes its process."""
    folder = tmp_path_factory.mktemp("ray-models")
    (folder / "noting.py").write_text(MODELS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", str(folder))
        patch.setenv("DETENT_TEST_LOADS", str(folder / "loads"))
        yield folder / "loads"


@pytest.fixture(scope="module", autouse=True)
def cluster(loads: Path) -> Iterator[None]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _node_ip_address="127.0.0.1",
    )
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        ray.shutdown()
        gc.collect()  # files that Ray leaves open are not for the next test to find


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    made = pd.DataFrame(rng.normal(size=(N, 8)), columns=[f"x{i}" for i in range(8)])
    made["row"] = np.arange(N)
    noise = rng.normal(size=N)
    made["churned"] = np.where(made["x0"] + noise > 0, "yes", "no")
    return made


@pytest.fixture(scope="module")
def data(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a folder of two files, whose row groups do not end where blocks do."""
    folder = tmp_path_factory.mktemp("rows") / "holdout"
    folder.mkdir()
    frame[: N // 3].to_parquet(folder / "1.parquet", row_group_size=5_000)
    frame[N // 3 :].to_parquet(folder / "2.parquet", row_group_size=11_111)
    return str(folder)


@pytest.fixture
def registry(frame: pd.DataFrame) -> detent.Registry:
    registry = detent.connect("memory:", user="ana")
    X, y = frame.iloc[:500, :8], frame["churned"][:500]
    for model in (
        LogisticRegression(),
        HistGradientBoostingClassifier(max_iter=5),
        RandomForestClassifier(n_estimators=5, random_state=0),
    ):
        registry.register("churn", model.fit(X, y), sample=X[:20], code="/")
    return registry


def test_several_versions_give_the_numbers_of_one_process(
    registry: detent.Registry, data: str, frame: pd.DataFrame
) -> None:
    versions = ["churn/1", "churn/2", "churn/3"]
    seen: list[tuple[int, int]] = []
    options: dict[str, Any] = {"data": data, "target": "churned", "ids": "row"}
    there = registry.evaluate(
        versions, on="ray", progress=lambda *told: seen.append(told), **options
    )
    here = registry.evaluate(versions, **options)
    for ours, theirs in zip(here, there, strict=True):
        assert theirs.metrics == ours.metrics
        assert theirs.outcomes == ours.outcomes
        assert theirs.dataset_digest == ours.dataset_digest
    assert {one.computed_on for one in here} == {None}
    assert all(str(one.computed_on).startswith("ray ") for one in there)
    assert registry.evaluations("churn")[-1].computed_on == there[0].computed_on
    assert seen[-1] == (N, N)
    assert registry.audit(verify=True).problems == ()


def test_each_actor_loads_a_version_once(
    registry: detent.Registry, data: str, frame: pd.DataFrame, loads: Path
) -> None:
    from noting import Noting  # type: ignore[import-not-found]  # made by `loads`

    numbers = frame.assign(churned=(frame["churned"] == "yes").astype(int))
    numbers.drop(columns="row").to_parquet("numbers.parquet", row_group_size=2_000)
    registry.register("noting", Noting(), format="joblib", sample=frame.iloc[:5, :8], code="/")
    loads.write_text("")
    registry.evaluate("noting/1", data="numbers.parquet", target="churned", on="ray", trusted=True)
    processes = loads.read_text().split()
    assert 1 <= len(processes) <= 2  # processors
    assert len(set(processes)) == len(processes)
    with pytest.raises(detent.RefusedError, match="joblib files can run any code"):
        registry.evaluate("noting/1", data="numbers.parquet", target="churned", on="ray")


def test_errors_of_a_worker_arrive_as_they_are(
    registry: detent.Registry, frame: pd.DataFrame
) -> None:
    holes = frame.drop(columns="row").copy()
    holes.loc[3 * BLOCK_ROWS + 5, "x3"] = float("nan")
    holes.to_parquet("holes.parquet", row_group_size=9_000)
    before = len(registry.audit())
    with pytest.raises(detent.InvalidError, match=r"could not predict these rows: .*NaN") as error:
        registry.evaluate("churn/1", data="holes.parquet", target="churned", on="ray")
    assert "nothing was recorded" in error.value.message
    with pytest.raises(detent.InvalidError, match="the workers read the rows"):
        registry.evaluate(
            "churn/1", frame.iloc[:, :8], frame["churned"], dataset="in memory", on="ray"
        )
    assert len(registry.audit()) == before


@pytest.mark.slow
def test_a_model_that_ends_its_process_is_not_asked_for_ever(
    registry: detent.Registry, frame: pd.DataFrame, loads: Path
) -> None:
    from noting import Ending

    numbers = frame.assign(churned=(frame["churned"] == "yes").astype(int)).drop(columns="row")
    numbers.to_parquet("numbers.parquet")
    registry.register("ending", Ending(), format="joblib", code="/")
    with pytest.raises(detent.UnavailableError, match="Ray did not answer"):
        registry.evaluate(
            "ending/1", data="numbers.parquet", target="churned", on="ray", trusted=True
        )


def test_the_command_line_takes_it(
    frame: pd.DataFrame, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = detent.connect("registry", user="ana")
    X, y = frame.iloc[:500, :8], frame["churned"][:500]
    for strength in (1.0, 0.1):
        model = LogisticRegression(C=strength).fit(X, y)
        registry.register("churn", model, sample=X[:20], code="/")
    arguments = ["--data", data, "--target", "churned", "--id", "row", "--on", "ray", "--json"]
    assert main(["evaluate", "churn/1", "churn/2", *arguments, "--url", "registry"]) == 0
    found = json.loads(capsys.readouterr().out)["evaluations"]
    assert [one["version"] for one in found] == [1, 2]
    assert {one["n_rows"] for one in found} == {N}


def test_a_rollback_returns_when_each_replica_answers_with_the_version_before(
    tmp_path: Path,
) -> None:
    from ray import serve

    from detent.integrations.ray import deployment

    registry = make_registry(tmp_path / "registry")  # holds version 2
    port = free_port()
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    try:
        app = deployment(
            "churn@production",
            url=registry.location,
            num_replicas=2,
            ray_actor_options={"num_cpus": 0},
        )
        serve.run(app, name="churn", route_prefix="/models")
        address = f"http://127.0.0.1:{port}/models/v2/models/churn/infer"

        def versions() -> set[tuple[str, str]]:
            return {ask(address) for _ in range(12)}

        assert versions() == {("2", "2")}
        assert len(registry.servers("churn@production")) == 2
        back = registry.rollback("churn@production").confirmation
        assert back is not None
        assert (back.servers, back.confirmed) == (2, 2)
        assert versions() == {("1", "1")}
        X, y = rows()
        third = registry.register("churn", LogisticRegression(C=5.0).fit(X, y), sample=X[:20])
        forth = registry.activate(third, "production").confirmation
        assert forth is not None
        assert forth.is_complete
        assert versions() == {("3", "3")}
    finally:
        serve.shutdown()  # type: ignore[no-untyped-call]  # Ray's
    assert registry.servers("churn@production") == []


def ask(address: str) -> tuple[str, str]:
    request = urllib.request.Request(address, json.dumps(tensor()).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.headers["detent-version"], json.load(answer)["model_version"]


def test_what_replicas_cannot_reach_is_refused() -> None:
    from detent.integrations.ray import deployment

    for url in ("memory:", "http://models.example"):
        with pytest.raises(detent.InvalidError, match="replicas cannot reach"):
            deployment("churn@production", url=url)
    with pytest.raises(detent.InvalidError, match="no alias"):
        deployment(url="registry")
    with pytest.raises(detent.InvalidError, match="names a version"):
        deployment("churn/7", url="registry")
    assert "ray" in sys.modules
