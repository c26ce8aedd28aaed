"""Checks what scikit-learn's compiled trees do not: that they stay within their own arrays.

skops leaves `Tree` and `TreePredictor` untrusted on purpose: a file may give a tree whose nodes
point outside it, and predicting would then read whatever lies there, or crash the process. We
trust these types, so we look at their nodes first; the same for the trees of nearest neighbours.
"""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.ensemble._forest import BaseForest
from sklearn.ensemble._gb import BaseGradientBoosting
from sklearn.ensemble._hist_gradient_boosting.gradient_boosting import BaseHistGradientBoosting
from sklearn.neighbors import BallTree, KDTree
from sklearn.tree import BaseDecisionTree
from sklearn.tree._tree import TREE_LEAF, Tree

from detent.errors import RefusedError

_TREES = {
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.tree._tree.Tree",
}

# These compare the columns they are given with `n_features_in_`, and their trees do not ask again.
_KEEPERS = (
    BaseDecisionTree,
    BaseForest,
    BaseGradientBoosting,
    BaseHistGradientBoosting,
    IsolationForest,
)


def check_trees(model: Any, types: Collection[str]) -> None:
    """Look through a loaded model for trees, and check each one.

    Parameters
    ----------
    model : object
        As loaded, not yet used.
    types : collection of str
        Full names of the types in its file: without a tree among them nothing is done.

    Raises
    ------
    RefusedError
        If a tree would read outside its arrays.
    """
    if _TREES.isdisjoint(types):
        return
    try:
        is_sound = all(_is_sound(part, n_features) for part, n_features in _parts(model))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        is_sound = False  # a part is not even of the shape that the check looks at
    if not is_sound:
        raise RefusedError(
            "the model was not loaded: a tree in it points outside its own nodes or columns, which"
            " could crash the process that predicts with it; scikit-learn writes no such tree",
            hint="do not use this file, and ask who registered it",
        )


def _parts(model: Any) -> Iterator[tuple[Any, int | None]]:
    """Yield every part once, with the number of columns that those around it let through."""
    todo: list[tuple[Any, int | None]] = [(model, None)]
    seen: dict[tuple[int, int | None], Any] = {}
    while todo:
        part, n_features = todo.pop()
        if (id(part), n_features) in seen:
            continue
        seen[id(part), n_features] = part  # kept, so that its id is not given to another
        yield part, n_features
        if isinstance(part, _KEEPERS):
            n_features = _n_columns(part) if n_features is None else n_features
        elif not isinstance(part, list | tuple | dict | np.ndarray):
            n_features = None  # asks for itself, by another keeper within
        todo.extend((child, n_features) for child in _children(part))


def _n_columns(keeper: Any) -> int:
    n_columns = getattr(keeper, "n_features_in_", 0)  # not fitted: it has no trees
    if n_columns and isinstance(keeper, IsolationForest):
        # Each of its trees is given some of the columns only.
        return min(n_columns, *map(len, keeper.estimators_features_))
    return int(n_columns)


def _children(part: Any) -> Iterator[Any]:
    if isinstance(part, dict):
        yield from part.values()
    elif isinstance(part, list | tuple):
        yield from part
    elif isinstance(part, np.ndarray):
        yield from part.flat if part.dtype.hasobject else ()
    elif hasattr(part, "__dict__") and not isinstance(part, type):
        yield from vars(part).values()


def _is_sound(part: Any, n_features: int | None) -> bool:
    if isinstance(part, Tree):
        return _is_tree(part, part.n_features if n_features is None else n_features)
    if isinstance(part, BaseHistGradientBoosting) and hasattr(part, "_predictors"):
        known = np.asarray(part._bin_mapper.is_categorical_, dtype=bool)
        trees = [tree for trees in part._predictors for tree in trees]
        return len(known) == part.n_features_in_ and all(_is_predictor(t, known) for t in trees)
    if isinstance(part, KDTree | BallTree):
        return _is_ball_or_box(part)
    return True


def _is_tree(tree: Any, n_features: int) -> bool:
    if not 1 <= tree.node_count <= tree.capacity:
        return False
    left, right = tree.children_left.copy(), tree.children_right.copy()  # side by side: faster
    inner = left != TREE_LEAF
    if not _is_downward(left, right, tree.feature, inner, n_features):
        return False
    level = np.array([0])
    for _ in range(tree.max_depth + 1):  # `decision_path` has room for so many
        level = level[inner[level]]
        level = np.concatenate([left[level], right[level]])
    return len(level) == 0


def _is_predictor(tree: Any, known: np.ndarray[Any, Any]) -> bool:
    nodes = tree.nodes
    inner = nodes["is_leaf"] == 0
    left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
    by_category = nodes[inner & (nodes["is_categorical"] != 0)]
    return (
        len(nodes) >= 1
        and _is_downward(left, right, nodes["feature_idx"], inner, len(known))
        and bool((by_category["bitset_idx"] < len(tree.raw_left_cat_bitsets)).all())
        and bool(known[by_category["feature_idx"]].all())
        and tree.raw_left_cat_bitsets.shape[1:] == (8,)
    )


def _is_downward(
    left: np.ndarray[Any, Any],
    right: np.ndarray[Any, Any],
    feature: np.ndarray[Any, Any],
    inner: np.ndarray[Any, Any],
    n_features: int,
) -> bool:
    """Whether each inner node leads to two later nodes, no node has two parents, features exist."""
    parents = np.flatnonzero(inner)
    left, right, feature = left[parents], right[parents], feature[parents]
    return bool(
        (left > parents).all()
        and (right > parents).all()
        and (left < len(inner)).all()
        and (right < len(inner)).all()
        and (np.bincount(np.concatenate([left, right]), minlength=1) <= 1).all()
        and (feature >= 0).all()
        and (feature < n_features).all()
    )


def _is_ball_or_box(tree: Any) -> bool:
    data, index, nodes, bounds, _, _, n_nodes, *_, metric, weight = tree.__getstate__()
    n_samples, n_features = data.shape
    metric._validate_data(data)  # ValueError when its weights are not as many as the columns
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    return bool(
        index.shape == (n_samples,)
        and (index >= 0).all()
        and (index < n_samples).all()
        and len(nodes) == n_nodes >= 1
        and (nodes["idx_start"] >= 0).all()
        and (nodes["idx_start"] <= nodes["idx_end"]).all()
        and (nodes["idx_end"] <= n_samples).all()
        and (2 * inner + 2 < n_nodes).all()
        and bounds.shape == (2 if isinstance(tree, KDTree) else 1, n_nodes, n_features)
        and (weight is None or weight.shape == (n_samples,))
    )
