"""Checking: the journal's chain, the rows it tells of, and the bytes of every blob."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from detent.blobs.base import Progress, hash_stream, read_verified
from detent.domain.clock import from_us, to_us
from detent.domain.digest import short_digest
from detent.domain.events import EventType, Link, check_chain
from detent.domain.report import BlobProblem, JournalReport, VerifyReport
from detent.errors import DetentError, NotFoundError
from detent.metadata.tables import Tables
from detent.registry.manifest import decode_manifest
from detent.registry.read import resolve
from detent.registry.stores import Stores

_MOVES = {
    EventType.ALIAS_ACTIVATED: "activate",
    EventType.ALIAS_ROLLED_BACK: "rollback",
    EventType.ALIAS_DEACTIVATED: "deactivate",
}


def verify_journal(stores: Stores) -> JournalReport:
    """Check that no event was altered, removed, inserted or reordered, and that the rows agree.

    The journal tells of each version and activation; their rows are compared with it, so that a
    row changed behind its back is named too.
    """
    with stores.metadata.read() as tables:
        links = list(tables.walk_journal())
        head = tables.journal_head()
        problems = list(check_chain(links, head=head))
        bodies = [(link, _body(link)) for link in links]
        problems += _check_versions(tables, bodies)
        problems += _check_activations(tables, bodies)
    return JournalReport(
        n_events=len(links),
        since=from_us(links[0].at_us) if links else None,
        head=head[1],
        problems=tuple(problems),
    )


def _body(link: Link) -> dict[str, Any]:
    try:
        body = json.loads(link.body_json)
    except (ValueError, TypeError):  # altered: the chain has named it
        return {}
    return body if isinstance(body, dict) else {}


def _check_versions(tables: Tables, events: list[tuple[Link, dict[str, Any]]]) -> Iterator[str]:
    deletions = {EventType.VERSION_REGISTERED: False, EventType.VERSION_DELETED: True}
    told: dict[tuple[str, int], tuple[str, bool]] = {}
    for link, body in events:
        if link.type in deletions:
            key = body.get("model", "?"), body.get("version", 0)
            told[key] = (body.get("digest", "?"), deletions[EventType(link.type)])
    kept = tables.version_facts()
    for key in sorted(told.keys() | kept.keys()):
        name = f"{key[0]}/{key[1]}"
        if key not in kept:
            yield f"the row of version {name} was removed: the journal tells of its registration"
        elif key not in told:
            yield f"the row of version {name} was inserted: the journal does not tell of it"
        elif told[key] != kept[key]:
            yield f"the row of version {name} was altered: the journal tells of {told[key][0]}"


def _check_activations(tables: Tables, events: list[tuple[Link, dict[str, Any]]]) -> Iterator[str]:
    told: dict[int, tuple[Any, ...]] = {}
    for link, body in events:
        if link.type in _MOVES:
            told[body.get("entry", 0)] = (
                body.get("model"),
                body.get("alias"),
                _MOVES[EventType(link.type)],
                body.get("version"),
                body.get("below"),
                link.actor,
                link.at_us,
            )
    kept = {
        a.entry: (a.model, a.alias, str(a.kind), a.version, a.below, a.by, to_us(a.at))
        for a in tables.all_activations()
    }
    for entry in sorted(told.keys() | kept.keys()):
        if entry not in kept:
            yield f"activation {entry} was removed: the journal tells of it"
        elif entry not in told:
            yield f"activation {entry} was inserted: the journal does not tell of it"
        elif told[entry] != kept[entry]:
            yield f"activation {entry} was altered: it is not what the journal tells"


@dataclass(frozen=True, slots=True, kw_only=True)
class NeededBlob:
    """A blob that something reaches: what, and under which path."""

    digest: str
    needed_by: str
    path: str


def needed_blobs(stores: Stores, reference: str | None = None) -> Iterator[NeededBlob]:
    """Yield every blob that the registry, or one version, reaches.

    A manifest that cannot be read is yielded itself; what it named is then not known.
    """
    with stores.metadata.read() as tables:
        if reference is not None:
            version = resolve(tables, reference)
            manifests = [(version.model, version.number, version.digest)]
            evaluations = tables.list_evaluations(version.model, version.number)
            outcomes = [(e.outcomes, version.name) for e in evaluations]
        else:
            manifests = tables.manifest_digests()
            outcomes = [(digest, "an evaluation") for digest in tables.outcome_digests()]
    for model, number, digest in manifests:
        name = f"{model}/{number}"
        yield NeededBlob(digest=digest, needed_by=name, path="manifest")
        try:
            data = read_verified(stores.blobs, digest, what=name)
            manifest = decode_manifest(data, what=name)
        except DetentError:
            continue
        for path, blob in manifest.blobs():
            yield NeededBlob(digest=blob, needed_by=name, path=path)
    for digest, name in outcomes:
        yield NeededBlob(digest=digest, needed_by=name, path="outcomes")


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


def _check_blob(stores: Stores, digest: str, progress: Progress | None) -> tuple[int, str | None]:
    try:
        with stores.blobs.open(digest) as stream:
            size, actual = hash_stream(stream, progress=progress)
    except NotFoundError:
        return 0, "is missing"
    if actual != digest:
        return size, f"is corrupt: its {size:,} bytes hash to {short_digest(actual)}"
    return size, None
