"""detent: change a machine-learning model safely, and go back.

>>> import detent
>>> registry = detent.connect("memory:", user="ana")
>>> registry.models()
[]
"""

from typing import TYPE_CHECKING, Any

from detent.errors import (
    ConflictError,
    CorruptError,
    DetentError,
    InconclusiveError,
    InvalidError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from detent.domain.alias import Activation, AliasStatus
    from detent.domain.evidence import Comparison, Decision, Difference, Evaluation, Metric
    from detent.domain.version import Model, Version
    from detent.facade import DetentWarning, Registry
    from detent.opening import connect

# What is not an error comes when it is asked for, so that a command starts without all of it.
_HOMES = {
    "connect": "detent.opening",
    "Activation": "detent.domain.alias",
    "AliasStatus": "detent.domain.alias",
    "Comparison": "detent.domain.evidence",
    "Decision": "detent.domain.evidence",
    "Difference": "detent.domain.evidence",
    "Evaluation": "detent.domain.evidence",
    "Metric": "detent.domain.evidence",
    "Model": "detent.domain.version",
    "Version": "detent.domain.version",
    "DetentWarning": "detent.facade",
    "Registry": "detent.facade",
}

__all__ = [
    "Activation",
    "AliasStatus",
    "Comparison",
    "ConflictError",
    "CorruptError",
    "Decision",
    "DetentError",
    "DetentWarning",
    "Difference",
    "Evaluation",
    "InconclusiveError",
    "InvalidError",
    "Metric",
    "Model",
    "NotFoundError",
    "RefusedError",
    "Registry",
    "UnavailableError",
    "Version",
    "connect",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import importlib

        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    if name == "__version__":
        from importlib.metadata import version

        return version("detent")
    raise AttributeError(f"module 'detent' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
