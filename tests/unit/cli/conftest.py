"""A registry in the test's folder, and commands run in this process."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from tests.servers.ceph import Bucket

import detent
from detent.cli import main
from detent.opening import open_stores
from detent.server.app import make_app
from detent.settings import read_settings
from detent.testing.blobs import spoil_file
from detent.testing.servers import serving


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("DETENT_USER", "ana")
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: str) -> Result:
        capsys.readouterr()
        code = main(arguments)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture
def folder(tmp_path: Path) -> detent.Registry:
    """Return a registry in .detent/: churn/1 to churn/3 registered, 1 and then 2 in production."""
    return fill(detent.connect(tmp_path / ".detent", user="ana"), tmp_path)


def fill(registry: detent.Registry, folder: Path) -> detent.Registry:
    for number in (1, 2, 3):
        path = folder / f"model{number}.bin"
        path.write_bytes(b"weights" * number)
        registry.register_file("churn", path, note=f"run {number}")
    registry.activate("churn/1", "production", reason="the first one")
    registry.activate("churn/2", "production", reason="weekly retrain")
    return registry


@pytest.fixture(params=["folder", "server", "postgres and s3"])
def registry(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[detent.Registry]:
    """Return a registry as that of `folder`: commands find it there, at a server, or afar."""
    if request.param == "postgres and s3":
        url = request.getfixturevalue("postgres_url")
        bucket: Bucket = request.getfixturevalue("bucket")
        monkeypatch.setenv("DETENT_URL", url)
        monkeypatch.setenv("DETENT_BLOBS", bucket.url)
        yield fill(detent.connect(url, user="ana"), tmp_path)
        return
    folder: detent.Registry = request.getfixturevalue("folder")
    if request.param == "folder":
        yield folder
        return
    stores = open_stores(read_settings(url=str(tmp_path / ".detent"), user="server"))
    with serving(make_app(stores)) as url:
        monkeypatch.setenv("DETENT_URL", url)
        yield folder


@pytest.fixture
def spoil(
    registry: detent.Registry, request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[[str, bytes], None]:
    """Return what replaces the bytes of a blob, behind the registry's back."""
    if "bucket" in request.fixturenames:
        bucket: Bucket = request.getfixturevalue("bucket")
        return bucket.spoil
    return partial(spoil_file, tmp_path / ".detent" / "blobs")
