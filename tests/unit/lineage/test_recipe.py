"""The command that ran is recorded, its secrets are not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from detent.lineage.recipe import is_secret_name, recipe, running_script, without_secrets

RECORD = "import json; from detent.lineage.recipe import recipe; print(json.dumps(recipe()))"


def run(*arguments: str, cwd: Path) -> list[str]:
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)
    found: list[str] = json.loads(done.stdout)
    return found


def test_a_script_with_its_arguments(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(RECORD)
    found = run("-W", "ignore", "train.py", "--lr", "0.1", "--token=s3cr3t", cwd=tmp_path)
    assert found == ["python", "-W", "ignore", "train.py", "--lr", "0.1", "--token=***"]


def test_a_module_with_its_arguments(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "train.py").write_text(RECORD)
    assert run("-m", "shop.train", "x", cwd=tmp_path) == ["python", "-m", "shop.train", "x"]


def test_no_script_is_no_recipe(tmp_path: Path) -> None:
    assert run("-c", RECORD, cwd=tmp_path) == []


def test_an_installed_tool_is_no_recipe() -> None:
    assert running_script() is None, "pytest runs these tests"
    assert recipe() == ()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["--password", "s3cr3t", "x"], ["--password", "***", "x"]),
        (["--db-password=s3cr3t"], ["--db-password=***"]),
        (["--API_KEY", "s3cr3t"], ["--API_KEY", "***"]),
        (["--apiToken", "s3cr3t"], ["--apiToken", "***"]),
        (["-token", "-s3cr3t"], ["-token", "***"]),
        (["db.password=s3cr3t"], ["db.password=***"]),
        (["+auth=s3cr3t"], ["+auth=s3cr3t"]),
        (["--auth=s3cr3t"], ["--auth=***"]),
        (["AWS_SECRET_ACCESS_KEY=s3cr3t"], ["AWS_SECRET_ACCESS_KEY=***"]),
        (["postgresql://ana:s3cr3t@db/x"], ["postgresql://***@db/x"]),
        (["--url=https://ana:s3cr3t@h/p"], ["--url=https://***@h/p"]),
        (["https://h/p.csv?sig=s3cr3t&x=1"], ["https://h/p.csv?***"]),
        (["password", "x"], ["password", "x"]),
        (["--token-pattern=a", "--author=ana", "--key=id"], None),
        (["--n", "3", "a=b=c", "me@example.org", "--flag", ""], None),
    ],
)
def test_values_that_look_secret_are_left_out(given: list[str], kept: list[str] | None) -> None:
    assert list(without_secrets(given)) == (given if kept is None else kept)


def test_names_of_secrets() -> None:
    assert is_secret_name("clf__client_secret")
    assert not is_secret_name("author")
