"""The card of a version, and what went into one version but not into another."""

from collections.abc import Iterator, Mapping
from typing import Any

from detent.domain.digest import short_digest
from detent.domain.manifest import Code, Data
from detent.domain.report import Change, VersionCard
from detent.domain.version import format_size
from detent.registry.manifest import read_manifest
from detent.registry.read import resolve
from detent.registry.stores import Stores


def describe(stores: Stores, reference: Any) -> VersionCard:
    """Return all that is known of a version.

    Raises
    ------
    NotFoundError
        If there is no such version.
    CorruptError
        If its manifest is not what was registered.
    """
    with stores.metadata.read() as tables:
        version = resolve(tables, reference)
        return VersionCard(
            version=version,
            manifest=read_manifest(stores.blobs, version.digest, what=f"`{version}`"),
            duration_s=tables.duration_s(version.model, version.number),
            evaluations=tuple(tables.list_evaluations(version.model, version.number)),
            activations=tuple(tables.activations_of_version(version.model, version.number)),
            decisions=tuple(tables.list_decisions_of_version(version.model, version.number)),
        )


def diff(old: VersionCard, new: VersionCard) -> list[Change]:
    """Return what went into two versions differently: data, code, parameters, packages."""
    a, b = old.manifest.lineage, new.manifest.lineage
    changes = [
        *_diff_value("format", old.manifest.format, new.manifest.format),
        *_diff_value("compiled", _compiler(old), _compiler(new)),
        *_diff_value("estimator", a.estimator, b.estimator),
        *_diff_data(a.data, b.data),
        *_diff_code(a.code, b.code),
        *_diff_mapping("params", a.parameters, b.parameters),
        *_diff_mapping("packages", a.packages, b.packages),
        *_diff_value("python", a.python, b.python),
        *_diff_value("platform", a.platform, b.platform),
        *_diff_value("parents", ", ".join(a.parents), ", ".join(b.parents)),
    ]
    if old.version.size_bytes != new.version.size_bytes:
        sizes = format_size(old.version.size_bytes), format_size(new.version.size_bytes)
        changes.append(Change(part="size", text=f"{sizes[0]} → {sizes[1]}"))
    return changes


def _compiler(card: VersionCard) -> str | None:
    compiled = card.manifest.compiled
    return compiled.compiler if compiled else None


def _diff_value(part: str, before: Any, after: Any) -> Iterator[Change]:
    if before != after:
        yield Change(part=part, text=f"{before or '(none)'} → {after or '(none)'}")


def _diff_mapping(
    part: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[Change]:
    for key in sorted(before.keys() | after.keys()):
        if key not in before:
            yield Change(part=part, text=f"{key} + {after[key]}")
        elif key not in after:
            yield Change(part=part, text=f"{key} − {before[key]}")
        elif before[key] != after[key]:
            yield Change(part=part, text=f"{key} {before[key]} → {after[key]}")


def _diff_data(before: tuple[Data, ...], after: tuple[Data, ...]) -> Iterator[Change]:
    old, new = {data.name: data for data in before}, {data.name: data for data in after}
    if len(before) == len(after) == 1 and before[0].name != after[0].name:
        new = {before[0].name: after[0]}  # one set of data took the place of the other
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            yield Change(part="data", text=f"+ {_describe_data(new[name])}")
        elif name not in new:
            yield Change(part="data", text=f"− {_describe_data(old[name])}")
        elif old[name].digest != new[name].digest:
            yield Change(part="data", text=_describe_data_change(old[name], new[name]))


def _describe_data(data: Data) -> str:
    rows = f" ({data.n_rows:,} rows)" if data.n_rows is not None else ""
    return f"{data.name}{rows} {short_digest(data.digest)}"


def _describe_data_change(old: Data, new: Data) -> str:
    parts = [f"{old.name} → {new.name}" if old.name != new.name else old.name]
    if old.n_rows is not None and new.n_rows is not None and old.n_rows != new.n_rows:
        parts.append(f"{new.n_rows - old.n_rows:+,} rows")
    added = [column for column in new.columns if column not in old.columns]
    gone = [column for column in old.columns if column not in new.columns]
    if added:
        parts.append(f"columns +{len(added)} ({', '.join(added[:5])})")
    if gone:
        parts.append(f"columns −{len(gone)} ({', '.join(gone[:5])})")
    if len(parts) == 1:
        parts.append("other values")
    return ", ".join([*parts, f"{short_digest(old.digest)} → {short_digest(new.digest)}"])


def _diff_code(before: Code | None, after: Code | None) -> Iterator[Change]:
    if before == after:
        return
    yield Change(part="code", text=f"{_describe_code(before)} → {_describe_code(after)}")


def _describe_code(code: Code | None) -> str:
    if code is None or code.commit is None:
        return "(no commit)"
    dirty = "" if code.is_clean else f" + {code.n_changed} changed files"
    return code.commit[:7] + dirty
