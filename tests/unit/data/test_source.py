"""Data are noted by digest, size and names."""

import hashlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from detent.data import source
from detent.data.source import describe_data, digest_source
from detent.data.table import digest_table
from detent.domain.manifest import Data
from detent.errors import (
    ConflictError,
    DetentError,
    InvalidError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)

ROWS = b"age,sex\n31,f\n" * 200_000  # more than one chunk


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


# Files


@pytest.mark.parametrize("form", [str, Path, Path.as_uri, lambda path: f"file:{path}"])
def test_a_file_is_known_by_its_bytes(tmp_path: Path, form: Any) -> None:
    path = tmp_path / "2026 02.csv"
    path.write_bytes(ROWS)
    assert digest_source(form(path)) == Data(
        name="2026 02", digest=sha256(ROWS), kind="file", size_bytes=len(ROWS), source=str(path)
    )


def test_a_path_with_a_colon_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s3:train").write_bytes(b"x")
    assert digest_source("s3:train").digest == sha256(b"x")


def test_a_folder_is_known_by_paths_and_digests(tmp_path: Path) -> None:
    for path, data in {"b.csv": b"2", "a/z.csv": b"1", "a.csv": b"3", ".hidden": b"4"}.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
    pairs = [(".hidden", b"4"), ("a.csv", b"3"), ("a/z.csv", b"1"), ("b.csv", b"2")]
    listed = json.dumps([[path, sha256(data)] for path, data in pairs], separators=(",", ":"))
    found = digest_source(tmp_path)
    assert (found.digest, found.size_bytes) == (sha256(listed.encode()), 4)
    assert found.name == tmp_path.name
    (tmp_path / "b.csv").rename(tmp_path / "c.csv")
    assert digest_source(tmp_path).digest != found.digest


def test_a_link_to_a_file_is_read_and_one_to_a_folder_is_not(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "real.csv").write_bytes(b"1")
    (tmp_path / "data" / "link.csv").symlink_to(tmp_path / "real.csv")
    assert digest_source(tmp_path / "data").size_bytes == 1
    (tmp_path / "data" / "again").symlink_to(tmp_path / "data")
    with pytest.raises(InvalidError, match="again` is a link to a folder"):
        digest_source(tmp_path / "data")


def test_a_broken_link_in_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "gone.csv")
    with pytest.raises(NotFoundError, match=r"link\.csv"):
        digest_source(tmp_path)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("no/such/file.csv", NotFoundError, "no/such/file.csv"),
        ("", InvalidError, "empty text is no path"),
        ("s3://lake/train.csv", InvalidError, "`s3:` addresses cannot be read"),
        ("FTP://host/train.csv", InvalidError, "`ftp:` addresses cannot be read"),
        ("file://host/train.csv", InvalidError, "another machine"),
        ("a\0b", InvalidError, "is no path"),
        ("a" * 5000, UnavailableError, "could not be read"),
        ("http://[half", InvalidError, "is no address"),
        ("http://host:port/", InvalidError, "is no address"),
    ],
)
def test_a_source_that_cannot_be_read_is_named(
    text: str, error: type[DetentError], said: str
) -> None:
    with pytest.raises(error) as caught:
        digest_source(text)
    assert said in caught.value.message


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="holds no file"):
        digest_source(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidError, match="neither a file nor a folder"):
        digest_source(tmp_path / "pipe")


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").touch(mode=0o000)
    with pytest.raises(RefusedError, match="may not be read"):
        digest_source(tmp_path / "secret.csv")


def and_then(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    """Let something happen at the moment when a file has been read."""
    read = source._digest_stream

    def read_and_change(stream: Any) -> tuple[str, int]:
        result = read(stream)
        change()
        return result

    monkeypatch.setattr(source, "_digest_stream", read_and_change)


@pytest.mark.parametrize("change", ["append", "rewrite", "replace", "remove"])
def test_a_file_that_changes_while_it_is_read_is_a_conflict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(b"before")
    os.utime(path, ns=(0, 0))
    (tmp_path / "other.csv").write_bytes(b"after!")
    os.utime(tmp_path / "other.csv", ns=(0, 0))
    changes = {
        "append": lambda: path.write_bytes(b"before."),
        "rewrite": lambda: path.write_bytes(b"after!"),
        "replace": lambda: (tmp_path / "other.csv").replace(path),
        "remove": path.unlink,
    }
    and_then(monkeypatch, changes[change])
    with pytest.raises(ConflictError, match="changed while it was read"):
        digest_source(path)


def test_a_folder_that_changes_while_it_is_read_is_a_conflict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_bytes(b"1")
    and_then(monkeypatch, (tmp_path / "b.csv").touch)
    with pytest.raises(ConflictError, match="came into or left"):
        digest_source(tmp_path)


# Addresses


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/moved.csv":
            self.send_response(302)
            self.send_header("Location", "/train.csv")
            self.end_headers()
        elif path.startswith("/status/"):
            self.send_error(int(path.removeprefix("/status/")))
        else:
            self.send_response(200)
            if path != "/unmeasured.csv":
                self.send_header("Content-Length", str(len(ROWS)))
            self.end_headers()
            self.wfile.write(ROWS[:1000] if path == "/broken.csv" else ROWS)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["train.csv", "moved.csv", "unmeasured.csv"])
def test_an_address_is_known_by_its_bytes(host: str, path: str) -> None:
    found = digest_source(f"http://{host}/{path}")
    assert (found.digest, found.size_bytes) == (sha256(ROWS), len(ROWS))
    assert (found.name, found.kind) == (path.removesuffix(".csv"), "file")
    assert found.source == f"http://{host}/{path}"


def test_what_may_be_secret_in_an_address_is_not_kept(host: str) -> None:
    assert digest_source(f"http://{host}/train.csv?token=s3cr3t#here").source == (
        f"http://{host}/train.csv"
    )
    for address in ("ana:s3cr3t@127.0.0.1/train.csv", "127.0.0.1/a b.csv?token=s3cr3t"):
        with pytest.raises(InvalidError) as caught:
            digest_source(f"http://{address}")
        assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "error", "said"),
    [
        ("broken.csv", UnavailableError, "stopped after 1,000 of 2600000 bytes"),
        ("status/404", NotFoundError, "HTTP 404"),
        ("status/403", RefusedError, "HTTP 403"),
        ("status/400", InvalidError, "HTTP 400"),
        ("status/503", UnavailableError, "HTTP 503"),
    ],
)
def test_an_address_that_does_not_give_its_bytes(
    host: str, path: str, error: type[DetentError], said: str
) -> None:
    with pytest.raises(error, match=said):
        digest_source(f"http://{host}/{path}")


def test_an_address_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "TIMEOUT_S", 0.05)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(UnavailableError, match="did not answer"),
    ):
        digest_source(f"http://127.0.0.1:{silent.getsockname()[1]}/train.csv")


# What a user passes

X = pd.DataFrame({"age": [31, 40], "sex": ["f", "m"]})
LABELS = ["yes", "no"]


def names(data: Any, name: str | None = None) -> list[str]:
    return [item.name for item in describe_data(data, name=name)]


def test_a_table_is_described_by_its_values() -> None:
    assert describe_data(X, name="train") == (
        Data(name="train", digest=digest_table(X), kind="table", n_rows=2, columns=("age", "sex")),
    )


def test_all_forms_of_data_have_names(tmp_path: Path) -> None:
    path = tmp_path / "2026-02.csv"
    path.write_bytes(b"1")
    known = Data(name="known", digest=sha256(b""), kind="file")
    assert names(None) == []
    assert names(known) == ["known"]
    assert names(X) == ["data"]
    assert names(path) == ["2026-02"]
    assert names(str(path), "train") == ["train"]
    assert names((X, LABELS)) == ["X", "y"]
    assert names((X, LABELS), "train") == ["train.X", "train.y"]
    assert names((X, None)) == ["X"]
    assert names({"train": (X, LABELS), "raw": path}) == ["train.X", "train.y", "raw"]
    assert names([path, X, known]) == ["2026-02", "data[1]", "known"]
    assert names([path, path], "train") == ["train[0]", "train[1]"]
    assert names([1.5, np.int64(2)]) == ["data"]
    assert names([[1, 2], [3, 4]]) == ["data"]
    assert names([]) == ["data"]


def test_a_list_of_texts_is_paths_but_for_labels() -> None:
    assert describe_data((X, LABELS))[1].digest == digest_table(LABELS)
    with pytest.raises(NotFoundError, match="yes"):
        describe_data(LABELS)


@pytest.mark.parametrize("data", [object(), 5, (X, X, X), [X, 5]])
def test_what_is_no_data_is_refused(data: Any) -> None:
    with pytest.raises(InvalidError):
        describe_data(data)


def test_no_row_is_kept() -> None:
    (found,) = describe_data(pd.DataFrame({"name": ["only-one-of-these"]}))
    assert "only-one-of-these" not in repr(found)
