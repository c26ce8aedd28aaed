"""A version is rebuilt from its lineage: code, data and command as they were."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import detent
from detent.cli import main

SCRIPT = """
import sys
import numpy as np
from sklearn.linear_model import SGDClassifier
import detent

rows = np.loadtxt("data/rows.csv", delimiter=",")
X, y = rows[:, :-1], rows[:, -1].astype(int)
seed = None if sys.argv[2] == "none" else int(sys.argv[2])
registry = detent.connect(sys.argv[1], user="ana")
for strength in (0.1, 0.001):
    model = SGDClassifier(alpha=strength, random_state=seed, max_iter=MAX).fit(X, y)
    version = registry.register("churn", model, sample=X[:20], data="data/rows.csv")
registry.activate(version, "production")
"""

Train = Callable[..., detent.Registry]


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=ana", "-c", "user.email=ana@example.org")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def write_rows(repository: Path, shift: float = 0.0) -> None:
    rows = [f"{i % 7 + shift},{i % 5},{int(i % 7 > 3)}" for i in range(100)]
    (repository / "churn" / "data").mkdir(exist_ok=True)
    (repository / "churn" / "data" / "rows.csv").write_text("\n".join(rows))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    (folder / "churn").mkdir(parents=True)
    git(folder, "init", "--quiet")
    (folder / ".gitignore").write_text("data/\n")
    (folder / "churn" / "train.py").write_text(SCRIPT.replace("MAX", "20"))
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "Train")
    write_rows(folder)
    return folder


@pytest.fixture
def train(tmp_path: Path, repository: Path) -> Train:
    def run(*arguments: str) -> detent.Registry:
        location = str(tmp_path / "registry")
        command = [sys.executable, "train.py", location, *arguments]
        subprocess.run(command, cwd=repository / "churn", check=True, capture_output=True)
        return detent.connect(location, user="bo")

    return run


def test_the_same_code_and_data_give_the_same_bytes(
    train: Train, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = repository / "churn" / "train.py"
    path.write_text(path.read_text().replace("max_iter=20", "max_iter=25"))  # in no commit
    registry = train("7")
    head = registry.audit(verify=True).head
    path.write_text("raise SystemExit('this is what lies there now')")
    monkeypatch.chdir(repository / "churn")
    plan = registry.plan_reproduction("churn/2")
    assert plan.patch is not None
    assert plan.packages == ()
    told: list[str] = []
    found = registry.reproduce("churn/2", tell=told.append)
    assert (found.likeness, found.causes) == (detent.Likeness.SAME_BYTES, ())
    assert found.rebuilt == registry.version("churn/2").digest
    assert told == [f"checking out {plan.commit[:12]}", f"running {' '.join(plan.command)}"]
    assert found.folder is None
    assert registry.audit(verify=True).head == head, "the registry was written to"


def test_other_data_are_named_as_the_cause(
    train: Train, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = train("7")
    write_rows(repository, shift=3.0)
    monkeypatch.chdir(repository / "churn")
    found = registry.reproduce("churn/1", folder=tmp_path / "again")
    assert found.likeness is detent.Likeness.DIFFERS
    assert not found.is_same
    assert found.n_rows == 20
    assert found.largest_difference
    assert found.causes[0].startswith("data: "), found.causes
    assert found.folder == str(tmp_path / "again")
    with pytest.raises(detent.InvalidError, match="is not empty; nothing was done"):
        registry.reproduce("churn/1", folder=tmp_path / "again")


def test_the_command_line_asks_before_it_runs_what_somebody_wrote(
    train: Train,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    registry = train("none")
    monkeypatch.chdir(repository / "churn")
    monkeypatch.setenv("DETENT_URL", registry.location)
    assert main(["reproduce", "churn/1", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert f"python train.py {registry.location} none" in out
    assert "no seed was recorded" in out
    assert main(["reproduce", "churn/1"]) == 2
    assert "will run here" in capsys.readouterr().err
    assert main(["reproduce", "churn/1", "--yes", "--json"]) == 7
    found = json.loads(capsys.readouterr().out)["reproduction"]
    assert found["likeness"] == "differs"
    assert found["causes"] == ["no seed was recorded: training may be random"]


def test_what_is_missing_is_said_before_anything_runs(
    train: Train, repository: Path, tmp_path: Path
) -> None:
    registry = train("7")
    with pytest.raises(detent.NotFoundError, match="there is no commit"):
        registry.reproduce("churn/1", repository=tmp_path)
    registry.register("churn", registry.load("churn/1").set_params(tol=0.5), code="/")
    with pytest.raises(detent.InvalidError, match="its lineage names no commit"):
        registry.plan_reproduction("churn/3")
    registry.register("churn", registry.load("churn/1").set_params(tol=0.6), code=repository)
    with pytest.raises(detent.InvalidError, match="not registered by a script"):
        registry.plan_reproduction("churn/4")


def test_a_command_that_fails_shows_its_last_lines(
    train: Train, repository: Path, tmp_path: Path
) -> None:
    registry = train("7")
    (repository / "churn" / "data" / "rows.csv").unlink()
    with pytest.raises(detent.InvalidError, match=r"(?s)ended with 1: .*rows\.csv not found"):
        registry.reproduce("churn/1", repository=repository, folder=tmp_path / "again")


@pytest.mark.slow
def test_packages_that_are_not_here_are_installed(
    train: Train, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = train("7")
    monkeypatch.chdir(repository / "churn")
    monkeypatch.setattr("detent.reproduction.plan.version", lambda _: "0.0.1")
    assert registry.plan_reproduction("churn/1").packages
    found = registry.reproduce("churn/1")
    assert found.is_same, found
