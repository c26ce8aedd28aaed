"""What it costs to register and to load 200 MB, beside the bare work on the same bytes."""

import hashlib
import io
import os
from pathlib import Path

import numpy as np
import skops.io
from sklearn.neighbors import KNeighborsRegressor

from benchmarks.measure import Row, interleave, peak_memory
from benchmarks.registries import make_registry
from detent.blobs.base import CHUNK

SIZE = 200_000_000


def measure(folder: Path, *, repeats: int = 7, size: int = SIZE) -> list[Row]:
    registry = make_registry(folder / "storing")
    data = np.random.default_rng(0).bytes(size)
    path = folder / "weights.bin"
    path.write_bytes(data)
    target = folder / "bare.bin"
    counter = iter(range(10**6))

    def register_file() -> None:
        # Another name each time: the same bytes under one name would be the same version.
        version = registry.register(f"file-{next(counter)}", path, format="files")
        _forget(registry, version)

    def write_bare() -> None:
        _write_durably(data, target)
        target.unlink()

    ours, theirs = interleave(register_file, write_bare, repeats=repeats)
    mb = f"{size // 1_000_000} MB"
    peer = "writing, hashing and fsyncing the bytes"
    rows = [Row(what=f"register a file of {mb}", peer=peer, ours=ours, theirs=theirs, limit=1.3)]

    X = np.random.default_rng(0).standard_normal((size // 80, 10))
    model = KNeighborsRegressor(algorithm="brute").fit(X, X[:, 0])
    small = KNeighborsRegressor(algorithm="brute").fit(X[:50], X[:50, 0])
    registry.register("small", small)
    stored = skops.io.dumps(model)

    def register_model() -> None:
        _forget(registry, registry.register(f"model-{next(counter)}", model))

    def write_stored() -> None:
        _write_durably(stored, target)
        target.unlink()

    ours, theirs = interleave(register_model, write_stored, repeats=repeats)
    rows.append(
        Row(what=f"register an estimator of {mb}", peer=peer, ours=ours, theirs=theirs, limit=None)
    )

    def dump_and_write() -> None:
        _write_durably(skops.io.dumps(model), target)
        target.unlink()

    ours, theirs = interleave(register_model, dump_and_write, repeats=repeats)
    rows.append(
        Row(
            what=f"register an estimator of {mb}",
            peer="skops' own dump, and the same",
            ours=ours,
            theirs=theirs,
            limit=1.3,
        )
    )
    registry.register("large", model)
    target.write_bytes(stored)
    trusted = skops.io.get_untrusted_types(data=stored)

    def load_bare() -> None:
        with target.open("rb") as stream:
            hashlib.file_digest(stream, "sha256")
        skops.io.load(target, trusted=trusted)

    ours, theirs = interleave(lambda: registry.load("large/1"), load_bare, repeats=repeats)
    rows.append(
        Row(
            what=f"load {mb}, verified",
            peer="skops' own load, and hashing",
            ours=ours,
            theirs=theirs,
            limit=1.2,
        )
    )
    rows.append(_memory(folder, path, size))
    rows.append(_small(registry, folder, small, repeats))
    return rows


def _memory(folder: Path, path: Path, size: int) -> Row:
    setup = "import detent, detent.registration, detent.formats.files\n"
    source = f"""detent.connect({str(folder / "memory")!r}).register("m", {str(path)!r})"""
    return Row(
        what=f"register a file of {size // 1_000_000} MB, memory",
        peer="the imports alone",
        ours=peak_memory(setup + source),
        theirs=peak_memory(setup),
        limit=None,
        unit="MB",
    )


def _small(registry, folder: Path, small, repeats: int) -> Row:  # type: ignore[no-untyped-def]
    counter = iter(range(10**6))
    stored = skops.io.dumps(small)

    def write() -> None:
        target = folder / f"small-{next(counter)}.skops"
        _write_durably(stored, target)

    ours, theirs = interleave(
        lambda: registry.register(f"small-{next(counter)}", small), write, repeats=repeats
    )
    return Row(
        what="register a small estimator, with lineage",
        peer="writing, hashing and fsyncing its bytes",
        ours=ours,
        theirs=theirs,
        limit=None,
    )


def _write_durably(data: bytes, path: Path) -> None:
    hasher = hashlib.sha256()
    source = io.BytesIO(data)
    with path.open("wb", buffering=0) as target:
        while chunk := source.read(CHUNK):
            hasher.update(chunk)
            target.write(chunk)
        os.fsync(target.fileno())


def _forget(registry, version) -> None:  # type: ignore[no-untyped-def]
    """Remove the file of a version, so that the next one is written anew."""
    for file in registry.show(version).manifest.files:
        registry._stores.blobs.delete(file.digest)
