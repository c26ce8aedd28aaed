"""A model becomes a version with its format, lineage, signature and sample."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import detent
from detent.blobs.base import read_verified
from detent.data.table import decode_table

X, y = load_wine(return_X_y=True, as_frame=True)


@pytest.fixture
def registry(tmp_path: Path) -> detent.Registry:
    return detent.connect(tmp_path / "registry", user="ana")


def test_a_pipeline_comes_back_and_predicts_the_same(registry: detent.Registry) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    version = registry.register("wine", model, sample=X.head(200), data={"train": (X, y)})
    assert (version.name, version.format) == ("wine/1", "skops")
    loaded = registry.load(version)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_lineage_without_being_asked(registry: detent.Registry) -> None:
    model = RandomForestClassifier(n_estimators=3, random_state=42).fit(X, y)
    card = registry.show(registry.register("wine", model, sample=X.head(200), data=X))
    manifest, lineage = card.manifest, card.manifest.lineage
    assert lineage.parameters["n_estimators"] == 3
    assert lineage.seed == 42
    assert lineage.estimator is not None
    assert lineage.estimator.endswith("RandomForestClassifier")
    assert lineage.packages["scikit-learn"]
    assert lineage.data[0].n_rows == len(X)
    assert manifest.signature is not None
    assert [field.name for field in manifest.signature.inputs] == list(X.columns)
    assert manifest.sample is not None
    data = read_verified(registry._stores.blobs, manifest.sample.digest, what="sample")
    np.testing.assert_array_equal(decode_table(data), X.head(100))


def test_the_same_again_is_the_same_version(registry: detent.Registry) -> None:
    model = RandomForestClassifier(n_estimators=3, random_state=42).fit(X, y)
    first = registry.register("wine", model, data=X)
    with pytest.warns(detent.DetentWarning, match="already wine/1; nothing was registered"):
        again = registry.register("wine", model, data=X, note="again")
    assert again == first
    assert registry.version("wine/1").note is None
    assert registry.register("other", model, data=X).name == "other/1"


def test_an_estimator_that_cannot_be_saved(registry: detent.Registry) -> None:
    model = FunctionTransformer(lambda rows: rows + 1).fit(X)
    with pytest.raises(detent.InvalidError, match="lambda"):
        registry.register("wine", model)
    assert registry.models() == []


def test_a_sample_that_does_not_fit_the_model(registry: detent.Registry) -> None:
    model = GaussianNB().fit(X, y)
    with pytest.raises(detent.InvalidError, match="sample"):
        registry.register("wine", model, sample=X.iloc[:5, :3])
    assert not Path(registry.location).exists()


@pytest.mark.parametrize("name", ["", "../x", "a/b", "x" * 300, "a\x07", "\u0441hurn", " a", "a b"])
def test_a_malformed_name_stores_nothing(registry: detent.Registry, name: str) -> None:
    with pytest.raises(detent.InvalidError):
        registry.register(name, GaussianNB().fit(X, y))
    assert not Path(registry.location).exists()


def test_dry_run_registers_nothing(registry: detent.Registry) -> None:
    model = GaussianNB().fit(X, y)
    assert registry.register("wine", model, dry_run=True).name == "wine/1"
    assert registry.models() == []
    assert len(registry.audit()) == 1, "only the making of the registry"


def test_parents_are_in_the_lineage(registry: detent.Registry) -> None:
    model = GaussianNB().fit(X, y)
    first = registry.register("wine", model)
    second = registry.register("wine", GaussianNB(var_smoothing=1e-8).fit(X, y), parents=[first])
    assert registry.show(second).manifest.lineage.parents == ("wine/1",)
    with pytest.raises(detent.NotFoundError):
        registry.register("wine", model, parents=["wine/7"])


def test_a_recording_measures_and_registers(registry: detent.Registry) -> None:
    with registry.recording("wine", data=X, note="recorded") as recording:
        recording.model = GaussianNB().fit(X, y)
    assert recording.version is not None
    card = registry.show(recording.version)
    assert card.version.note == "recorded"
    assert card.duration_s is not None
    assert card.duration_s > 0


def test_a_recording_that_fails_or_has_no_model(registry: detent.Registry) -> None:
    with pytest.raises(ZeroDivisionError), registry.recording("wine") as recording:
        recording.model = 1 / 0
    with pytest.raises(detent.InvalidError, match="without a model"), registry.recording("wine"):
        pass
    assert not Path(registry.location).exists()


def test_uncommitted_changes_are_kept_as_a_patch(registry: detent.Registry, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=ana", "-c", "user.email=ana@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=work, check=True, capture_output=True)

    git("init")
    (work / "train.py").write_text("depth = 4\n")
    git("add", ".")
    git("commit", "-m", "Train")
    (work / "train.py").write_text("depth = 6\n")
    model = GaussianNB().fit(X, y)
    with pytest.warns(detent.DetentWarning, match=r"uncommitted changes: wine/1 keeps a patch"):
        version = registry.register("wine", model, code=work)
    assert version.code is not None
    assert version.code.endswith("+")
    code = registry.show(version).manifest.lineage.code
    assert code is not None
    assert code.patch is not None
    patch = read_verified(registry._stores.blobs, code.patch, what="patch").decode()
    assert "-depth = 4\n+depth = 6\n" in patch
    assert registry.prune(grace_s=0).n_blobs == 0, "the patch is needed"


def test_the_demo_and_the_example_tell_the_recipe(tmp_path: Path) -> None:
    import os
    import sys

    example = Path(__file__).parents[2] / "examples" / "wine.py"
    for command in ([sys.executable, str(example)], [sys.executable, "-m", "detent", "demo"]):
        result = subprocess.run(
            command,
            cwd=tmp_path,
            env=os.environ | {"DETENT_USER": "ana"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert "0 of 54 rows" in result.stdout
        assert "(rollback) by ana" in result.stdout or "rollback" in result.stdout
    assert "was not activated as `wine@production`" in result.stdout + result.stderr
    assert "accuracy of what is active: 1.0" in result.stdout
    assert "chain unbroken" in result.stdout
