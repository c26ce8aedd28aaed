"""The only place that turns a URL into stores and gives back a registry."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from detent.errors import InvalidError
from detent.facade import Registry
from detent.registry.stores import Stores
from detent.settings import Settings, read_settings, take_parameter

if TYPE_CHECKING:
    from pathlib import Path

    from detent.blobs.base import Blobs
    from detent.operations import Operations

PREDICTIONS = "predictions.db"


def connect(
    url: str | Path | None = None, *, user: str | None = None, blobs: str | Path | None = None
) -> Registry:
    """Open a registry.

    Nothing is made on disk: the first `Registry.register` makes the folder. Opening costs
    nothing until the first question is asked.

    Parameters
    ----------
    url : str or Path, optional
        A folder (``./registry``, ``file:///srv/models``); ``postgresql://host/database``, with
        `blobs` beside it; a server (``https://models.example``, with its token in
        ``DETENT_TOKEN``); or ``memory:`` for a registry that is gone with its process. By default
        ``DETENT_URL``, ``detent.toml``, or the nearest ``.detent/`` here or above.
    user : str, optional
        Who acts, for the history. By default ``DETENT_USER`` or the login name.
    blobs : str or Path, optional
        Where a registry in PostgreSQL keeps its bytes: ``s3://bucket/prefix``, ``gs://…``,
        ``az://…``, or a folder that all its machines share. A parameter ``blobs`` in the URL comes
        first; by default it is ``DETENT_BLOBS``. Other registries keep them where they are.

    Returns
    -------
    Registry
        May be shared between threads, and used after a fork (with bytes in an object store: if
        they were not used before it).

    Raises
    ------
    InvalidError
        If the URL is of a kind that is not known, a setting is malformed, or an extra is not
        installed.

    Examples
    --------
    >>> connect("memory:", user="ana")
    <Registry memory: as ana>
    """
    return open_registry(
        read_settings(
            url=str(url) if url is not None else None,
            user=user,
            blobs=str(blobs) if blobs is not None else None,
        )
    )


def open_registry(settings: Settings) -> Registry:
    """Open the registry that settings name."""
    if settings.url.startswith(("http://", "https://")):
        return Registry(_remote(settings))
    return Registry(open_stores(settings))


def _remote(settings: Settings) -> Operations:
    try:
        from detent.remote import RemoteOperations
    except ImportError as error:
        raise InvalidError(
            f"a registry behind a server needs another package ({error})",
            hint="pip install 'detent[remote]'",
        ) from error
    # Never in arguments, which others on this machine can see, nor in a file by accident.
    token = os.environ.get("DETENT_TOKEN")
    return RemoteOperations(settings.url, user=settings.user, token=token)


def open_stores(settings: Settings) -> Stores:
    """Return the stores that settings name."""
    if settings.url.startswith(("postgresql:", "postgres:")):
        return _postgres(settings)
    from detent.metadata.sqlite import SqliteMetadata

    if settings.url == "memory:":
        return Stores(
            metadata=SqliteMetadata(None),
            open_blobs=_open_memory,
            actor=settings.user,
            allows_private_webhooks=settings.private_webhooks,
        )
    folder = _folder(settings.url)
    return Stores(
        metadata=SqliteMetadata(os.path.join(folder, "detent.db")),
        open_blobs=lambda: _open_local(os.path.join(folder, "blobs")),
        actor=settings.user,
        predictions_path=os.path.join(folder, PREDICTIONS),
        allows_private_webhooks=settings.private_webhooks,
    )


def _postgres(settings: Settings) -> Stores:
    url, blobs = take_parameter(settings.url, "blobs")
    blobs = blobs or settings.blobs
    if blobs is None:
        raise InvalidError(
            "a registry in PostgreSQL keeps its bytes elsewhere, and nothing says where",
            hint="set DETENT_BLOBS to `s3://bucket/prefix`, or add `?blobs=s3://bucket/prefix` to"
            " the URL",
        )
    with _extra("postgres"):
        from detent.metadata.postgres import PostgresMetadata
    metadata = PostgresMetadata(url)
    return Stores(
        metadata=metadata,
        open_blobs=lambda: _open_blobs(blobs, settings),
        actor=settings.user,
        predictions_path=_place_on_this_machine(metadata.location),
        is_spread=True,
        allows_private_webhooks=settings.private_webhooks,
    )


def _place_on_this_machine(location: str) -> str:
    """Return where this machine keeps what its servers answered, for a registry elsewhere."""
    from hashlib import sha256

    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    name = sha256(location.encode()).hexdigest()[:16]
    return os.path.join(state, "detent", name, PREDICTIONS)


def _open_blobs(url: str, settings: Settings) -> Blobs:
    if "://" not in url or url.startswith("file:"):
        return _open_local(_folder(url))
    with _extra("s3"):
        from detent.blobs.remote import RemoteBlobs
    remote = RemoteBlobs(url)
    if not settings.cache or not settings.cache_bytes:
        return remote
    from pathlib import Path

    from detent.blobs.cache import CachedBlobs

    folder = Path(settings.cache).expanduser()
    return CachedBlobs(remote, folder, limit_bytes=settings.cache_bytes)


@contextmanager
def _extra(name: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise InvalidError(
            f"this kind of URL needs a part of detent that is not installed ({error})",
            hint=f"pip install 'detent[{name}]'",
        ) from error


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
            hint="name a folder (`./registry`, `file:///srv/models`), `postgresql://…`,"
            " a server (`https://…`) or"
            " `memory:`",
        )
    if parts.netloc not in ("", "localhost"):
        raise InvalidError(
            f"`{url}` names the host `{parts.netloc}`: a file URL begins with three slashes",
            hint=f"file:///{parts.netloc}{parts.path}",
        )
    return os.path.abspath(unquote(parts.path))
