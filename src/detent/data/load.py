"""Reading rows and their true values from a file."""

from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from detent.errors import InvalidError, NotFoundError

_READERS = {
    ".csv": "read_csv",
    ".tsv": "read_csv",
    ".parquet": "read_parquet",
    ".pq": "read_parquet",
    ".feather": "read_feather",
    ".arrow": "read_feather",
    ".jsonl": "read_json",
    ".ndjson": "read_json",
}


def read_rows(path: str | Path, target: str) -> tuple[Any, Any]:
    """Return the rows of a file as a DataFrame, and one of its columns apart.

    Parameters
    ----------
    path : str or Path
        A CSV, TSV, Parquet, Arrow (Feather) or JSON-lines file, or the URL of one: ``https:`` and
        ``file:``, and others as far as pandas finds a package for them.
    target : str
        The name of the column of true values.

    Returns
    -------
    X : DataFrame of shape (n_samples, n_features)
        All other columns.
    y : Series of shape (n_samples,)
        The true values.

    Raises
    ------
    NotFoundError
        If there is no such file, or it has no such column.
    InvalidError
        If the file cannot be read, is of another kind or holds no row; or pandas is missing.
    """
    is_url = "://" in str(path) or str(path).startswith("file:")
    name = PurePosixPath(urlsplit(str(path)).path) if is_url else Path(path)
    reader = _READERS.get(name.suffix.lower())
    if reader is None:
        raise InvalidError(
            f"{name.name} is not a kind of file that can be read",
            hint=f"known endings: {', '.join(_READERS)}",
        )
    try:
        import pandas
    except ImportError:
        raise InvalidError(
            "reading files of rows needs pandas", hint='pip install "detent[data]"'
        ) from None
    options: dict[str, Any] = {".tsv": {"sep": "\t"}}.get(name.suffix.lower(), {})
    options |= {"lines": True} if reader == "read_json" else {}
    try:
        rows = getattr(pandas, reader)(str(path), **options)
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {path}") from None
    except (ImportError, OSError, ValueError) as error:
        text = str(error).split("\n")[0][:300]
        raise InvalidError(f"{path} cannot be read: {text}") from error
    taken = take_column(rows, target, path)
    if len(rows) == 0:
        raise InvalidError(f"{path} holds no row")
    return taken


def take_column(X: Any, name: str, path: str | Path) -> tuple[Any, Any]:
    """Return the rows without a column, and the column.

    Raises
    ------
    NotFoundError
        If there is no such column.
    """
    if name not in X.columns:
        raise no_column(str(path), name, [str(column) for column in X.columns])
    return X.drop(columns=name), X[name]


def no_column(path: str, target: str, names: list[str]) -> NotFoundError:
    """Return the error that names the columns there are."""
    import difflib

    near = difflib.get_close_matches(target, names, n=1)
    question = f"; did you mean `{near[0]}`?" if near else ""
    return NotFoundError(
        f"{PurePosixPath(path).name} has no column `{target}`{question}",
        hint=f"it has: {', '.join(names[:20])}",
    )
