"""Ray: evaluating with Ray Data, serving with Ray Serve.

An *engine* (`RayEngine`) scores Parquet files in actors; `deployment` answers requests in replicas,
each of which follows an alias as a worker of ``detent serve`` does.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detent.integrations.ray.scoring import RayEngine
    from detent.integrations.ray.serving import deployment

# Ray tells its makers how it is used, unless it is told not to before it is imported.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

__all__ = ["RayEngine", "deployment"]
_MODULES = {"RayEngine": "scoring", "deployment": "serving"}  # who scores does not need Ray Serve


def __getattr__(name: str) -> Any:
    """Return a public name, importing its module."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
