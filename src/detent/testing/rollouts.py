"""Rollouts as values, for tests and benchmarks of what reads them."""

from typing import Any

from detent.domain.clock import EPOCH
from detent.domain.rollout import Phase, Plan, Rollout, RolloutStatus


def make_rollout(**fields: Any) -> Rollout:
    """Return a rollout of ``churn/2`` in the place of ``churn/1`` that runs in its shadow.

    Examples
    --------
    >>> make_rollout(candidate=3).candidate
    3
    """
    known: dict[str, Any] = {
        "id": 1,
        "model": "churn",
        "alias": "production",
        "candidate": 2,
        "baseline": 1,
        "entry": 1,
        "plan": Plan(),
        "status": RolloutStatus.RUNNING,
        "phase": Phase.SHADOW,
        "step": 0,
        "at": EPOCH,
        "by": "ana",
        "phase_at": EPOCH,
    }
    return Rollout(**known | fields)
