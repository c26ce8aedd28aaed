"""Who is answered by the candidate: decided by lot, and the same each time for the same key."""

from __future__ import annotations

from hashlib import blake2b

from detent.runtime.deployment import Deployment, Role
from detent.runtime.slot import Slot


def draw(rollout: int, key: str, *, what: str = "canary") -> float:
    """Return the lot of a key in a rollout: from 0 to below 1, evenly.

    Another rollout draws anew, so that it is not always the same people who try. As the canary's
    share grows, who was in it stays in it.

    Examples
    --------
    >>> draw(1, "ana") == draw(1, "ana"), draw(1, "ana") == draw(2, "ana")
    (True, False)
    """
    return draw_number(rollout, key, what=what) / 2**63


def draw_number(rollout: int, key: str, *, what: str = "canary") -> int:
    """Return the lot as a whole number below 2 to the 63rd: it also stands for the key."""
    digest = blake2b(f"{what}:{rollout}:{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


class CanaryRouter:
    """Sends a share of requests to the candidate. Pure; shared freely."""

    def __init__(self, rollout: int, weight: float) -> None:
        self.rollout = rollout
        self.weight = weight

    def __call__(self, deployment: Deployment, key: str) -> tuple[Slot, Role]:
        """Return the slot for a request of this key."""
        assert deployment.active is not None
        if deployment.candidate is not None and draw(self.rollout, key) < self.weight:
            return deployment.candidate, Role.CANARY
        return deployment.active, Role.ACTIVE
