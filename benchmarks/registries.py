"""Registries to measure: with few versions, and with very many."""

from pathlib import Path

import detent
from detent.blobs.base import put
from detent.domain.manifest import File, Manifest
from detent.domain.version import Version
from detent.registry.register import register_manifest
from detent.registry.stores import change


def make_registry(folder: Path) -> detent.Registry:
    registry = detent.connect(folder, user="bench")
    registry.create()
    return registry


def add_versions(registry: detent.Registry, model: str, n: int) -> None:
    """Register small versions, each with a file of its own."""
    stores = registry._stores
    for i in range(n):
        data = f"model {i}".encode()
        file = File(path="model", digest=put(stores.blobs, data), size_bytes=len(data))
        register_manifest(stores, model, Manifest(format="files", files=(file,)), note=f"run {i}")


def add_rows(registry: detent.Registry, model: str, n: int) -> None:
    """Add rows of versions without their bytes, in one transaction: only reading is measured."""
    with change(registry._stores) as step:
        step.tables.insert_model(model, at_us=step.at_us, actor=step.actor)
        for _ in range(n):
            number = step.tables.take_number(model)
            version = Version(
                model=model,
                number=number,
                digest=f"sha256:{number:064x}",
                format="skops",
                size_bytes=4_100_000,
                created_at=step.at,
                created_by="ci" if number % 2 else "ana",
                code=f"{number:07x}",
                data=f"2026-{number % 12 + 1:02d}",
                note=f"weekly retrain {number}, {number % 1000} trees",
            )
            step.tables.insert_version(version, at_us=step.at_us, duration_s=1.0)
