"""The log: one JSON object a line, on stderr."""

from __future__ import annotations

import logging
from typing import Any

from detent.server.logs import log_config

_logger = logging.getLogger("detent.serve")


def log(event: str, *, is_problem: bool = False, **fields: Any) -> None:
    """Write what happened."""
    level = logging.WARNING if is_problem else logging.INFO
    _logger.log(level, event, extra={"fields": fields})


LOG_CONFIG = log_config("detent.serve")
