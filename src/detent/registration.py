"""Registering a model: its format, its lineage, its signature, and the row that names them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from detent.blobs.base import Progress, put, read_verified
from detent.compilers.make import Form, compile_model
from detent.data.table import decode_table, encode_table, head
from detent.domain.manifest import Compiled, File, Lineage, Manifest
from detent.domain.reference import check_model_name
from detent.domain.version import Version
from detent.errors import InvalidError, NotFoundError
from detent.formats.lookup import choose_format, get_format
from detent.lineage.code import describe_changes
from detent.lineage.record import record_lineage
from detent.lineage.signature import infer_signature
from detent.operations import Operations
from detent.registry.annotate import check_text
from detent.registry.files import FILE_NAMES, FORMATS_BY_ENDING, Takeover, load_version, store_file
from detent.registry.manifest import BlobSink, read_manifest

MAX_SAMPLE_ROWS = 100  # of the rows given, the first so many are kept


def register(
    operations: Operations,
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
    compile: str | None = None,
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
    form, remark = None, None
    if compile is not None:
        form, remark = compile_model(model, sample, name=compile)
    operations.create()
    sink = BlobSink(operations.blobs, progress)
    options = chosen.save(model, sink)
    # After saving: what the format imports is needed to load, and belongs to the packages.
    lineage, kept = record_lineage(
        model,
        data=data,
        parents=tuple(parent.name for parent in parents),
        code_folder=code,
    )
    for blob in kept.values():
        put(operations.blobs, blob)
    manifest = Manifest(
        format=chosen.name,
        files=tuple(sink.files),
        sample=_store_sample(operations, sample),
        signature=signature,
        lineage=lineage,
        options=options,
        compiled=_store_form(operations, form) if form is not None else None,
    )
    version, remarks = _finish(
        operations, name, manifest, note=note, duration_s=duration_s, dry_run=dry_run
    )
    return version, [*remarks, f"{version}: {remark}"] if remark else remarks


def compile_version(
    operations: Operations,
    version: Version,
    *,
    compiler: str,
    sample: Any,
    note: str | None,
    trusted: bool | Sequence[str],
    dry_run: bool,
) -> tuple[Version, list[str]]:
    """Register a version again with a compiled form; see `Registry.compile`.

    Returns
    -------
    version : Version
        The new version, of the same files and the same lineage.
    remarks : list of str
        What the user should know.
    """
    what, blobs = f"`{version}`", operations.blobs
    note = check_text(note, "a note") if note is not None else None
    manifest = read_manifest(blobs, version.digest, what=what)
    model = load_version(blobs, version, trusted=trusted)
    if sample is None and manifest.sample is not None:
        sample = decode_table(read_verified(blobs, manifest.sample.digest, what=what))
    form, remark = compile_model(model, sample, name=compiler)
    if form is None:
        raise InvalidError(f"{what} was not compiled: {remark}; nothing was registered")
    return _finish(
        operations,
        version.model,
        replace(manifest, compiled=_store_form(operations, form)),
        note=note or f"{version.name}, compiled by {form.compiler}",
        duration_s=None,
        dry_run=dry_run,
    )


def _store_form(operations: Operations, form: Form) -> Compiled:
    digest = put(operations.blobs, form.data)
    return Compiled(
        compiler=form.compiler,
        file=File(path=f"compiled/{form.compiler}", digest=digest, size_bytes=len(form.data)),
        n_checked=form.n_checked,
        tolerance=form.tolerance,
    )


def _finish(
    operations: Operations,
    name: str,
    manifest: Manifest,
    *,
    note: str | None,
    duration_s: float | None,
    dry_run: bool,
) -> tuple[Version, list[str]]:
    done = operations.register_manifest(
        name, manifest, note=note, duration_s=duration_s, dry_run=dry_run
    )
    version = done.version
    if not done.is_new:
        return version, [
            f"these bytes and this lineage are already {version}; nothing was registered"
        ]
    code = manifest.lineage.code
    remark = describe_changes(code, version.name) if code else None
    return version, [remark] if remark else []


def _store_sample(operations: Operations, sample: Any) -> File | None:
    if sample is None:
        return None
    with operations.blobs.create() as writer:
        for chunk in encode_table(head(sample, MAX_SAMPLE_ROWS)):
            writer.write(chunk)
    return File(path="sample", digest=writer.digest, size_bytes=writer.size_bytes)


def register_file(
    operations: Operations,
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
    operations.create()
    sink = BlobSink(operations.blobs, progress)
    options: dict[str, Any] = {}
    if chosen in FILE_NAMES:
        store_file(sink, path, FILE_NAMES[chosen])
    else:
        options = get_format(chosen).save(path, sink)
    for blob in kept.values():
        put(operations.blobs, blob)
    manifest = Manifest(format=chosen, files=tuple(sink.files), lineage=lineage, options=options)
    return _finish(operations, name, manifest, note=note, duration_s=None, dry_run=dry_run)


def take_over(operations: Operations, item: Takeover) -> Version:
    """Register a file as it is, without loading it: pickles in it are not run.

    Raises
    ------
    NotFoundError
        If the file is gone.
    """
    operations.create()
    sink = BlobSink(operations.blobs)
    try:
        store_file(sink, item.path, FILE_NAMES.get(item.format, item.path.name))
    except FileNotFoundError:
        raise NotFoundError(f"{item.path} is gone; it was not imported") from None
    manifest = Manifest(
        format=item.format,
        files=tuple(sink.files),
        lineage=Lineage(recipe=("detent", "import", item.path.name)),
    )
    return operations.register_manifest(
        item.model,
        manifest,
        note=f"imported from {item.path.name}, modified {item.modified_at:%Y-%m-%d %H:%M} UTC",
    ).version
