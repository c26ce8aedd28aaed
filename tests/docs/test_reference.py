"""Everything public has its place in the reference."""

import re
from pathlib import Path

import detent

REFERENCE = Path(__file__).parents[2] / "docs" / "reference.md"


def test_reference_lists_the_public_names() -> None:
    listed = re.findall(r"^\.\. auto\w+:: (\w+)$", REFERENCE.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(name for name in detent.__all__ if not name.startswith("__"))
