"""Looking through the trees of a treelite checkpoint before a row is sent down them.

The interpreter follows the numbers in the nodes without looking, as scikit-learn does: a tree that
points outside itself could crash the process, or read memory that is not its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from detent.errors import CorruptError

if TYPE_CHECKING:
    from treelite import Model

_NUMBERS, _DOUBLE, _AT_MOST, _LESS = 1, 3, 3, 2  # treelite's codes: kind of node, type, comparison


def check_trees(trees: Model, n_features: int, shape: tuple[int, int]) -> None:
    """Raise `CorruptError` unless the trees are such as `compile` makes of a model of that shape.

    Parameters
    ----------
    trees : treelite.Model
        What a checkpoint held.
    n_features : int
        How many columns a row has.
    shape : tuple of int
        How many targets the trees give for a row, and how many numbers for each.
    """
    try:
        is_sound = _has_shape(trees, n_features, shape) and all(
            _is_sound(trees, i, n_features, _leaf_size(trees)) for i in range(trees.num_tree)
        )
    except (IndexError, ValueError):
        is_sound = False
    if not is_sound:
        raise CorruptError(
            "the compiled form was not loaded: its trees are not such as its model has",
            hint="do not use this version, and ask who registered it",
        )


def _has_shape(trees: Model, n_features: int, shape: tuple[int, int]) -> bool:
    header = trees.get_header_accessor()

    def field(name: str) -> list[int]:
        return [int(value) for value in header.get_field(name)]

    n_targets, n_classes = shape
    size = n_targets * n_classes
    classes, targets = field("class_id"), field("target_id")
    # A leaf holds all numbers, or one, for the class and target of its tree.
    leaf = _leaf_size(trees)
    lowest = -1 if leaf == size else 0
    return (
        field("num_feature") == [n_features]
        and field("num_target") == [n_targets]
        and field("num_class") == [n_classes] * n_targets
        and field("threshold_type") == field("leaf_output_type") == [_DOUBLE]
        and leaf in (1, size)
        and len(header.get_field("base_scores")) == size
        and len(classes) == len(targets) == trees.num_tree >= 1
        and all(lowest <= value < n_classes for value in classes)
        and all(lowest <= value < n_targets for value in targets)
    )


def _leaf_size(trees: Model) -> int:
    return int(np.prod(np.asarray(trees.get_header_accessor().get_field("leaf_vector_shape"))))


def _is_sound(trees: Model, number: int, n_features: int, leaf: int) -> bool:
    tree = trees.get_tree_accessor(number)

    def field(name: str) -> NDArray[Any]:
        return np.asarray(tree.get_field(name))

    n = int(field("num_nodes")[0])
    kinds, left, right = field("node_type"), field("cleft"), field("cright")
    one_each = ("node_type", "cleft", "cright", "split_index", "default_left", "leaf_value")
    if n < 1 or any(len(field(name)) != n for name in (*one_each, "threshold", "cmp")):
        return False
    inner = np.flatnonzero(left >= 0)
    leaves = np.flatnonzero(left < 0)
    left, right, split = left[inner], right[inner], field("split_index")[inner]
    is_tree = (
        (kinds[inner] == _NUMBERS).all()
        and (kinds[leaves] == 0).all()
        and np.isin(field("cmp")[inner], (_LESS, _AT_MOST)).all()
        # Each child comes after its parent: every way down ends.
        and (left > inner).all()
        and (right > inner).all()
        and (left < n).all()
        and (right < n).all()
        and (split >= 0).all()
        and (split < n_features).all()
    )
    return bool(is_tree) and (leaf == 1 or _has_leaves(field, leaves, leaf))


def _has_leaves(field: Any, leaves: NDArray[Any], leaf: int) -> bool:
    begin = field("leaf_vector_begin").astype(np.int64)[leaves]
    end = field("leaf_vector_end").astype(np.int64)[leaves]
    return bool(
        (begin >= 0).all()
        and (end - begin == leaf).all()
        and (end <= len(field("leaf_vector"))).all()
    )
