"""Requests made from the API document by schemathesis, malformed ones too, never meet a defect."""

from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from detent.blobs.memory import MemoryBlobs
from detent.metadata.sqlite import SqliteMetadata
from detent.server.app import make_app
from detent.testing.registries import live_through_everything, stores_on

# What is there: with names made up, most requests would end at the first look-up.
KNOWN: dict[str, Any] = {
    "model": "fraud",
    "alias": "fraud@production",
    "reference": "fraud/3",
    "name": "fraud",
    "id": 1,
}
STRANGE = ("../../etc/passwd", "%00", "<script>alert(1)</script>", "fraud@production/7", "9" * 30)


def ask_everything(mode: GenerationMode, *, examples: int) -> int:
    """Send some requests to each operation; return how many were answered."""
    stores = stores_on(SqliteMetadata(None), MemoryBlobs())
    live_through_everything(stores)
    schema = schemathesis.openapi.from_asgi("/openapi.json", make_app(stores))
    answered: list[int] = []
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()

        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(
            case=operation.as_strategy(generation_mode=mode),
            named=st.sampled_from(["known", "strange", "made up"]),
            strange=st.sampled_from(STRANGE),
        )
        def ask(case: Any, named: str, strange: str) -> None:
            for name in case.path_parameters if named != "made up" else ():
                case.path_parameters[name] = KNOWN[name] if named == "known" else strange
            answer = case.call()
            assert answer.status_code < 500, (case.formatted_path, case.body, answer.text)
            answered.append(answer.status_code)

        # Some operations take nothing that could be malformed.
        with suppress(Unsatisfiable):
            ask()
    assert any(status == 200 for status in answered) or mode is GenerationMode.NEGATIVE
    return len(answered)


def test_no_request_is_answered_with_a_defect() -> None:
    assert ask_everything(GenerationMode.POSITIVE, examples=4) > 50


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_of_very_many_is_answered_with_a_defect(mode: GenerationMode) -> None:
    """Run by ``make fault``."""
    assert ask_everything(mode, examples=150) > 1000
