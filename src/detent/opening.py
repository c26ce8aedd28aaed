"""The only place that turns a URL into stores and gives back a registry."""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING

from detent.errors import InvalidError
from detent.facade import Registry
from detent.registry.stores import Stores
from detent.settings import Settings, read_settings

if TYPE_CHECKING:
    from pathlib import Path

    from detent.blobs.base import Blobs


def connect(url: str | Path | None = None, *, user: str | None = None) -> Registry:
    """Open a registry.

    Nothing is made on disk: the first `Registry.register` makes the folder. Opening costs
    nothing until the first question is asked.

    Parameters
    ----------
    url : str or Path, optional
        A folder (``./registry``, ``file:///srv/models``), or ``memory:`` for a registry that is
        gone with its process. By default ``DETENT_URL``, ``detent.toml``, or the nearest
        ``.detent/`` here or above.
    user : str, optional
        Who acts, for the history. By default ``DETENT_USER`` or the login name.

    Returns
    -------
    Registry
        May be shared between threads, and used after a fork.

    Raises
    ------
    InvalidError
        If the URL is of a kind that is not known, or a setting is malformed.

    Examples
    --------
    >>> connect("memory:", user="ana")
    <Registry memory: as ana>
    """
    return open_registry(read_settings(url=str(url) if url is not None else None, user=user))


def open_registry(settings: Settings) -> Registry:
    """Open the registry that settings name."""
    return Registry(_stores(settings))


def _stores(settings: Settings) -> Stores:
    from detent.metadata.sqlite import SqliteMetadata

    if settings.url == "memory:":
        return Stores(metadata=SqliteMetadata(None), open_blobs=_open_memory, actor=settings.user)
    folder = _folder(settings.url)
    return Stores(
        metadata=SqliteMetadata(os.path.join(folder, "detent.db")),
        open_blobs=lambda: _open_local(os.path.join(folder, "blobs")),
        actor=settings.user,
    )


def _open_memory() -> Blobs:
    from detent.blobs.memory import MemoryBlobs

    return MemoryBlobs()


def _open_local(folder: str) -> Blobs:
    from pathlib import Path

    from detent.blobs.local import LocalBlobs

    return LocalBlobs(Path(folder))


def _folder(url: str) -> str:
    """Return the absolute folder that a URL names."""
    if "://" not in url and not url.startswith("file:"):
        return os.path.abspath(os.path.expanduser(url))
    from urllib.parse import unquote, urlsplit

    parts = urlsplit(url)
    if parts.scheme != "file":
        raise InvalidError(
            f"`{parts.scheme}:` is not a kind of registry that this release knows",
            hint="name a folder (`./registry`, `file:///srv/models`) or `memory:`",
        )
    if parts.netloc not in ("", "localhost"):
        raise InvalidError(
            f"`{url}` names the host `{parts.netloc}`: a file URL begins with three slashes",
            hint=f"file:///{parts.netloc}{parts.path}",
        )
    return os.path.abspath(unquote(parts.path))
