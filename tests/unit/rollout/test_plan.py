"""What may stand in a plan."""

from typing import Any

import pytest

from detent import InvalidError, Phase, Plan
from detent.rollout.plan import make_plan


def test_a_plan_is_read_from_text() -> None:
    plan = make_plan(shadow="90s", canary="5%,0.5", slo="20ms", loss_bound=None, labels="none")
    assert (plan.shadow_s, plan.canary, plan.slo_s) == (90.0, (0.05, 0.5), 0.02)
    assert make_plan() == Plan()
    assert make_plan(shadow=0).first is Phase.CANARY


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"shadows": "1h"}, "no `shadows`"),
        ({"shadow": "soon"}, "not a duration"),
        ({"canary": "50%,10%"}, "rising"),
        ({"canary": "0%,100%"}, "rising shares between 0 and 1"),
        ({"canary": "a lot"}, "not a share"),
        ({"shadow": 0, "canary": ""}, "no rollout"),
        ({"labels": "some"}, "one of all"),
        ({"labels": "disagreements", "label_window": 0}, "wait"),
        ({"alpha": 0.5}, "1e-06 to 0.2"),
        ({"sample": 0}, "above 0"),
        ({"loss_bound": -1.0}, "above 0"),
        ({"margin": None}, "None"),
        ({"timeout": True}, "True"),
    ],
)
def test_what_cannot_be_followed_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidError, match=says) as raised:
        make_plan(**given)
    assert "nothing was started" in raised.value.message
