"""Everything public has its place in the reference."""

import re
from pathlib import Path

import detent

REFERENCE = Path(__file__).parents[2] / "docs" / "reference.md"


def test_reference_lists_the_public_names() -> None:
    listed = re.findall(r"^\.\. auto\w+:: (\w+)$", REFERENCE.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(name for name in detent.__all__ if not name.startswith("__"))


def test_reference_lists_the_verbs_of_a_registry() -> None:
    text = REFERENCE.read_text()
    listed = re.findall(r"^\.\. auto(?:method|property):: Registry\.(\w+)$", text, re.MULTILINE)
    assert sorted(listed) == sorted(name for name in dir(detent.Registry) if name[0] != "_")
