"""What is told of one request that a version answered."""

from dataclasses import dataclass, field
from typing import Any

from detent.runtime.deployment import Deployment, Role
from detent.runtime.slot import Slot


@dataclass(slots=True)
class Answered:
    """One request that a version answered, or failed to: what observers are told.

    ``rows`` is what the model was given, ``answers`` what it gave, by method; ``error`` is set when
    it raised. ``started_at`` is of `time.time`. ``key`` is what the lot was drawn by, where a lot
    decided who answers, and ``has_key`` says whether the request brought it.
    """

    deployment: Deployment
    slot: Slot
    role: Role
    request_id: str
    rows: Any
    n_rows: int
    started_at: float
    seconds: float = 0.0
    answers: dict[str, Any] = field(default_factory=dict)
    error: Exception | None = None
    key: str | None = None
    has_key: bool = False
