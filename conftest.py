"""What holds for all tests: the examples in docstrings, and those under ``tests``."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is slow, so no example has a deadline. A failing one prints how to repeat it.
settings.register_profile("detent", deadline=None, print_blob=True)
settings.load_profile("detent")

# The settings of whoever runs the tests are not those of the tests. DETENT_TEST_… name servers to
# test with (`tests/servers` reads them), and where data lies that may not be copied into the
# project is no setting.
for name in list(os.environ):
    if name.startswith("DETENT_") and not name.startswith(("DETENT_TEST_", "DETENT_REFERENCE_")):
        del os.environ[name]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in an empty folder: it may make a registry, and meets no work tree of ours."""
    monkeypatch.chdir(tmp_path)
