"""A policy file says what it can say, or is refused with what is wrong."""

import pytest

from detent.errors import InvalidError
from detent.policy.parse import RULES, parse_policy


def rule(**parameters: object) -> dict[str, object]:
    return {"rule": [parameters]}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"rules": []}, "no `rules`"),
        ({"rule": "not_worse"}, "tables"),
        ({"reason_required": 1}, "true or false"),
        ({"approvals": True}, "number of people"),
        ({"approvals": -1}, "between 0 and 10"),
        ({"approvals": 11}, "between 0 and 10"),
        (rule(), "no rule None"),
        (rule(name="not_wors"), "did you mean `not_worse`"),
        (rule(name="not_worse", margn=0.01), "no parameter `margn`"),
        (rule(name="not_worse", margin=-0.01), "above 0 and below 1"),
        (rule(name="not_worse", margin=0), "above 0 and below 1"),
        (rule(name="not_worse", margin=1), "above 0 and below 1"),
        (rule(name="not_worse", margin=float("nan")), "above 0 and below 1"),
        (rule(name="not_worse", margin="1%"), "is a float"),
        (rule(name="not_worse", alpha=0.5), "at most 0.2"),
        (rule(name="not_worse", relative=1), "is a bool"),
        (rule(name="not_worse", metric=""), "not empty"),
        (rule(name="slices_not_worse", slices=[]), "a list of names"),
        (rule(name="slices_not_worse", slices=[1]), "a list of names"),
        (rule(name="latency"), "limits nothing without max_ms or max_ratio"),
        (rule(name="latency", max_ms=0), "above 0"),
        (rule(name="size", max_bytes=1.5), "is a int"),
        (rule(name="size", max_bytes=True), "is a int"),
        (rule(name="churn"), "limits nothing without max"),
        (rule(name="churn", max=2), "between 0 and 1"),
    ],
)
def test_what_cannot_be_a_policy(content: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidError, match=says) as caught:
        parse_policy(content)
    assert caught.value.message.endswith("nothing was changed")


def test_a_whole_number_is_a_number() -> None:
    parsed = parse_policy(rule(name="latency", max_ms=50))
    assert parsed.rules[0].parameters == {"max_ms": 50.0}
    assert isinstance(parsed.rules[0].parameters["max_ms"], float)


def test_every_rule_is_described() -> None:
    for name, known in RULES.items():
        assert known.function.__doc__, name
        assert known.needs_one_of == () or set(known.needs_one_of) <= known.parameters.keys()
