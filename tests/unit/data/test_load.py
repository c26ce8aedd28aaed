"""Rows come from files and URLs of the usual kinds, or the error says what is wrong."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest

from detent.data.load import read_rows
from detent.errors import InvalidError, NotFoundError

FRAME = pd.DataFrame({"age": [31, 40], "churned": ["no", "yes"]})


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "arrow", "feather", "jsonl"])
def test_kinds_of_files(ending: str) -> None:
    path = Path(f"rows.{ending}")
    write(path)
    X, y = read_rows(path, "churned")
    pd.testing.assert_frame_equal(X, FRAME[["age"]])
    assert y.tolist() == ["no", "yes"]


def write(path: Path) -> None:
    match path.suffix:
        case ".csv":
            FRAME.to_csv(path, index=False)
        case ".tsv":
            FRAME.to_csv(path, index=False, sep="\t")
        case ".parquet":
            FRAME.to_parquet(path)
        case ".jsonl":
            FRAME.to_json(path, orient="records", lines=True)
        case _:
            FRAME.to_feather(path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_urls(server: str, tmp_path: Path) -> None:
    write(tmp_path / "rows.csv")
    X, _ = read_rows(f"{server}/rows.csv?version=2", "churned")
    assert X["age"].tolist() == [31, 40]
    X, _ = read_rows((tmp_path / "rows.csv").as_uri(), "churned")
    assert X["age"].tolist() == [31, 40]
    with pytest.raises(InvalidError, match="cannot be read"):
        read_rows(f"{server}/others.csv", "churned")


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no file"):
        read_rows("rows.csv", "churned")
    with pytest.raises(InvalidError, match="not a kind of file"):
        read_rows("rows.xls", "churned")
    Path("rows.parquet").write_bytes(b"no parquet")
    with pytest.raises(InvalidError, match="cannot be read"):
        read_rows("rows.parquet", "churned")
    write(Path("rows.csv"))
    with pytest.raises(NotFoundError, match="did you mean `churned`"):
        read_rows("rows.csv", "churn")
    FRAME[:0].to_csv("empty.csv", index=False)
    with pytest.raises(InvalidError, match="holds no row"):
        read_rows("empty.csv", "churned")
