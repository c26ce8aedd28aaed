"""detent: change a machine-learning model safely, and go back.

>>> import detent
>>> detent.connect("memory:", user="ana").models()
[]
"""

from typing import TYPE_CHECKING, Any

from detent.domain import shown
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
    from detent.domain.access import NewToken, Role, Token
    from detent.domain.alias import Activation, AliasStatus, History, Hold, Refusal
    from detent.domain.events import Event
    from detent.domain.evidence import (
        Approval,
        Comparison,
        Decision,
        Difference,
        Evaluation,
        Metric,
        Outcome,
        OwnMetric,
        Policy,
        Ranking,
        Rule,
        RuleResult,
        SliceDifference,
        Trial,
        Verdict,
    )
    from detent.domain.manifest import (
        Code,
        Compiled,
        Data,
        Field,
        File,
        Lineage,
        Manifest,
        Signature,
    )
    from detent.domain.report import (
        BlobProblem,
        Change,
        CopyReport,
        JournalReport,
        PruneReport,
        RepairReport,
        VerifyReport,
        VersionCard,
    )
    from detent.domain.reproduction import Likeness, Reproduction, ReproductionPlan
    from detent.domain.rollout import (
        Drift,
        FeatureDrift,
        Joined,
        Labels,
        LabelWanted,
        Phase,
        Plan,
        Reading,
        Rollout,
        RolloutStatus,
        Signal,
        Unlabelled,
    )
    from detent.domain.server import Confirmation, Server
    from detent.domain.shown import Views
    from detent.domain.version import Model, Version
    from detent.domain.webhook import Delivery, NewWebhook, Webhook
    from detent.facade import DetentWarning, Registry
    from detent.lineage.record import Recording
    from detent.opening import connect
    from detent.reports.report import Report
    from detent.runtime.live import Live

__all__ = [
    "Activation",
    "AliasStatus",
    "Approval",
    "BlobProblem",
    "Change",
    "Code",
    "Comparison",
    "Compiled",
    "Confirmation",
    "ConflictError",
    "CopyReport",
    "CorruptError",
    "Data",
    "Decision",
    "Delivery",
    "DetentError",
    "DetentWarning",
    "Difference",
    "Drift",
    "Evaluation",
    "Event",
    "FeatureDrift",
    "Field",
    "File",
    "History",
    "Hold",
    "InconclusiveError",
    "InvalidError",
    "Joined",
    "JournalReport",
    "LabelWanted",
    "Labels",
    "Likeness",
    "Lineage",
    "Live",
    "Manifest",
    "Metric",
    "Model",
    "NewToken",
    "NewWebhook",
    "NotFoundError",
    "Outcome",
    "OwnMetric",
    "Phase",
    "Plan",
    "Policy",
    "PruneReport",
    "Ranking",
    "Reading",
    "Recording",
    "Refusal",
    "RefusedError",
    "Registry",
    "RepairReport",
    "Report",
    "Reproduction",
    "ReproductionPlan",
    "Role",
    "Rollout",
    "RolloutStatus",
    "Rule",
    "RuleResult",
    "Server",
    "Signal",
    "Signature",
    "SliceDifference",
    "Token",
    "Trial",
    "UnavailableError",
    "Unlabelled",
    "Verdict",
    "VerifyReport",
    "Version",
    "VersionCard",
    "Webhook",
    "connect",
]

# What is not an error comes when it is asked for, so that a command starts without all of it.
_HOMES = {
    "detent.domain.access": ("NewToken", "Role", "Token"),
    "detent.domain.alias": (
        "Activation",
        "AliasStatus",
        "History",
        "Hold",
        "Refusal",
    ),
    "detent.domain.events": ("Event",),
    "detent.domain.evidence": (
        "Approval",
        "Comparison",
        "Decision",
        "Difference",
        "Evaluation",
        "Metric",
        "Outcome",
        "OwnMetric",
        "Policy",
        "Ranking",
        "Rule",
        "RuleResult",
        "SliceDifference",
        "Trial",
        "Verdict",
    ),
    "detent.domain.manifest": (
        "Code",
        "Compiled",
        "Data",
        "Field",
        "File",
        "Lineage",
        "Manifest",
        "Signature",
    ),
    "detent.domain.report": (
        "BlobProblem",
        "Change",
        "CopyReport",
        "JournalReport",
        "PruneReport",
        "RepairReport",
        "VerifyReport",
        "VersionCard",
    ),
    "detent.domain.reproduction": ("Likeness", "Reproduction", "ReproductionPlan"),
    "detent.domain.rollout": (
        "Drift",
        "FeatureDrift",
        "Joined",
        "LabelWanted",
        "Labels",
        "Phase",
        "Plan",
        "Reading",
        "Rollout",
        "RolloutStatus",
        "Signal",
        "Unlabelled",
    ),
    "detent.domain.server": (
        "Confirmation",
        "Server",
    ),
    "detent.domain.version": (
        "Model",
        "Version",
    ),
    "detent.domain.webhook": (
        "Delivery",
        "NewWebhook",
        "Webhook",
    ),
    "detent.facade": (
        "DetentWarning",
        "Registry",
    ),
    "detent.lineage.record": ("Recording",),
    "detent.opening": ("connect",),
    "detent.runtime.live": ("Live",),
    "detent.reports.report": ("Report",),
}


def _views() -> "Views":
    from detent.reports import views

    return views


shown.show_by(_views)


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            import importlib

            value = getattr(importlib.import_module(home), name)
            globals()[name] = value
            return value
    if name == "__version__":
        from importlib.metadata import version

        return version("detent")
    raise AttributeError(f"module 'detent' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
