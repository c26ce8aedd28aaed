"""Trees that point outside themselves are refused; those that scikit-learn makes are not."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import BallTree, KDTree, KernelDensity, KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.tree._tree import Tree

from detent.errors import RefusedError
from detent.formats.skops import SkopsFormat
from detent.testing.formats import MemoryFiles

rng = np.random.default_rng(0)
X = rng.random((200, 4))
y = (X[:, 0] + X[:, 1] > 1).astype(int)


def through_a_file(model: Any) -> Any:
    files = MemoryFiles()
    SkopsFormat().save(model, files)
    return SkopsFormat().load(files, options={}, trusted=False)


@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeClassifier(),
        DecisionTreeClassifier(max_depth=1),
        DecisionTreeRegressor(max_leaf_nodes=9),
        DecisionTreeRegressor(ccp_alpha=0.01),
        RandomForestClassifier(5),
        ExtraTreesRegressor(5, max_leaf_nodes=5),
        GradientBoostingClassifier(n_estimators=3),
        HistGradientBoostingClassifier(max_iter=3),
        HistGradientBoostingClassifier(max_iter=3, categorical_features=[0, 2]),
        IsolationForest(n_estimators=5, max_features=0.5),
        BaggingClassifier(DecisionTreeClassifier(), 5, max_features=0.5),
        BaggingClassifier(RandomForestClassifier(3), 3),
        AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=3),
        StackingClassifier([("f", RandomForestClassifier(3))], LogisticRegression()),
        make_pipeline(StandardScaler(), RandomForestClassifier(3)),
        KNeighborsClassifier(algorithm="kd_tree", leaf_size=5),
        KNeighborsClassifier(
            algorithm="ball_tree", metric="seuclidean", metric_params={"V": [1.0] * 4}
        ),
        KernelDensity(),
    ],
)
def test_a_tree_that_scikit_learn_made_is_let_through(model: BaseEstimator) -> None:
    table = X if "categorical_features" not in model.get_params() else np.round(X * 5)
    model.fit(table, y)
    method = "predict" if hasattr(model, "predict") else "score_samples"
    back = through_a_file(model)
    assert np.array_equal(getattr(back, method)(table), getattr(model, method)(table))


def replaced(tree: Any, **changes: Any) -> Any:
    """Return a `Tree` with other values in its first node, or in its own state."""
    state = tree.__getstate__()
    nodes = state["nodes"].copy()
    for name, value in changes.items():
        if name in nodes.dtype.names:
            nodes[name][0] = value
        else:
            state[name] = value
    n_classes = np.asarray(tree.n_classes, dtype=np.intp)
    other = Tree(changes.get("n_features", tree.n_features), n_classes, tree.n_outputs)
    other.__setstate__(state | {"nodes": nodes})
    return other


def alone(tree: Any) -> Any:
    return tree


def in_a_pipeline(tree: Any) -> Any:
    return make_pipeline(StandardScaler().fit(X), tree)


def deep_inside(tree: Any) -> Any:
    return BaggingClassifier(estimator={"deep": [(tree,)]})


@pytest.mark.parametrize(
    "changes",
    [
        {"left_child": 10**6},
        {"right_child": 10**9},
        {"left_child": -5},
        {"left_child": 0},  # a circle
        {"right_child": 1},  # both children are one node
        {"feature": 4},
        {"feature": -3},
        {"max_depth": 1},
        {"max_depth": -1},
        {"n_features": 100, "feature": 50},
    ],
)
@pytest.mark.parametrize("wrap", [alone, in_a_pipeline, deep_inside])
def test_a_decision_tree_that_points_elsewhere_is_refused(
    changes: dict[str, int], wrap: Callable[[Any], Any]
) -> None:
    model = DecisionTreeClassifier(random_state=0).fit(X, y)
    model.tree_ = replaced(model.tree_, **changes)
    with pytest.raises(RefusedError, match="points outside its own nodes or columns"):
        through_a_file(wrap(model))


def test_a_tree_without_nodes_is_refused() -> None:
    model = DecisionTreeClassifier(random_state=0).fit(X, y)
    state = model.tree_.__getstate__()
    empty = {"nodes": state["nodes"][:0].copy(), "values": state["values"][:0].copy()}
    model.tree_ = Tree(4, np.array([2], dtype=np.intp), 1)
    model.tree_.__setstate__(state | empty | {"node_count": 0})
    with pytest.raises(RefusedError, match="points outside"):
        through_a_file(model)


def test_trust_does_not_stand_in_for_the_check() -> None:
    model = DecisionTreeClassifier(random_state=0).fit(X, y)
    model.tree_ = replaced(model.tree_, left_child=10**6)
    files = MemoryFiles()
    SkopsFormat().save(model, files)
    for trusted in (True, ["sklearn.tree._tree.Tree"]):
        with pytest.raises(RefusedError, match="points outside"):
            SkopsFormat().load(files, options={}, trusted=trusted)


def fewer_columns(model: Any) -> None:
    model.n_features_in_ = 1


def no_columns(model: Any) -> None:
    del model.n_features_in_


@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeClassifier(random_state=0),
        RandomForestClassifier(3, random_state=0),
        GradientBoostingClassifier(n_estimators=3, random_state=0),
        HistGradientBoostingClassifier(max_iter=3, random_state=0),
        IsolationForest(n_estimators=3, random_state=0),
    ],
)
@pytest.mark.parametrize("spoil", [fewer_columns, no_columns])
def test_trees_may_not_look_at_columns_that_the_model_does_not_ask_for(
    model: Any, spoil: Callable[[Any], None]
) -> None:
    model.fit(X, y)
    through_a_file(model)
    spoil(model)
    with pytest.raises(RefusedError, match="points outside"):
        through_a_file(model)


def test_the_trees_of_an_isolation_forest_see_some_columns_only() -> None:
    model = IsolationForest(n_estimators=3, random_state=0).fit(X)
    model.estimators_features_ = [np.array([0])] * 3
    with pytest.raises(RefusedError, match="points outside"):
        through_a_file(model)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("left", 10**6),
        ("right", 0),
        ("feature_idx", 4),
        ("feature_idx", -1),
        ("is_categorical", 1),
        ("bitset_idx", 10**6),
    ],
)
def test_a_boosted_tree_that_points_elsewhere_is_refused(field: str, value: int) -> None:
    table = np.round(X * 5)
    model = HistGradientBoostingClassifier(
        max_iter=3, random_state=0, categorical_features=[0, 1] if field == "bitset_idx" else None
    ).fit(table, y)
    through_a_file(model)
    tree = model._predictors[0][0]
    tree.nodes = tree.nodes.copy()
    tree.nodes[field][0] = value
    with pytest.raises(RefusedError, match="points outside"):
        through_a_file(model)


@pytest.mark.parametrize("kind", [KDTree, BallTree])
@pytest.mark.parametrize(
    ("position", "index", "value"),
    [
        (1, 0, 10**6),
        (1, 0, -1),
        (2, ("idx_end", 0), 10**6),
        (2, ("idx_start", 3), -1),
        (2, ("is_leaf", -1), 0),
    ],
)
def test_a_tree_of_neighbours_that_points_elsewhere_is_refused(
    kind: Any, position: int, index: Any, value: int
) -> None:
    model = KNeighborsClassifier(algorithm=kind.__name__.lower()[:-4] + "_tree").fit(X, y)
    state = list(kind(X, leaf_size=10).__getstate__())
    array = state[position] = state[position].copy()
    if isinstance(index, tuple):
        array[index[0]][index[1]] = value
    else:
        array[index] = value
    model._tree = kind.__new__(kind)
    model._tree.__setstate__(tuple(state))
    with pytest.raises(RefusedError, match="points outside"):
        through_a_file(model)


@pytest.mark.parametrize("position", [1, 2, 3])
def test_a_tree_of_neighbours_that_is_cut_short_is_refused(position: int) -> None:
    model = KNeighborsClassifier(algorithm="kd_tree").fit(X, y)
    state = list(model._tree.__getstate__())
    state[position] = np.ascontiguousarray(state[position][:1])
    model._tree = KDTree.__new__(KDTree)
    model._tree.__setstate__(tuple(state))
    with pytest.raises(RefusedError, match="points outside"):
        through_a_file(model)
