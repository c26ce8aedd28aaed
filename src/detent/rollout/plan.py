"""A plan as people write it, and what may stand in one."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from detent.domain.rollout import Labels, Plan, Unlabelled
from detent.errors import InvalidError

NOTHING = "; nothing was started"
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d|w)")
_UNIT_S = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_SHARES = ("sample", "guard_sample")
_OPTIONAL = ("loss_bound", "slo_s", "drift_limit")
_RANGES: dict[str, tuple[float, float]] = {
    "shadow_s": (0, 366 * 86400),
    "step_s": (0, 366 * 86400),
    "guard_s": (0, 366 * 86400),
    "label_window_s": (0, 366 * 86400),
    "step_requests": (0, 10**9),
    "max_labels": (1, 10**9),
    "margin": (1e-6, 0.5),
    "alpha": (1e-6, 0.2),
    "error_limit": (1e-4, 0.9),
    "slow_limit": (1e-4, 0.9),
    "timeout_s": (0.001, 3600),
    "features": (0, 200),
}


def make_plan(**given: Any) -> Plan:
    """Return a plan from what was given: durations, shares and choices as values or as text.

    Raises
    ------
    InvalidError
        If there is no such part of a plan, or a value is out of its range.

    Examples
    --------
    >>> plan = make_plan(shadow="30min", canary="1%,10%,50%", labels="none")
    >>> plan.shadow_s, plan.canary, plan.labels
    (1800.0, (0.01, 0.1, 0.5), <Labels.NONE: 'none'>)
    """
    names = {name.removesuffix("_s"): name for name in Plan.__dataclass_fields__}
    values: dict[str, Any] = {}
    for key, value in given.items():
        name = names.get(key.removesuffix("_s"))
        if name is None:
            raise InvalidError(
                f"a plan has no `{key}`{NOTHING}", hint=f"it has: {', '.join(sorted(names))}"
            )
        values[name] = _read(name, value)
    return check_plan(replace(Plan(), **values))


def check_plan(plan: Plan) -> Plan:
    """Return a plan that can be followed.

    Raises
    ------
    InvalidError
        If a value is out of its range.
    """
    for name, (low, high) in _RANGES.items():
        if not low <= getattr(plan, name) <= high:
            raise _out_of_range(name, getattr(plan, name), f"{low:g} to {high:g}")
    for name in _SHARES:
        if not 0 < getattr(plan, name) <= 1:
            raise _out_of_range(name, getattr(plan, name), "above 0, at most 1")
    rising = all(a < b for a, b in zip(plan.canary, plan.canary[1:], strict=False))
    if not rising or not all(0 < share < 1 for share in plan.canary):
        raise _out_of_range("canary", list(plan.canary), "rising shares between 0 and 1")
    if plan.shadow_s == 0 and not plan.canary:
        raise InvalidError(
            f"a plan without shadow and canary is no rollout{NOTHING}",
            hint="to activate at once: `detent activate`",
        )
    if plan.labels is Labels.DISAGREEMENTS and plan.label_window_s == 0:
        raise InvalidError(
            "rows that need no label have to wait for those that do, so the label window cannot be"
            f" 0{NOTHING}",
            hint="say after how long the labels are there: --label-window 1d",
        )
    if plan.drift_limit is not None and not 0 < plan.drift_limit < 1:
        raise _out_of_range("drift_limit", plan.drift_limit, "between 0 and 1")
    for name in ("loss_bound", "slo_s"):
        value = getattr(plan, name)
        if value is not None and not 0 < value < float("inf"):
            raise _out_of_range(name, value, "above 0")
    return plan


def parse_duration(text: str | float) -> float:
    """Return seconds.

    Raises
    ------
    InvalidError
        If the text is no duration.

    Examples
    --------
    >>> parse_duration("1.5h"), parse_duration("250ms"), parse_duration("0")
    (5400.0, 0.25, 0.0)
    """
    if not isinstance(text, str):
        return float(text)
    if text.strip() == "0":
        return 0.0
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise InvalidError(
            f"{text[:40]!a} is not a duration: write `30s`, `15min`, `1h`, `2d`{NOTHING}"
        )
    return float(found[1]) * _UNIT_S[found[2]]


def duration_text(seconds: float) -> str:
    """Return a duration as `parse_duration` reads it, in its largest whole unit.

    Examples
    --------
    >>> duration_text(5400), duration_text(86400), duration_text(0.25)
    ('90min', '1d', '250ms')
    """
    for unit in ("d", "h", "min", "s"):
        if seconds >= _UNIT_S[unit] and seconds % _UNIT_S[unit] == 0:
            return f"{seconds / _UNIT_S[unit]:.0f}{unit}"
    return f"{seconds * 1000:.0f}ms" if seconds else "0"


def parse_share(text: str | float) -> float:
    """Return a share between 0 and 1 of `10%` or `0.1`.

    Raises
    ------
    InvalidError
        If the text is no share.

    Examples
    --------
    >>> parse_share("10%"), parse_share("0.1")
    (0.1, 0.1)
    """
    try:
        if isinstance(text, str) and text.strip().endswith("%"):
            return float(text.strip()[:-1]) / 100
        return float(text)
    except ValueError:
        raise InvalidError(
            f"{str(text)[:40]!a} is not a share: write `10%` or `0.1`{NOTHING}"
        ) from None


def _read(name: str, value: Any) -> Any:
    if isinstance(value, bool) or (value is None and name not in _OPTIONAL):
        raise InvalidError(f"`{name}` of a plan is {value!r}{NOTHING}")
    if value is None:
        return None
    if name == "canary":
        parts = value.split(",") if isinstance(value, str) else value
        return tuple(parse_share(part) for part in parts if part != "")
    if name in ("labels", "unlabelled"):
        kind = Labels if name == "labels" else Unlabelled
        try:
            return kind(str(value).replace("-", "_"))
        except ValueError:
            known = ", ".join(kind)
            raise InvalidError(f"`{name}` is one of {known}, not {value!r}{NOTHING}") from None
    if name.endswith("_s"):
        return parse_duration(value)
    if name in ("step_requests", "max_labels", "features"):
        try:
            return int(value)
        except ValueError:
            raise InvalidError(
                f"`{name}` of a plan is {str(value)[:40]!a}: a whole number is expected{NOTHING}"
            ) from None
    return parse_share(value)


def _out_of_range(name: str, value: Any, allowed: str) -> InvalidError:
    return InvalidError(f"`{name}` of a plan is {value}: {allowed} is expected{NOTHING}")
