"""What a hostile skops file could name, and that it is refused before anything happens."""

import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import FunctionTransformer
from sklearn.random_projection import SparseRandomProjection

from detent.errors import RefusedError
from detent.formats.skops import SkopsFormat
from detent.formats.trust import trusted_names
from detent.testing.formats import MemoryFiles

X = np.random.default_rng(0).random((40, 4))
y = (X[:, 0] > 0.5).astype(int)

Node = dict[str, Any]


def node(loader: str, module: str, name: str, content: Any = None) -> Node:
    return {"__loader__": loader, "__module__": module, "__class__": name, "content": content}


def text(value: Any) -> Node:
    return node("JsonNode", "builtins", "str", json.dumps(value))


def type_named(module: str, name: str, loader: str = "TypeNode") -> Node:
    return node(loader, module, name)


def items(*values: Node, kind: str = "list") -> Node:
    return node({"list": "ListNode", "tuple": "TupleNode"}[kind], "builtins", kind, list(values))


def mapping(content: dict[str, Node], key_type: Node | None = None) -> Node:
    keys = items(*[key_type or type_named("builtins", "str")] * len(content))
    return node("DictNode", "builtins", "dict", content) | {"key_types": keys}


def holding(value: Node) -> MemoryFiles:
    """Return a file with a scikit-learn estimator that has `value` in an attribute."""
    kind = FunctionTransformer
    model = node("ObjectNode", kind.__module__, kind.__name__, mapping({"func": value}))
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("schema.json", json.dumps(model | {"protocol": 2, "_skops_version": "0"}))
    return MemoryFiles({"model.skops": data.getvalue()})


def load(files: MemoryFiles, trusted: Any = False) -> Any:
    return SkopsFormat().load(files, options={}, trusted=trusted)


@pytest.mark.filterwarnings("ignore::UserWarning")  # the file names no version of scikit-learn
def test_a_harmless_file_made_this_way_loads() -> None:
    assert load(holding(text("hello"))).func == "hello"


REMOVES = ("sklearn.datasets._base", "clear_data_home")
CALLS: dict[str, Callable[[str], Node]] = {
    # Each would call the function with the name of a folder while the file is loaded.
    "as the type of a key": lambda path: mapping({path: text(1)}, type_named(*REMOVES)),
    "as a function that is the type of a key": lambda path: mapping(
        {path: text(1)}, type_named(*REMOVES, loader="FunctionNode")
    ),
    "as a constructor": lambda path: node(
        "ConstructorFromReduceNode", *REMOVES, items(text(path), kind="tuple")
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "precious").mkdir()
    return tmp_path / "precious"


@pytest.mark.parametrize("way", CALLS)
def test_a_function_of_scikit_learn_is_not_called(way: str, folder: Path) -> None:
    files = holding(CALLS[way](str(folder)))
    with pytest.raises(RefusedError, match=r"sklearn\.datasets\._base\.clear_data_home"):
        load(files)
    assert folder.exists()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("way", CALLS)
def test_the_attack_is_real_where_the_file_is_trusted(way: str, folder: Path) -> None:
    load(holding(CALLS[way](str(folder))), True)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (type_named("posix", "system", "FunctionNode"), "posix.system"),
        (type_named("builtins", "eval"), "builtins.eval"),
        # What scikit-learn's modules import is not scikit-learn's.
        (
            type_named("sklearn.utils.discovery", "import_module", "FunctionNode"),
            "sklearn.utils.discovery.import_module",
        ),
        (type_named("sklearn.pipeline", "sys.modules", "FunctionNode"), "sklearn.pipeline.sys"),
        # What is neither class nor function, and what a module makes when it is asked for.
        (type_named("sklearn.metrics._scorer", "accuracy_scorer"), "accuracy_scorer"),
        (type_named("sklearn.model_selection", "HalvingGridSearchCV"), "HalvingGridSearchCV"),
        # Functions that read, write or download.
        (
            type_named("sklearn.datasets._openml", "fetch_openml", "FunctionNode"),
            "fetch_openml",
        ),
        # Classes: neither called, nor made when they do more than hold values.
        (
            node("ConstructorFromReduceNode", "sklearn.pipeline", "Pipeline", items(kind="tuple")),
            "sklearn.pipeline.Pipeline",
        ),
        (type_named("sklearn.pipeline", "Pipeline"), "sklearn.pipeline.Pipeline"),
        (node("ObjectNode", "sklearn.utils._testing", "TempMemmap", mapping({})), "TempMemmap"),
        (node("ObjectNode", "sklearn.utils.parallel", "Parallel", mapping({})), "Parallel"),
        (node("ListNode", "sklearn.utils._bunch", "Bunch", []), "Bunch"),
        (node("ObjectNode", "scipy.sparse._csr", "csr_matrix", mapping({})), "csr_matrix"),
        (node("ObjectNode", "numpy", "ndarray", mapping({})), "numpy.ndarray"),
        # A method is code chosen by name.
        (
            node(
                "MethodNode",
                "sklearn.preprocessing._function_transformer",
                "FunctionTransformer",
                {
                    "func": "fit",
                    "obj": node(
                        "ObjectNode",
                        "sklearn.preprocessing._function_transformer",
                        "FunctionTransformer",
                        mapping({}),
                    ),
                },
            ),
            "FunctionTransformer.fit",
        ),
    ],
)
def test_other_names_are_refused(value: Node, named: str) -> None:
    with pytest.raises(RefusedError, match=named.replace(".", r"\.")):
        load(holding(value))


def test_one_harmful_use_spoils_the_harmless_ones() -> None:
    tree = ("sklearn.tree._tree", "Tree")
    value = items(node("TreeNode", *tree, mapping({})) | {"__reduce__": {"args": items()}})
    harmful = items(value, type_named(*tree))
    with pytest.raises(RefusedError, match=r"sklearn\.tree\._tree\.Tree"):
        load(holding(harmful))


def test_asking_imports_nothing_that_a_file_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "detent_trap.py").write_text("raise SystemExit('it was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    for loader in ("TypeNode", "FunctionNode", "ObjectNode"):
        for module in ("detent_trap", "sklearn.tests.test_base"):
            with pytest.raises(RefusedError):
                load(holding(type_named(module, "Trap", loader)))
            assert module not in sys.modules


@pytest.mark.parametrize(
    "model",
    [
        SelectKBest(k=2),
        GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, scoring="roc_auc", cv=2),
        GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, scoring=["f1"], refit="f1", cv=2),
        FunctionTransformer(np.log1p),
        SparseRandomProjection(2, random_state=0),
    ],
)
def test_what_only_computes_is_trusted(model: BaseEstimator) -> None:
    files = MemoryFiles()
    SkopsFormat().save(model.fit(X, y), files)
    method = "predict" if hasattr(model, "predict") else "transform"
    np.testing.assert_array_equal(getattr(load(files), method)(X), getattr(model, method)(X))


def test_trust_comes_as_a_bool_or_names() -> None:
    assert trusted_names(False) == trusted_names(True) == frozenset()
    assert trusted_names(["a.B", "a.B"]) == {"a.B"}
