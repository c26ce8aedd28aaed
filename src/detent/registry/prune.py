"""Removing what nothing reaches, and restoring what is needed."""

from collections.abc import Callable
from pathlib import Path

from detent.blobs.base import CHUNK, Blobs, hash_stream
from detent.domain.events import EventType
from detent.domain.report import BlobProblem, PruneReport, RepairReport, VerifyReport
from detent.errors import CorruptError, InvalidError, NotFoundError
from detent.metadata.tables import Tables
from detent.registry.manifest import read_manifest
from detent.registry.stores import Stores, change

GRACE_S = 3600.0  # a registration may take this long between its first blob and its row


def prune(stores: Stores, *, grace_s: float = GRACE_S, dry_run: bool = False) -> PruneReport:
    """Remove blobs that no version and no evaluation reaches, and what killed writers left.

    Parameters
    ----------
    stores : Stores
        The registry, and who acts.
    grace_s : float, default=3600
        Keep blobs written less than this many seconds ago: their version may be about to be
        registered.
    dry_run : bool, default=False
        Only say what would be removed.

    Raises
    ------
    CorruptError
        If a manifest is damaged or missing: which blobs its version needs is not known then.
        Nothing was removed.
    """
    if grace_s < 0:
        raise InvalidError("the grace time is at least 0 s; nothing was removed")
    read: dict[str, set[str]] = {}
    with stores.metadata.read() as tables:
        _needed(stores, tables, read)  # most of the reading, before anybody has to wait for it
    # The lock of the writers is held: a registration commits before this and is seen, or after
    # it and then finds out which of its blobs are gone.
    with change(stores, dry_run=dry_run) as step:
        needed = _needed(stores, step.tables, read)
        unreachable = [info for info in stores.blobs.list_all() if info.digest not in needed]
        leftovers = list(stores.blobs.list_unfinished())
        old_blobs = [info for info in unreachable if info.age_s >= grace_s]
        old_leftovers = [info for info in leftovers if info.age_s >= grace_s]
        report = PruneReport(
            n_blobs=len(old_blobs),
            n_unfinished=len(old_leftovers),
            size_bytes=sum(info.size_bytes for info in old_blobs + old_leftovers),
            kept_young=len(unreachable) + len(leftovers) - len(old_blobs) - len(old_leftovers),
        )
        if not dry_run:
            for info in old_blobs:
                stores.blobs.delete(info.digest)
            for info in old_leftovers:
                stores.blobs.discard(info.digest)
            if old_blobs or old_leftovers:
                step.record(
                    EventType.BLOBS_PRUNED,
                    {
                        "digests": [info.digest for info in old_blobs],
                        "size_bytes": report.size_bytes,
                    },
                )
    return report


def _needed(stores: Stores, tables: Tables, read: dict[str, set[str]]) -> set[str]:
    """Return the digests of all blobs that rows reach. `read` keeps what manifests name."""
    needed = set(tables.evaluation_digests())
    for model, number, digest in tables.manifest_digests():
        if digest not in read:
            try:
                manifest = read_manifest(stores.blobs, digest, what=f"`{model}/{number}`")
            except CorruptError as error:
                raise CorruptError(
                    f"nothing was removed: which files `{model}/{number}` needs is not known,"
                    f" because its manifest is damaged ({error})",
                    hint="restore it with `detent repair --from FOLDER`, or delete the version",
                ) from error
            read[digest] = {blob for _, blob in manifest.blobs()}
        needed |= {digest} | read[digest]
    return needed


def repair(
    blobs: Blobs, folder: Path, *, check: Callable[[], VerifyReport], dry_run: bool = False
) -> RepairReport:
    """Restore blobs that are missing or corrupt from files that hash to their digests.

    `folder` may be another registry, its ``blobs``, or any folder that holds the original files,
    under whatever names. `check` says what is damaged (`verify_blobs`).

    Raises
    ------
    NotFoundError
        If the folder does not exist.
    """
    if not folder.is_dir():
        raise NotFoundError(f"there is no folder {folder}; nothing was repaired")
    wanted = {problem.digest: problem for problem in check().problems}
    restored: list[str] = []
    # A restored manifest can show that blobs it names are bad too: look again until nothing new.
    while wanted:
        found = _find(folder, set(wanted))
        if not found:
            break
        for digest, path in found.items():
            if not dry_run:
                _restore(blobs, digest, path)
            restored.append(digest)
        if dry_run:
            wanted = {digest: p for digest, p in wanted.items() if digest not in found}
            break
        wanted = {p.digest: p for p in check().problems}
    missing: list[BlobProblem] = list(wanted.values())
    return RepairReport(restored=tuple(restored), missing=tuple(missing))


def _find(folder: Path, digests: set[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or len(found) == len(digests):
            continue
        with path.open("rb") as stream:
            _, digest = hash_stream(stream)
        if digest in digests:
            found[digest] = path
    return found


def _restore(blobs: Blobs, digest: str, path: Path) -> None:
    if blobs.find_size(digest) is not None:
        blobs.delete(digest)  # a bad copy of the right size could be taken for a good one
    with path.open("rb") as stream, blobs.create() as writer:
        while chunk := stream.read(CHUNK):
            writer.write(chunk)
