"""Registering a model: its format, its lineage, its signature, and the row that names them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detent.blobs.base import Progress, put
from detent.data.table import encode_table, head
from detent.domain.manifest import File, Manifest
from detent.domain.reference import check_model_name
from detent.domain.version import Version
from detent.formats.lookup import choose_format
from detent.lineage.code import describe_changes
from detent.lineage.record import record_lineage
from detent.lineage.signature import infer_signature
from detent.registry.annotate import check_text
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
    version, is_new = register_manifest(
        stores, name, manifest, note=note, duration_s=duration_s, dry_run=dry_run
    )
    if not is_new:
        return version, [
            f"these bytes and this lineage are already {version}; nothing was registered"
        ]
    remark = describe_changes(lineage.code, version.name) if lineage.code else None
    return version, [remark] if remark else []


def _store_sample(stores: Stores, sample: Any) -> File | None:
    if sample is None:
        return None
    with stores.blobs.create() as writer:
        for chunk in encode_table(head(sample, MAX_SAMPLE_ROWS)):
            writer.write(chunk)
    return File(path="sample", digest=writer.digest, size_bytes=writer.size_bytes)
