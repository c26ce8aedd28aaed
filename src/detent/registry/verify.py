"""Checking: the journal's chain, the rows it tells of, and the bytes of every blob."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from detent.blobs.base import Progress, hash_stream, past_cache
from detent.domain.clock import from_us
from detent.domain.digest import short_digest
from detent.domain.events import Link, check_chain
from detent.domain.report import BlobProblem, JournalReport, NeededBlob, VerifyReport
from detent.errors import DetentError, NotFoundError, UnavailableError
from detent.metadata.tables import Tables
from detent.metadata.versions import version_words
from detent.registry.manifest import read_manifest
from detent.registry.read import resolve
from detent.registry.replay import compare, replay
from detent.registry.stores import Stores


def verify_journal(stores: Stores) -> JournalReport:
    """Check that no event was altered, removed, inserted or reordered, and that the rows agree.

    The journal tells of each version, activation, decision and so on: their rows are compared with
    it, so that a row changed behind its back is named too. The database checks itself as well.
    """
    with stores.metadata.read() as tables:
        links = list(tables.walk_journal())
        head = tables.journal_head()
        problems = [*stores.metadata.find_damage(), *check_chain(links, head=head)]
        told = replay((link, body_of(link)) for link in links)
        for table, rows in told.items():
            problems += compare(table, rows, tables.told_rows(table))
        problems += _check_words(tables, told["version"])
    return JournalReport(
        n_events=len(links),
        since=_since(links),
        head=head[1],
        problems=tuple(problems),
    )


def body_of(link: Link) -> dict[str, Any]:
    """Return what an event tells; nothing if it was altered."""
    try:
        body = json.loads(link.body_json)
    except (ValueError, TypeError):  # altered: the chain has named it
        return {}
    return body if isinstance(body, dict) else {}


def _since(links: list[Link]) -> datetime | None:
    try:
        return from_us(links[0].at_us) if links else None
    except (OverflowError, TypeError):  # altered: the chain has named it
        return None


def _check_words(tables: Tables, versions: Mapping[Any, dict[str, Any]]) -> Iterator[str]:
    """Yield a sentence for each version that a search would find by other words than its own."""
    n_words = 0
    for (model, number), row in versions.items():
        texts = [row[name] for name in ("note", "format", "code", "data", "created_by")]
        texts = [text for text in texts if isinstance(text, str)]  # or the chain has named it
        words = [] if row["deleted_at"] is not None else version_words(*texts)
        n_words += len(words)
        if tables.words_of(model, number) != words:
            yield f"the search words of version {model}/{number} were altered"
    if tables.count_words() != n_words:
        yield "the search index holds words of versions that the journal does not tell of"


def needed_blobs(stores: Stores, reference: str | None = None) -> Iterator[NeededBlob]:
    """Yield every blob that the registry, or one version, reaches.

    A manifest that cannot be read is yielded itself; what it named is then not known.
    """
    with stores.metadata.read() as tables:
        if reference is not None:
            version = resolve(tables, reference)
            manifests = [(version.model, version.number, version.digest)]
            evaluations = tables.list_evaluations(version.model, version.number)
            measured = [
                (digest, version.name)
                for e in evaluations
                for digest in (e.outcomes, e.inputs)
                if digest is not None
            ]
        else:
            manifests = tables.manifest_digests()
            measured = [(digest, "an evaluation") for digest in tables.evaluation_digests()]
    for model, number, digest in manifests:
        name = f"{model}/{number}"
        yield NeededBlob(digest=digest, needed_by=name, path="manifest")
        try:
            manifest = read_manifest(stores.blobs, digest, what=f"`{name}`")
        except DetentError:
            continue
        for path, blob in manifest.blobs():
            yield NeededBlob(digest=blob, needed_by=name, path=path)
    for digest, name in measured:
        yield NeededBlob(digest=digest, needed_by=name, path="of an evaluation")


def verify_blobs(
    stores: Stores, reference: str | None = None, *, progress: Progress | None = None
) -> VerifyReport:
    """Re-hash the bytes that the registry, or one version, needs.

    Raises
    ------
    NotFoundError
        If there is no such version.
    """
    found: dict[str, str | None] = {}
    versions: set[str] = set()
    problems: list[BlobProblem] = []
    size_bytes = 0
    for need in needed_blobs(stores, reference):
        if need.path == "manifest":
            versions.add(need.needed_by)
        if need.digest not in found:
            size, found[need.digest] = _check_blob(stores, need.digest, progress)
            size_bytes += size
        problem = found[need.digest]
        if problem is not None:
            problems.append(
                BlobProblem(
                    digest=need.digest,
                    needed_by=need.needed_by,
                    path=need.path,
                    problem=problem,
                )
            )
    return VerifyReport(
        n_versions=len(versions),
        n_blobs=len(found),
        size_bytes=size_bytes,
        problems=tuple(problems),
    )


def damage_text(stores: Stores, reference: str) -> str | None:
    """Return which files of a version are not what was registered; None when all are.

    Raises
    ------
    NotFoundError
        If there is no such version.
    """
    needs = [need for need in needed_blobs(stores, reference) if need.path != "outcomes"]
    bad = [need.path for need in needs if _check_blob(stores, need.digest, None)[1] is not None]
    if not bad:
        return None
    if "manifest" in bad:
        return "its manifest is not what was registered"
    n = len(needs) - 1
    are = "is" if len(bad) == 1 else "are"
    names = ", ".join(f"`{path}`" for path in bad[:3]) + (", …" if len(bad) > 3 else "")
    return f"{len(bad)} of {n} file{'s' if n > 1 else ''} {are} not what was registered: {names}"


def _check_blob(stores: Stores, digest: str, progress: Progress | None) -> tuple[int, str | None]:
    try:
        with past_cache(stores.blobs).open(digest) as stream:
            size, actual = hash_stream(stream, progress=progress)
    except NotFoundError:
        return 0, "is missing"
    except (OSError, UnavailableError) as error:
        return 0, f"cannot be read: {error}"
    if actual != digest:
        return size, f"is corrupt: its {size:,} bytes hash to {short_digest(actual)}"
    return size, None
