"""Registries to measure."""

from pathlib import Path

import detent
from detent.blobs.base import put
from detent.domain.manifest import File, Manifest
from detent.registry.register import register_manifest


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
