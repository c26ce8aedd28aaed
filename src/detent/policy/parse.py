"""From a policy file to rules: what may stand in it, and what each parameter may be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from detent.domain.evidence import Rule, RuleResult
from detent.errors import InvalidError
from detent.policy import limits, rules, shown

NOTHING = "; nothing was changed"
DEFAULT: Mapping[str, Any] = {"rule": [{"name": "not_worse"}]}  # of a protected alias
MAX_APPROVALS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """What a parameter may be: of a type, and within a range that a sentence tells."""

    kind: type
    is_allowed: Callable[[Any], bool] = lambda value: True
    demand: str = ""


_TEXT = Parameter(kind=str, is_allowed=lambda v: bool(v.strip()), demand="not empty")
_FLAG = Parameter(kind=bool)
_SHARE = Parameter(kind=float, is_allowed=lambda v: 0 < v < 1, demand="between 0 and 1")
_MARGIN = Parameter(
    kind=float,
    is_allowed=lambda v: 0 < v < 1,
    demand="the loss that is allowed, above 0 and below 1: 0.01 is one point",
)
_LEVEL = Parameter(
    kind=float,
    is_allowed=lambda v: 1e-6 <= v <= 0.2,
    demand="the allowed probability of error, at most 0.2",
)
_POSITIVE = Parameter(
    kind=float, is_allowed=lambda v: 0 < v < float("inf"), demand="a number above 0"
)
_WHOLE = Parameter(kind=int, is_allowed=lambda v: v > 0, demand="a whole number above 0")
_NAMES = Parameter(
    kind=list,
    is_allowed=lambda v: bool(v) and all(isinstance(one, str) and one for one in v),
    demand="a list of names",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A rule that a policy can name: its function and its parameters."""

    function: Callable[..., RuleResult]
    parameters: Mapping[str, Parameter]
    needs_one_of: tuple[str, ...] = ()


_JUDGED = {"metric": _TEXT, "dataset": _TEXT}
RULES: Mapping[str, Known] = {
    "not_worse": Known(
        function=shown.not_worse,
        parameters=_JUDGED
        | {
            "margin": _MARGIN,
            "relative": _FLAG,
            "alpha": _LEVEL,
            "allow_worse_within_margin": _FLAG,
        },
    ),
    "better": Known(function=shown.better, parameters=_JUDGED | {"alpha": _LEVEL}),
    "at_least_as_good": Known(function=rules.at_least_as_good, parameters=_JUDGED),
    "slices_not_worse": Known(
        function=shown.slices_not_worse,
        parameters=_JUDGED
        | {"slices": _NAMES, "margin": _MARGIN, "relative": _FLAG, "alpha": _LEVEL},
    ),
    "latency": Known(
        function=limits.latency,
        parameters={"max_ms": _POSITIVE, "max_ratio": _POSITIVE},
        needs_one_of=("max_ms", "max_ratio"),
    ),
    "size": Known(
        function=limits.size,
        parameters={"max_bytes": _WHOLE, "max_ratio": _POSITIVE},
        needs_one_of=("max_bytes", "max_ratio"),
    ),
    "churn": Known(
        function=limits.churn,
        parameters={"max": _SHARE, "alpha": _LEVEL, "dataset": _TEXT},
        needs_one_of=("max",),
    ),
    "error_rate": Known(
        function=limits.error_rate,
        parameters={"max": _SHARE, "alpha": _LEVEL, "dataset": _TEXT},
        needs_one_of=("max",),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyText:
    """What a policy file says."""

    rules: tuple[Rule, ...]
    reason_required: bool
    approvals: int

    def to_json(self) -> dict[str, Any]:
        """Return what the digest of a policy is taken of, and the journal tells."""
        return {
            "rules": [{"name": rule.name, "parameters": rule.parameters} for rule in self.rules],
            "reason_required": self.reason_required,
            "approvals": self.approvals,
        }


def parse_policy(content: Mapping[str, Any]) -> PolicyText:
    """Return the rules of a policy file, and what else it demands.

    Parameters
    ----------
    content : mapping
        The parsed TOML: ``reason_required = true``, ``approvals = 1`` and tables ``[[rule]]``, each
        with a ``name`` and the rule's parameters. Empty: nothing is demanded.

    Raises
    ------
    InvalidError
        If a key, a rule, or a parameter is unknown, or a value is of the wrong type or range.

    Examples
    --------
    >>> parse_policy({"rule": [{"name": "not_worse", "margin": 0.02}]}).rules
    (Rule(name='not_worse', parameters={'margin': 0.02}),)
    """
    for key in content:
        if key not in ("rule", "reason_required", "approvals"):
            raise InvalidError(
                f"a policy has no `{key}`: `reason_required`, `approvals` and `[[rule]]` are"
                f" known{NOTHING}"
            )
    required = content.get("reason_required", False)
    approvals = content.get("approvals", 0)
    tables = content.get("rule", [])
    if not isinstance(required, bool):
        raise InvalidError(f"`reason_required` is true or false{NOTHING}")
    if not isinstance(approvals, int) or isinstance(approvals, bool):
        raise InvalidError(f"`approvals` is a number of people{NOTHING}")
    if not 0 <= approvals <= MAX_APPROVALS:
        raise InvalidError(
            f"`approvals` is between 0 and {MAX_APPROVALS}, not {approvals}{NOTHING}"
        )
    if not isinstance(tables, list | tuple) or not all(isinstance(t, Mapping) for t in tables):
        raise InvalidError(f"rules are written as `[[rule]]` tables{NOTHING}")
    return PolicyText(
        rules=tuple(_parse_rule(table) for table in tables),
        reason_required=required,
        approvals=approvals,
    )


def _parse_rule(table: Mapping[str, Any]) -> Rule:
    name = table.get("name")
    if not isinstance(name, str) or name not in RULES:
        import difflib

        near = difflib.get_close_matches(str(name), list(RULES), n=1)
        question = f"; did you mean `{near[0]}`?" if near else ""
        raise InvalidError(
            f"there is no rule {name!r}{question}{NOTHING}",
            hint=f"known rules: {', '.join(sorted(RULES))}",
        )
    known = RULES[name]
    parameters = {key: value for key, value in table.items() if key != "name"}
    for key, value in parameters.items():
        parameter = known.parameters.get(key)
        if parameter is None:
            raise InvalidError(
                f"rule `{name}` has no parameter `{key}`{NOTHING}",
                hint=f"it has: {', '.join(known.parameters)}",
            )
        parameters[key] = _checked(name, key, value, parameter)
    if known.needs_one_of and not any(key in parameters for key in known.needs_one_of):
        raise InvalidError(
            f"rule `{name}` limits nothing without {' or '.join(known.needs_one_of)}{NOTHING}"
        )
    return Rule(name=name, parameters=parameters)


def _checked(rule: str, key: str, value: Any, parameter: Parameter) -> Any:
    if parameter.kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, parameter.kind) or (
        isinstance(value, bool) and parameter.kind is not bool
    ):
        raise InvalidError(
            f"`{key}` of rule `{rule}` is a {parameter.kind.__name__}, not {value!r}{NOTHING}"
        )
    if not parameter.is_allowed(value):
        raise InvalidError(f"`{key}` of rule `{rule}` is {value!r}: {parameter.demand}{NOTHING}")
    return value
