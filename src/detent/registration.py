"""Registering a model: its format, its lineage, its signature, and the row that names them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from detent.blobs.base import Progress, put
from detent.data.table import encode_table, head
from detent.domain.manifest import File, Manifest
from detent.domain.reference import check_model_name
from detent.domain.version import Version
from detent.errors import NotFoundError
from detent.formats.lookup import choose_format, get_format
from detent.lineage.code import describe_changes
from detent.lineage.record import record_lineage
from detent.lineage.signature import infer_signature
from detent.registry.annotate import check_text
from detent.registry.files import FILE_NAMES, FORMATS_BY_ENDING, store_file
from detent.registry.manifest import BlobSink
from detent.registry.register import create_registry, register_manifest
from detent.registry.stores import Stores

MAX_SAMPLE_ROWS = 100  # of the rows given, the first so many are kept


def register(
    stores: Stores,
    name: str,
    model: Any,
    *,
    sample: Any,
    data: Any,
    note: str | None,
    format: str | None,
    parents: Sequence[Version],
    code: Path | None,
    duration_s: float | None,
    progress: Progress | None,
    dry_run: bool,
) -> tuple[Version, list[str]]:
    """Store a model and give it its number; see `Registry.register`.

    What can be refused is looked at before the first byte is stored.

    Returns
    -------
    version : Version
        The version.
    remarks : list of str
        What the user should know.
    """
    check_model_name(name)
    note = check_text(note, "a note") if note is not None else None
    chosen = choose_format(model, name=format)
    signature = infer_signature(model, sample)
    create_registry(stores)
    sink = BlobSink(stores.blobs, progress)
    options = chosen.save(model, sink)
    # After saving: what the format imports is needed to load, and belongs to the packages.
    lineage, kept = record_lineage(
        model,
        data=data,
        parents=tuple(parent.name for parent in parents),
        code_folder=code,
    )
    for blob in kept.values():
        put(stores.blobs, blob)
    manifest = Manifest(
        format=chosen.name,
        files=tuple(sink.files),
        sample=_store_sample(stores, sample),
        signature=signature,
        lineage=lineage,
        options=options,
    )
    return _finish(stores, name, manifest, note=note, duration_s=duration_s, dry_run=dry_run)


def _finish(
    stores: Stores,
    name: str,
    manifest: Manifest,
    *,
    note: str | None,
    duration_s: float | None,
    dry_run: bool,
) -> tuple[Version, list[str]]:
    version, is_new = register_manifest(
        stores, name, manifest, note=note, duration_s=duration_s, dry_run=dry_run
    )
    if not is_new:
        return version, [
            f"these bytes and this lineage are already {version}; nothing was registered"
        ]
    code = manifest.lineage.code
    remark = describe_changes(code, version.name) if code else None
    return version, [remark] if remark else []


def _store_sample(stores: Stores, sample: Any) -> File | None:
    if sample is None:
        return None
    with stores.blobs.create() as writer:
        for chunk in encode_table(head(sample, MAX_SAMPLE_ROWS)):
            writer.write(chunk)
    return File(path="sample", digest=writer.digest, size_bytes=writer.size_bytes)


def register_file(
    stores: Stores,
    name: str,
    path: Path,
    *,
    data: Any,
    note: str | None,
    format: str | None,
    parents: Sequence[Version],
    progress: Progress | None,
    dry_run: bool,
) -> tuple[Version, list[str]]:
    """Store a model's file as it is, without loading it; see `Registry.register_file`.

    Returns
    -------
    version : Version
        The version.
    remarks : list of str
        What the user should know.
    """
    check_model_name(name)
    note = check_text(note, "a note") if note is not None else None
    if not path.exists():
        raise NotFoundError(f"there is no file {path}; nothing was registered")
    chosen = format or FORMATS_BY_ENDING.get(path.suffix.lower(), "files")
    lineage, kept = record_lineage(
        None, data=data, parents=tuple(parent.name for parent in parents)
    )
    # Nothing that runs here made the file: what did is not known.
    lineage = replace(lineage, estimator=None, parameters={}, packages={}, recipe=())
    create_registry(stores)
    sink = BlobSink(stores.blobs, progress)
    options: dict[str, Any] = {}
    if chosen in FILE_NAMES:
        store_file(sink, path, FILE_NAMES[chosen])
    else:
        options = get_format(chosen).save(path, sink)
    for blob in kept.values():
        put(stores.blobs, blob)
    manifest = Manifest(format=chosen, files=tuple(sink.files), lineage=lineage, options=options)
    return _finish(stores, name, manifest, note=note, duration_s=None, dry_run=dry_run)
