"""Copying a registry into another one: bytes first, then all rows and events in one transaction.

The copy has the source's journal, event by event, so it proves what the source proves. A
registry whose journal is the beginning of the source's can be copied to again: what is there is not
sent twice. That makes an interrupted copy go on, and a nightly one quick.
"""

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from detent.blobs.base import CHUNK, Progress, open_verified, past_cache
from detent.domain.digest import short_digest
from detent.domain.events import Link
from detent.domain.report import CopyReport, JournalReport
from detent.errors import ConflictError, CorruptError, NotFoundError
from detent.metadata.copying import TOLD, Key, Row
from detent.metadata.tables import Tables
from detent.registry.stores import Stores
from detent.registry.verify import NeededBlob, needed_blobs, verify_journal

AT_ONCE = 8  # blobs on their way at a time: an object store answers slowly, and many at once


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """What there is to copy, as one commit left it."""

    links: list[Link]
    rows: dict[str, dict[Key, Row]]
    needs: dict[str, NeededBlob]
    sizes: dict[str, int]

    @property
    def head(self) -> tuple[int, str]:
        return self.links[-1].seq, self.links[-1].digest

    @property
    def n_versions(self) -> int:
        return sum(row["deleted_at"] is None for row in self.rows["version"].values())


def copy(
    source: Stores, target: Stores, *, dry_run: bool = False, progress: Progress | None = None
) -> CopyReport:
    """Copy all of a registry to another place: versions, evaluations, histories, the journal.

    Parameters
    ----------
    source : Stores
        The registry. Nothing in it is changed.
    target : Stores
        Where the copy will be: no registry yet, an empty one, or an earlier copy of the same.
    dry_run : bool, default=False
        Only say what would be sent.
    progress : callable, optional
        Told how many more bytes were sent, by one thread at a time.

    Raises
    ------
    NotFoundError
        If there is no registry to copy.
    ConflictError
        If the target has a history of its own, or a blob was removed from it meanwhile.
    CorruptError
        If the source is damaged, or what was written is not what the journal tells.
    UnavailableError
        If a store has no room or does not answer. What was sent stays: copying again goes on.
    """
    wanted = _read(source)
    with_events = _check_target(target, wanted.links)
    there = {info.digest: info.size_bytes for info in past_cache(target.blobs).list_all()}
    missing = [
        need for digest, need in wanted.needs.items() if there.get(digest) != wanted.sizes[digest]
    ]
    if not dry_run:
        _send_all(source, target, missing, progress)
        _write(target, wanted)
        _check(verify_journal(target), target)
    return CopyReport(
        n_versions=wanted.n_versions,
        n_events=len(wanted.links) - with_events,
        n_blobs=len(missing),
        size_bytes=sum(wanted.sizes[need.digest] for need in missing),
        n_known_events=with_events,
        n_known_blobs=len(wanted.needs) - len(missing),
        head=wanted.head[1],
    )


def _read(source: Stores) -> _Source:
    with source.metadata.read() as tables:
        _check(verify_journal(source), source)
        links = list(tables.walk_journal())
        rows = {table: tables.told_rows(table) for table in TOLD}
        needs = {need.digest: need for need in needed_blobs(source)}
    sizes = {info.digest: info.size_bytes for info in past_cache(source.blobs).list_all()}
    for digest, need in needs.items():
        if digest not in sizes:
            raise CorruptError(
                f"blob {short_digest(digest)} of `{need.needed_by}` ({need.path}) is missing from"
                f" {source.metadata.location}; nothing was copied",
                hint="restore it with `detent repair --from FOLDER`, or delete the version",
            )
    return _Source(links=links, rows=rows, needs=needs, sizes=sizes)


def _check(report: JournalReport, stores: Stores) -> None:
    if report.problems:
        raise CorruptError(
            f"the journal of {stores.metadata.location} and its rows do not agree:"
            f" {report.problems[0]}",
            hint=f"see all {len(report.problems)} with `detent audit --verify`",
            details={"problems": list(report.problems)},
        )


def _check_target(target: Stores, links: list[Link]) -> int:
    """Return how many of the events are there already."""
    try:
        with target.metadata.read() as tables:
            return _n_known(tables, links, target.metadata.location)
    except NotFoundError:
        return 0


def _n_known(tables: Tables, links: list[Link], location: str) -> int:
    seq, digest = tables.journal_head()
    # Each event holds the digest of the one before: if this one is the same, all before it are.
    if seq <= len(links) and links[seq - 1].digest == digest:
        return seq
    if seq == 1 and not tables.model_names():
        return 0  # it was made, and nothing was done with it
    raise ConflictError(
        f"the registry at {location} has {seq:,} events that are not the first of the"
        f" {len(links):,} to be copied: it has a history of its own; nothing was copied",
        hint="copy to a place where no registry is, or to an earlier copy",
        details={"events": seq, "head": digest},
    )


def _send_all(
    source: Stores, target: Stores, needs: Iterable[NeededBlob], progress: Progress | None
) -> None:
    lock = threading.Lock()

    def told(n_bytes: int) -> None:
        if progress:
            with lock:
                progress(n_bytes)

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="copy") as threads:
        sent = [threads.submit(_send, source, target, need, told) for need in needs]
        try:
            for each in sent:
                each.result()
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def _send(source: Stores, target: Stores, need: NeededBlob, told: Progress) -> None:
    what = f"`{need.needed_by}` ({need.path})"
    with (
        open_verified(past_cache(source.blobs), need.digest, what=what) as stream,
        target.blobs.create() as writer,
    ):
        while chunk := stream.read(CHUNK):
            writer.write(chunk)
            told(len(chunk))
    if writer.digest != need.digest:
        raise CorruptError(f"blob {short_digest(need.digest)} of {what} changed on its way")


def _write(target: Stores, wanted: _Source) -> None:
    first = wanted.links[0]
    target.metadata.create(at_us=first.at_us, actor=first.actor)
    location = target.metadata.location
    with target.metadata.write() as tables:
        n_known = _n_known(tables, wanted.links, location)  # again, now that nobody else writes
        there = {info.digest for info in past_cache(target.blobs).list_all()}
        if gone := wanted.needs.keys() - there:
            raise ConflictError(
                f"{len(gone)} blobs were removed from {location} by `detent prune` before a row"
                " could name them; no row was copied",
                hint="run the same command again",
            )
        if n_known == 0:
            tables.clear_journal()
        tables.put_events(wanted.links[n_known:])
        for table, rows in wanted.rows.items():
            if table == "registry":
                tables.put_registry(rows[()], head=wanted.head)
                continue
            kept = tables.told_rows(table)
            tables.put_rows(table, {key: row for key, row in rows.items() if kept.get(key) != row})
