"""A version with a compiled form: registered, shown, evaluated, followed."""

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

import detent
from detent.compilers.lookup import get_compiler, list_compilers
from detent.domain.manifest import Manifest
from detent.errors import CorruptError, InvalidError, NotFoundError, RefusedError
from detent.registry.manifest import encode_manifest
from detent.runtime.slot import ORIGINAL, load_slot

X = np.random.default_rng(0).normal(size=(200, 4))
y = np.where(X[:, 0] + X[:, 1] > 0, "yes", "no")

LIARS = '''
class Liar:
    """Answers as the original, but for rows whose first value is above one."""

    name = "liar"

    def accepts(self, model):
        return True

    def compile(self, model, sample):
        return b"lies"

    def load(self, data, model):
        def predict(X):
            answers = model.predict(X)
            answers[X[:, 0] > 1] = "no"
            return answers
        return {"predict": predict}
'''


@pytest.fixture
def registry(tmp_path: Path) -> detent.Registry:
    return detent.connect(tmp_path / "registry", user="ana")


@pytest.fixture
def forest() -> Any:
    return RandomForestClassifier(10, random_state=0).fit(X, y)


@pytest.fixture
def liar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package that adds compilers."""
    (tmp_path / "liars.py").write_text(LIARS)
    meta = tmp_path / "liars-1.0.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: liars\nVersion: 1.0\n")
    (meta / "entry_points.txt").write_text(
        "[detent.compilers]\nliar = liars:Liar\nbroken = liars_gone:Broken\nonnx = liars:Liar\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


def slot_of(registry: detent.Registry, number: int) -> Any:
    return load_slot(registry._stores, "churn", number)


def test_the_form_is_part_of_the_version_and_load_gives_the_estimator(
    registry: detent.Registry, forest: Any
) -> None:
    plain = registry.register("churn", forest, sample=X[:50], code="/")
    version = registry.register("churn", forest, sample=X[:50], compile="auto", code="/")
    with pytest.warns(detent.DetentWarning, match="are already churn/2"):
        assert registry.register("churn", forest, sample=X[:50], compile="auto", code="/") == (
            version
        )
    assert (plain.number, version.number) == (1, 2)
    compiled = registry.show(version).manifest.compiled
    assert compiled is not None
    assert compiled.compiler == "treelite"
    assert compiled.n_checked > 50
    assert registry.show(plain).manifest.compiled is None
    assert isinstance(registry.load(version), RandomForestClassifier)
    assert "compiled (none) → treelite" in [
        f"{change.part} {change.text}" for change in registry.diff(plain, version)
    ]


def test_a_manifest_without_a_form_has_the_bytes_it_had_before_there_were_forms() -> None:
    assert b"compiled" not in encode_manifest(Manifest(format="skops", files=()))


def test_a_version_is_compiled_afterwards_as_another_version(
    registry: detent.Registry, forest: Any
) -> None:
    registry.register("churn", forest, sample=X[:50], code="/")
    assert registry.compile("churn/1", dry_run=True).number == 2
    version = registry.compile("churn/1")
    first, second = registry.show("churn/1").manifest, registry.show(version).manifest
    assert (version.number, version.note) == (2, "churn/1, compiled by treelite")
    assert (first.files, first.lineage) == (second.files, second.lineage)
    with pytest.raises(InvalidError, match="`onnx` has no form"):
        registry.compile("churn/1", compiler="onnx")


def test_what_cannot_be_compared_is_not_compiled(registry: detent.Registry, forest: Any) -> None:
    with pytest.raises(InvalidError, match="needs rows to compare"):
        registry.register("churn", forest, compile="treelite", code="/")
    registry.register("churn", forest, code="/")
    with pytest.raises(InvalidError, match="needs rows to compare"):
        registry.compile("churn/1")
    assert registry.compile("churn/1", sample=X).number == 2


def test_auto_registers_without_a_form_and_says_why(registry: detent.Registry) -> None:
    model = SVC().fit(X, y)
    with pytest.warns(detent.DetentWarning, match="churn/1: it has no compiled form: onnx: "):
        version = registry.register("churn", model, sample=X, compile="auto", code="/")
    assert registry.show(version).manifest.compiled is None
    with pytest.warns(detent.DetentWarning, match="no compiler takes a `sklearn.*KMeans`"):
        registry.register("groups", KMeans(2).fit(X), sample=X, compile="auto", code="/")
    with pytest.raises(InvalidError, match="`churn/1` was not compiled: it has no compiled form"):
        registry.compile("churn/1")


@pytest.mark.usefixtures("liar")
def test_a_form_that_answers_otherwise_is_refused_with_its_rows(
    registry: detent.Registry, forest: Any
) -> None:
    with pytest.raises(RefusedError, match=r"`predict` differs in .* rows of the sample") as caught:
        registry.register("churn", forest, sample=X, compile="liar", code="/")
    wrong = np.flatnonzero((X[:, 0] > 1) & (forest.predict(X) == "yes"))
    assert caught.value.details["rows"] == wrong.tolist()
    assert "nothing was registered" in caught.value.message
    with pytest.raises(NotFoundError):
        registry.versions("churn")
    # A sample without such rows does not help: more are made of it.
    with pytest.raises(RefusedError, match="rows made of the sample"):
        registry.register("churn", forest, sample=X[X[:, 0] < 1], compile="liar", code="/")


@pytest.mark.usefixtures("liar")
def test_an_evaluation_looks_at_every_row(registry: detent.Registry) -> None:
    # One value only: what is made of it has no value above one.
    rows = np.zeros((5, 4), dtype=np.uint8)
    model = KNeighborsClassifier(1).fit(X, y)
    version = registry.register("churn", model, sample=rows, compile="liar", code="/")
    evaluated = registry.evaluate(version, X[X[:, 0] < 1], y[X[:, 0] < 1], dataset="tame")
    assert evaluated.n_rows == (X[:, 0] < 1).sum()
    with pytest.raises(RefusedError, match=r"differs in .* rows of `wild`.*nothing was recorded"):
        registry.evaluate(version, X, y, dataset="wild")
    assert [found.dataset for found in registry.evaluations("churn")] == ["tame"]


@pytest.mark.usefixtures("liar")
def test_compilers_are_found_by_name() -> None:
    assert {"liar", "onnx", "treelite"} <= set(list_compilers())
    assert get_compiler("liar").name == "liar"
    assert type(get_compiler("onnx")).__module__ == "detent.compilers.onnx"
    with pytest.raises(InvalidError, match=r"`broken` cannot be used.*liars_gone"):
        get_compiler("broken")
    with pytest.raises(NotFoundError, match="there is no compiler `treelight`; there are"):
        get_compiler("treelight")


@pytest.mark.parametrize("package", ["treelite", "skl2onnx", "onnxruntime"])
def test_a_missing_package_is_named_with_the_line_that_installs_it(
    registry: detent.Registry, monkeypatch: pytest.MonkeyPatch, package: str, forest: Any
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "detent.compilers.onnx_graph", raising=False)
    compiler = "treelite" if package == "treelite" else "onnx"
    model = forest if compiler == "treelite" else LogisticRegression().fit(X, y)
    with pytest.raises(InvalidError, match="is not installed here") as caught:
        registry.register("churn", model, sample=X, compile=compiler, code="/")
    assert caught.value.hint == 'run `pip install "detent[compile]"`'


def test_a_slot_answers_with_the_form(registry: detent.Registry, forest: Any) -> None:
    registry.register("churn", forest, sample=X[:50], compile="treelite", code="/")
    slot = slot_of(registry, 1)
    assert (slot.form, slot.form_problem) == ("treelite", None)
    np.testing.assert_array_equal(slot.methods["predict"](X), forest.predict(X))
    np.testing.assert_array_equal(slot.methods["predict_proba"](X), forest.predict_proba(X))
    registry.activate("churn/1", "production")
    with registry.follow("churn@production") as live:
        np.testing.assert_array_equal(live.predict(X), forest.predict(X))


@pytest.mark.parametrize(
    "trouble",
    ["no runtime", pytest.param("damaged bytes", marks=pytest.mark.folder), "another answer here"],
)
def test_no_switch_fails_for_want_of_a_form(
    registry: detent.Registry,
    monkeypatch: pytest.MonkeyPatch,
    forest: Any,
    trouble: str,
    tmp_path: Path,
) -> None:
    registry.register("churn", forest, sample=X[:50], compile="treelite", code="/")
    compiled = registry.show("churn/1").manifest.compiled
    assert compiled is not None
    digits = compiled.file.digest.partition(":")[2]
    blob = tmp_path / "registry" / "blobs" / "sha256" / digits[:2] / digits[2:]
    if trouble == "no runtime":
        monkeypatch.setitem(sys.modules, "treelite", None)
    elif trouble == "damaged bytes":
        blob.chmod(0o644)
        blob.write_bytes(b"x" + blob.read_bytes()[1:])
    else:  # as another release of a runtime could
        monkeypatch.setattr("detent.compilers.agreement.TOLERANCE", 0.0)
        monkeypatch.setattr(
            "detent.compilers.treelite._answers",
            lambda trees, model: {"predict": lambda rows: np.full(len(rows), "no")},
        )
    slot = slot_of(registry, 1)
    assert slot.form == ORIGINAL
    assert slot.form_problem
    np.testing.assert_array_equal(slot.methods["predict"](X), forest.predict(X))
    assert isinstance(registry.load("churn/1"), RandomForestClassifier)


def test_a_checkpoint_whose_trees_lead_outside_is_refused(forest: Any) -> None:
    import treelite

    other = RandomForestClassifier(2, random_state=0).fit(X[:, :3], y)
    compiler = get_compiler("treelite")
    with pytest.raises(CorruptError, match="not such as its model has"):
        compiler.load(compiler.compile(other, X[:, :3]), forest)
    trees = treelite.Model.deserialize_bytes(compiler.compile(forest, X))
    tree = trees.get_tree_accessor(0)
    for name, value in (("cleft", 10_000), ("cright", 0), ("split_index", 99), ("cleft", -5)):
        kept = np.array(tree.get_field(name))
        tree.set_field(name, np.where(np.arange(len(kept)) == 0, value, kept).astype(kept.dtype))
        with pytest.raises(CorruptError, match="not such as its model has"):
            compiler.load(trees.serialize_bytes(), forest)
        tree.set_field(name, kept)
    assert compiler.load(trees.serialize_bytes(), forest)


def test_what_the_form_is_not_sure_of_the_original_answers() -> None:
    model = LogisticRegression().fit([[-1.0], [1.0]], ["no", "yes"])
    model.intercept_ = np.array([0.0])
    compiler = get_compiler("onnx")
    methods = compiler.load(compiler.compile(model, X[:, :1]), model)
    tie = np.array([[0.0], [5e-324], [-5e-324]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(methods["predict"](tie), model.predict(tie))


def test_a_graph_that_names_other_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnx

    np.ones(2).tofile(tmp_path / "secret")
    monkeypatch.chdir(tmp_path)
    model = LogisticRegression().fit(X, y)
    graph = onnx.load_from_string(get_compiler("onnx").compile(model, X))
    for place in ("secret", str(tmp_path / "secret"), f"../{tmp_path.name}/secret"):
        named = graph.graph.initializer[0]
        named.ClearField("raw_data")
        named.ClearField("double_data")
        del named.external_data[:]
        named.data_location = onnx.TensorProto.EXTERNAL
        named.external_data.add(key="location", value=place)
        with pytest.raises(CorruptError, match="no ONNX file that runs"):
            get_compiler("onnx").load(graph.SerializeToString(), model)
