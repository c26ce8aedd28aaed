"""Copying a registry into another one: bytes first, then its journal, and all rows as it tells.

The copy has the source's journal, event by event, so it proves what the source proves. A
registry whose journal is the beginning of the source's can be copied to again: what is there is not
sent twice. That makes an interrupted copy go on, and a nightly one quick.

`copy` asks both ends the same questions, whether their stores are here or behind a server. The
functions above it answer them where the stores are.
"""

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Protocol

from detent.blobs.base import (
    CHUNK,
    Blobs,
    Progress,
    open_verified,
    past_cache,
    put,
    read_verified,
)
from detent.domain.digest import check_digest, short_digest
from detent.domain.events import GENESIS, Event, Link, check_chain
from detent.domain.report import CopyReport, JournalReport, NeededBlob
from detent.domain.value import replace
from detent.domain.version import Model
from detent.errors import ConflictError, CorruptError, InvalidError, NotFoundError
from detent.metadata.tables import Tables
from detent.registry.replay import Rows, replay
from detent.registry.stores import Stores
from detent.registry.verify import body_of, needed_blobs, verify_journal

AT_ONCE = 8  # blobs on their way at a time: an object store answers slowly, and many at once
_DIGESTS = 10_000  # asked for in one request


class End(Protocol):
    """One end of a copy: what `detent.operations.Operations` answers, here or at a server."""

    @property
    def location(self) -> str:
        """Where the registry lies."""
        ...

    @property
    def blobs(self) -> Blobs:
        """The bytes."""
        ...

    def create(self) -> bool:
        """Make the registry if there is none."""
        ...

    def models(self, *, limit: int | None = None) -> list[Model]:
        """Return models."""
        ...

    def events(self, *, limit: int | None = None) -> list[Event]:
        """Return events, newest first."""
        ...

    def verify_journal(self) -> JournalReport:
        """Check the journal and its rows."""
        ...

    def links(self) -> list[Link]:
        """Return all events as the chain sees them, oldest first."""
        ...

    def needed_blobs(self) -> list[NeededBlob]:
        """Return every blob that the registry reaches, once, with its size."""
        ...

    def stored_blobs(self, digests: Sequence[str]) -> dict[str, int]:
        """Return the sizes of those of some blobs that are stored."""
        ...

    def receive(self, journal: str) -> JournalReport:
        """Write events, which a blob holds, behind those that are there, and what they tell of."""
        ...


def links(stores: Stores, *, after: int, limit: int | None) -> list[Link]:
    """Return the events behind a number as the chain sees them, oldest first."""
    with stores.metadata.read() as tables:
        return list(islice(tables.walk_journal(after=after), limit))


def needs(stores: Stores) -> list[NeededBlob]:
    """Return every blob that the registry reaches, once, with its size; None if it is missing."""
    wanted = {need.digest: need for need in needed_blobs(stores)}
    sizes = stored(stores, wanted)
    return [replace(need, size_bytes=sizes.get(need.digest)) for need in wanted.values()]


def stored(stores: Stores, digests: Iterable[str]) -> dict[str, int]:
    """Return the sizes in bytes of those of some blobs that are stored."""
    wanted = {check_digest(digest) for digest in digests}
    if not wanted:
        return {}
    there = past_cache(stores.blobs).list_all()
    return {info.digest: info.size_bytes for info in there if info.digest in wanted}


def receive(stores: Stores, journal: str) -> JournalReport:
    """Write events of another registry behind those that are here, and all rows as they tell.

    All of it is one transaction, however much that is, and is checked before its end: the registry
    then is what the other one was at the last of these events. Without events it is only made what
    its own tell.

    Parameters
    ----------
    stores : Stores
        The registry.
    journal : str
        The digest of a blob that holds the events, as `encode` makes it; it is removed.

    Raises
    ------
    NotFoundError
        If there is no such blob.
    InvalidError
        If it holds no events.
    ConflictError
        If the events do not follow those that are here, or a blob that they need is missing.
    CorruptError
        If they are no chain, or the registry would not be what its journal tells.
    """
    location = stores.metadata.location
    links = _decode(read_verified(past_cache(stores.blobs), journal, what="the journal sent"))
    with stores.metadata.write() as tables:
        known = list(tables.walk_journal())
        seq, digest = tables.journal_head()
        if links and links[0].seq == 1 and _is_new(tables, seq):
            known, seq = [], 0
        follows = seq + 1, digest if known else GENESIS
        if links and (links[0].seq, links[0].previous) != follows:
            raise _own_history(location, seq, digest)
        whole = [*known, *links]
        head = (whole[-1].seq, whole[-1].digest)
        if links and (broken := next(check_chain(whole, head=head), None)):
            raise CorruptError(f"what was sent to {location} is no journal: {broken}")
        rows = replay((link, body_of(link)) for link in whole)
        if not known:
            tables.clear_journal()
        tables.put_events(links)
        _put_rows(tables, rows, head)
        _check_blobs(stores)
        report = verify_journal(stores)
        _check(report, location)
    stores.blobs.delete(journal)
    return report


def encode(links: Sequence[Link]) -> bytes:
    """Return events as the blob that carries them to another registry."""
    import msgspec

    return msgspec.json.encode(links)


def _decode(data: bytes) -> list[Link]:
    import msgspec

    try:
        return msgspec.json.decode(data, type=list[Link])
    except msgspec.MsgspecError as error:
        raise InvalidError(f"what was sent is no journal: {error}; nothing was changed") from None


def _is_new(tables: Tables, seq: int) -> bool:
    return seq == 1 and not tables.model_names()  # it was made, and nothing was done with it


def _put_rows(tables: Tables, rows: Rows, head: tuple[int, str]) -> None:
    for table, told in rows.items():
        if table == "registry":
            tables.put_registry(told[()], head=head)
            continue
        kept = tables.told_rows(table)
        tables.put_rows(table, {key: row for key, row in told.items() if kept.get(key) != row})


def _check_blobs(stores: Stores) -> None:
    gone = [need for need in needs(stores) if need.size_bytes is None]
    if gone:
        raise ConflictError(
            f"{len(gone)} blobs were removed from {stores.metadata.location} by `detent prune`"
            " before a row could name them; no row was copied",
            hint="run the same command again",
        )


def copy(
    source: End, target: End, *, dry_run: bool = False, progress: Progress | None = None
) -> CopyReport:
    """Copy all of a registry to another place: versions, evaluations, histories, the journal.

    Parameters
    ----------
    source : End
        The registry. Nothing in it is changed.
    target : End
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
    checked = source.verify_journal()
    _check(checked, source.location)
    journal = source.links()[: checked.n_events]  # what was added since waits for the next copy
    wanted = source.needed_blobs()
    for need in wanted:
        if need.size_bytes is None:
            raise CorruptError(
                f"blob {short_digest(need.digest)} of `{need.needed_by}` ({need.path}) is missing"
                f" from {source.location}; nothing was copied",
                hint="restore it with `detent repair --from FOLDER`, or delete the version",
            )
    n_known = _n_known(target, journal)
    there: dict[str, int] = {}
    for start in range(0, len(wanted), _DIGESTS):
        page = wanted[start : start + _DIGESTS]
        there |= target.stored_blobs([need.digest for need in page])
    missing = [need for need in wanted if there.get(need.digest) != need.size_bytes]
    if not dry_run:
        _send_all(source, target, missing, progress)
        target.create()
        report = target.receive(put(target.blobs, encode(journal[n_known:])))
        if report.head != checked.head:
            raise ConflictError(
                f"{target.location} was changed while it was copied to",
                hint="run the same command again",
            )
    rows = replay((link, body_of(link)) for link in journal)
    return CopyReport(
        n_versions=sum(row["deleted_at"] is None for row in rows["version"].values()),
        n_events=len(journal) - n_known,
        n_blobs=len(missing),
        size_bytes=sum(need.size_bytes or 0 for need in missing),
        n_known_events=n_known,
        n_known_blobs=len(wanted) - len(missing),
        head=checked.head,
    )


def _check(report: JournalReport, location: str) -> None:
    if report.problems:
        raise CorruptError(
            f"the journal of {location} and its rows do not agree: {report.problems[0]}",
            hint=f"see all {len(report.problems)} with `detent audit --verify`",
            details={"problems": list(report.problems)},
        )


def _n_known(target: End, links: list[Link]) -> int:
    """Return how many of the events are there already."""
    try:
        newest = target.events(limit=1)[0]
        # Each event holds the digest of the one before: if this one is the same, all before are.
        if newest.seq <= len(links) and links[newest.seq - 1].digest == newest.digest:
            return newest.seq
        if newest.seq == 1 and not target.models(limit=1):
            return 0
    except NotFoundError:
        return 0
    raise _own_history(target.location, newest.seq, newest.digest)


def _own_history(location: str, seq: int, digest: str) -> ConflictError:
    return ConflictError(
        f"the registry at {location} has {seq:,} events that are not the first of those to be"
        " copied: it has a history of its own; nothing was copied",
        hint="copy to a place where no registry is, or to an earlier copy",
        details={"events": seq, "head": digest},
    )


def _send_all(
    source: End, target: End, needs: Iterable[NeededBlob], progress: Progress | None
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


def _send(source: End, target: End, need: NeededBlob, told: Progress) -> None:
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
