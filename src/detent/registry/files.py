"""The files of versions: loading, exporting, and taking over files that lie in a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detent.blobs.base import CHUNK, Blobs, Progress, open_verified, read_verified
from detent.domain.manifest import Manifest, is_safe_path
from detent.domain.reference import check_model_name
from detent.domain.version import Version
from detent.errors import ConflictError, InvalidError, NotFoundError
from detent.registry.manifest import BlobSink, BlobSource, encode_manifest, read_manifest
from detent.registry.read import resolve
from detent.registry.stores import Stores

if TYPE_CHECKING:
    from detent.compilers.base import Methods


def load(
    stores: Stores,
    reference: Any,
    *,
    trusted: bool | Sequence[str] = False,
    progress: Progress | None = None,
) -> Any:
    """Return the model of a version, from bytes that were just checked.

    Parameters
    ----------
    stores : Stores
        The registry.
    reference : str, Reference or Version
        Which version.
    trusted : bool or sequence of str, default=False
        True to run what the files carry, or the names of types to trust.
    progress : callable, optional
        Told how many more bytes were checked.

    Raises
    ------
    NotFoundError
        If there is no such version.
    RefusedError
        If loading needs trust that was not given.
    CorruptError
        If the bytes are not those that were registered.
    """
    version = resolve(stores.metadata.current, reference)
    return load_version(stores.blobs, version, trusted=trusted, progress=progress)


def load_version(
    blobs: Blobs,
    version: Version,
    *,
    trusted: bool | Sequence[str] = False,
    progress: Progress | None = None,
) -> Any:
    """Return the model of a version that was looked up already; see `load`."""
    from detent.formats.lookup import get_format

    manifest = read_manifest(blobs, version.digest, what=f"`{version}`")
    source = BlobSource(blobs, manifest.files, what=f"`{version}`", progress=progress)
    return get_format(manifest.format).load(source, options=manifest.options, trusted=trusted)


def load_compiled(blobs: Blobs, version: Version, model: Any) -> tuple[str, Methods] | None:
    """Return the compiled form of a version: its compiler, and what it answers; None without one.

    Parameters
    ----------
    blobs : Blobs
        Where its bytes are.
    version : Version
        Which version.
    model : object
        The original, as `load` gives it.

    Raises
    ------
    NotFoundError
        If its compiler is not known here.
    InvalidError
        If its runtime is not installed here.
    CorruptError
        If the bytes are not those that were registered, or no form of that model.
    """
    what = f"`{version}`"
    compiled = read_manifest(blobs, version.digest, what=what).compiled
    if compiled is None:
        return None
    from detent.compilers.make import load_form

    data = read_verified(blobs, compiled.file.digest, what=what)
    return compiled.compiler, load_form(compiled.compiler, data, model, what=what)


def export(blobs: Blobs, version: Version, folder: Path, *, dry_run: bool = False) -> list[Path]:
    """Write the files of a version, checked, and its ``manifest.json`` into a folder.

    Raises
    ------
    ConflictError
        If the folder is there and not empty.
    CorruptError
        If the bytes are not those that were registered; nothing is written then.
    """
    manifest = read_manifest(blobs, version.digest, what=f"`{version}`")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConflictError(
            f"{folder} is there already and not empty; nothing was written",
            hint="name a new folder",
        )
    paths = [folder / _safe(path) for path, _ in _exported(manifest)]
    if not dry_run:
        # Whole or not at all: written beside it, then renamed.
        building = folder.with_name(f".{folder.name}.{os.getpid()}.part")
        try:
            for path, digest in _exported(manifest):
                _copy(blobs, digest, building / _safe(path), what=f"`{version}`")
            (building / "manifest.json").write_bytes(encode_manifest(manifest) + b"\n")
            if folder.exists():
                folder.rmdir()
            building.rename(folder)
        finally:
            _remove(building)
    return [*paths, folder / "manifest.json"]


def _exported(manifest: Manifest) -> tuple[tuple[str, str], ...]:
    # Files may have any name: what detent adds lies where they cannot be.
    own = {file.path for file in manifest.files}
    return tuple(
        (path if path in own else f"detent/{path}", digest) for path, digest in manifest.blobs()
    )


def _safe(path: str) -> Path:
    if not is_safe_path(path):
        raise InvalidError(f"the manifest names the path {path!a}; nothing was written")
    return Path(*path.split("/"))


def _copy(blobs: Blobs, digest: str, path: Path, *, what: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_verified(blobs, digest, what=what) as source, path.open("xb") as target:
        while chunk := source.read(CHUNK):
            target.write(chunk)


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


_NUMBERED = re.compile(r"(?P<model>.+?)[._-]?v(?P<number>\d+)", re.IGNORECASE)
FORMATS_BY_ENDING: Mapping[str, str] = {
    ".pkl": "joblib",
    ".pickle": "joblib",
    ".joblib": "joblib",
    ".skops": "skops",
}
FILE_NAMES: Mapping[str, str] = {"joblib": "model.joblib", "skops": "model.skops"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Takeover:
    """One file that will become a version: ``number`` is what its name says."""

    path: Path
    model: str
    number: int
    format: str
    modified_at: datetime


def plan_takeover(folder: Path, *, model: str | None = None) -> list[Takeover]:
    """Return the files in a folder that are named as versions, in the order of their numbers.

    ``churn_v1.pkl``, ``churn-v2.joblib`` and ``v3.skops`` are: other files are left alone. No
    file is opened.

    Raises
    ------
    NotFoundError
        If the folder does not exist, or holds no such file.
    InvalidError
        If two files claim one number.
    """
    if not folder.is_dir():
        raise NotFoundError(f"there is no folder {folder}; nothing was imported")
    plan: dict[tuple[str, int], Takeover] = {}
    for path in sorted(folder.iterdir()):
        match = _NUMBERED.fullmatch(path.stem) or re.fullmatch(r"v(?P<number>\d+)", path.stem)
        if match is None or not path.is_file():
            continue
        named = match.groupdict().get("model")
        item = Takeover(
            path=path,
            model=check_model_name(model or named or folder.absolute().name),
            number=int(match["number"]),
            format=FORMATS_BY_ENDING.get(path.suffix.lower(), "files"),
            modified_at=datetime.fromtimestamp(path.stat().st_mtime, UTC),
        )
        other = plan.setdefault((item.model, item.number), item)
        if other is not item:
            raise InvalidError(
                f"{other.path.name} and {path.name} are both version {item.number} of"
                f" `{item.model}`; nothing was imported",
                hint="move one of them out of the folder",
            )
    if not plan:
        raise NotFoundError(
            f"{folder} holds no file named as a version, such as `churn_v1.pkl`; nothing was"
            " imported"
        )
    return [plan[key] for key in sorted(plan)]


def store_file(sink: BlobSink, path: Path, name: str) -> None:
    """Store the bytes of a file under a name among a version's files."""
    with path.open("rb") as source, sink.create(name) as target:
        while chunk := source.read(CHUNK):
            target.write(chunk)
