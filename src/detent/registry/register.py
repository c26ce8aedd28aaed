"""Registering: blobs first, then the manifest, then one row that names it."""

from collections.abc import Iterable

from detent.blobs.base import put
from detent.domain.clock import to_us
from detent.domain.digest import short_digest
from detent.domain.events import EventType
from detent.domain.manifest import Code, Manifest, is_safe_path
from detent.domain.reference import check_model_name
from detent.domain.version import Version
from detent.errors import ConflictError, InvalidError
from detent.registry.manifest import encode_manifest
from detent.registry.stores import Stores, change


def register_manifest(
    stores: Stores,
    model: str,
    manifest: Manifest,
    *,
    note: str | None = None,
    duration_s: float | None = None,
    dry_run: bool = False,
) -> tuple[Version, bool]:
    """Give a manifest, whose blobs are stored, the next number of a model.

    Returns
    -------
    version : Version
        The version. When the same manifest is registered already, that one.
    is_new : bool
        Whether it was registered now.

    Raises
    ------
    InvalidError
        If the name is malformed, or the manifest claims what its blobs are not.
    ConflictError
        If a blob of the manifest was removed meanwhile.
    UnavailableError
        If a store has no room or does not answer.
    """
    check_model_name(model)
    _check_manifest(stores, manifest)
    digest = put(stores.blobs, encode_manifest(manifest))
    with change(stores, dry_run=dry_run) as step:
        tables = step.tables
        tables.insert_model(model, at_us=step.at_us, actor=step.actor)
        for known in tables.find_versions_by_digest(model, digest):
            return known, False
        check_blobs(stores, [digest, *(blob for _, blob in manifest.blobs())])
        lineage = manifest.lineage
        version = Version(
            model=model,
            number=tables.take_number(model),
            digest=digest,
            format=manifest.format,
            size_bytes=manifest.size_bytes,
            created_at=step.at,
            created_by=step.actor,
            code=_code_summary(lineage.code),
            data=", ".join(data.name for data in lineage.data)[:200] or None,
            note=note,
        )
        tables.insert_version(version, at_us=step.at_us, duration_s=duration_s)
        step.record(
            EventType.VERSION_REGISTERED,
            {
                "model": model,
                "version": version.number,
                "digest": digest,
                "format": manifest.format,
                "size_bytes": version.size_bytes,
                "duration_s": duration_s,
                "code": version.code,
                "data": version.data,
                "note": note,
            },
        )
    return version, True


def _check_manifest(stores: Stores, manifest: Manifest) -> None:
    """Check what a manifest claims: whoever sends one need not have made it with this code."""
    files = manifest.files if manifest.sample is None else (*manifest.files, manifest.sample)
    seen: set[str] = set()
    for file in files:
        is_sample = file is manifest.sample  # its path may be that of a file: it lies elsewhere
        if not is_safe_path(file.path) or (file.path in seen and not is_sample):
            raise InvalidError(
                f"the manifest names the path {ascii(file.path)[:200]}, which is not one file"
                " inside a folder; nothing was registered"
            )
        seen.add(file.path)
        size = stores.blobs.find_size(file.digest)
        if size is not None and size != file.size_bytes:
            raise InvalidError(
                f"the manifest says that `{file.path}` has {file.size_bytes:,} bytes; its blob has"
                f" {size:,}; nothing was registered"
            )


def create_registry(stores: Stores) -> bool:
    """Make the registry if there is none; return whether it was made."""
    return stores.metadata.create(at_us=to_us(stores.clock()), actor=stores.actor)


def check_blobs(stores: Stores, digests: Iterable[str]) -> None:
    """Check, in a change, that the blobs a new row will name are there still.

    `prune` deletes under the same lock: what is there now stays there.

    Raises
    ------
    ConflictError
        If one was removed since it was stored.
    """
    for digest in digests:
        if stores.blobs.find_size(digest) is None:
            raise ConflictError(
                f"blob {short_digest(digest)} was removed by `detent prune` before a row could"
                " name it; nothing was changed",
                hint="run the same command again",
                details={"digest": digest},
            )


def _code_summary(code: Code | None) -> str | None:
    if code is None or code.commit is None:
        return None
    return code.commit[:7] + ("" if code.is_clean else "+")
