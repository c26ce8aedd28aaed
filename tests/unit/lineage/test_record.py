"""All that is recorded, put together."""

import os
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier

from detent.data.table import digest_table
from detent.domain.digest import canonical_json, digest_of
from detent.lineage.environment import platform_name, python_version
from detent.lineage.record import Recording, record_lineage

X, y = load_wine(return_X_y=True, as_frame=True)
MODEL = RandomForestClassifier(n_estimators=2, random_state=42)


def test_what_is_known_is_recorded() -> None:
    lineage, blobs = record_lineage(MODEL, data=(X, y), parents=["wine/1"])
    assert lineage.estimator == "sklearn.ensemble._forest.RandomForestClassifier"
    assert lineage.parameters["n_estimators"] == 2
    assert lineage.seed == 42
    assert [(item.name, item.digest) for item in lineage.data] == [
        ("X", digest_table(X)),
        ("y", digest_table(y)),
    ]
    assert "scikit-learn" in lineage.packages
    assert (lineage.python, lineage.platform) == (python_version(), platform_name())
    assert lineage.parents == ("wine/1",)
    assert all(digest_of(blob) == digest for digest, blob in blobs.items())


def test_it_is_json_and_the_same_again() -> None:
    one, other = (record_lineage(MODEL, data=X)[0] for _ in range(2))
    assert canonical_json(asdict(one)) == canonical_json(asdict(other))


def test_rows_of_data_are_not_kept() -> None:
    _, blobs = record_lineage(sum, data=X, code_folder=Path("/"))
    assert blobs == {}


def test_a_patch_is_kept_under_its_digest(tmp_path: Path) -> None:
    settings = ["-c", "user.name=ana", "-c", "user.email=ana@example.org"]
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull}
    (tmp_path / "train.py").write_text("1\n")
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "1"]):
        subprocess.run(["git", *settings, *command], cwd=tmp_path, env=environment, check=True)
    (tmp_path / "train.py").write_text("2\n")
    lineage, blobs = record_lineage(sum, code_folder=tmp_path)
    assert lineage.code is not None
    assert lineage.code.patch is not None
    assert b"+2" in blobs[lineage.code.patch]


def test_a_recording_measures_its_duration() -> None:
    with Recording() as recorded:
        recorded.model = MODEL.fit(X, y)
    assert recorded.duration_s is not None
    assert 0 < recorded.duration_s < 600


def test_an_error_in_a_recording_passes_through() -> None:
    recorded = Recording()
    with pytest.raises(ZeroDivisionError), recorded:
        raise ZeroDivisionError
    assert recorded.duration_s is None
