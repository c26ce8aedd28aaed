"""The compiler `treelite`: scikit-learn's tree ensembles, alone or at the end of a pipeline.

Treelite keeps thresholds and leaves in double precision and adds the leaves in scikit-learn's
order. scikit-learn rounds the rows of its forests to single precision before it compares them, and
so do we; the rows of its histogram-based boosting it does not. What follows the sum of the leaves
(softmax, the labels) is done here in double precision: treelite's own is in single.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from detent.compilers.base import Methods
from detent.compilers.lookup import missing
from detent.compilers.rows import Numbers, falling_through, is_near_tie
from detent.errors import CorruptError, InvalidError

if TYPE_CHECKING:
    from treelite import Model

Floats = NDArray[np.float64]

_TREES = ("DecisionTreeClassifier", "DecisionTreeRegressor")
_FORESTS = (
    "ExtraTreesClassifier",
    "ExtraTreesRegressor",
    "RandomForestClassifier",
    "RandomForestRegressor",
)
_BOOSTED = ("GradientBoostingClassifier", "GradientBoostingRegressor")
_HISTOGRAM = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")


class TreeliteCompiler:
    """Trees, forests and boosting, by treelite's interpreter (GTIL) in double precision.

    The steps of a pipeline before its trees stay what they are. A form is a treelite checkpoint:
    data, whose nodes are looked through before the first row is sent down them.
    """

    name = "treelite"

    def accepts(self, model: Any) -> bool:
        """Say whether it ends in trees of scikit-learn with one output."""
        _, last = _split(model)
        kind = _kind(last)
        if getattr(last, "n_outputs_", 1) != 1 or len(getattr(last, "classes_", (0, 1))) < 2:
            return False
        if kind in _HISTOGRAM:
            return getattr(last, "is_categorical_", None) is None
        return kind in (*_TREES, *_FORESTS, *_BOOSTED) and hasattr(last, "n_features_in_")

    def compile(self, model: Any, sample: Any) -> bytes:
        """Return the treelite checkpoint of the model's trees.

        Raises
        ------
        InvalidError
            If the model does not end in trees, or treelite is not installed or refuses them.
        """
        _, last = _split(model)
        if not self.accepts(model):
            raise InvalidError(
                f"`treelite` has no form for a `{type(last).__name__}`; nothing was registered",
                hint='leave the choice to detent: compile="auto"',
            )
        try:
            import treelite
        except ImportError as error:
            raise missing("treelite", error) from error
        try:
            return bytes(treelite.sklearn.import_model(_as_ensemble(last)).serialize_bytes())
        except (treelite.TreeliteError, NotImplementedError) as error:
            raise InvalidError(
                f"treelite cannot compile this `{type(last).__name__}`: {error}; nothing was"
                " registered"
            ) from error

    def load(self, data: bytes, model: Any) -> Methods:
        """Return the methods that treelite answers.

        Raises
        ------
        InvalidError
            If treelite is not installed.
        CorruptError
            If the bytes are no checkpoint, or their trees are not such as the model has.
        """
        try:
            import treelite
        except ImportError as error:
            raise missing("treelite", error) from error
        from detent.compilers.checkpoint import check_trees

        before, last = _split(model)
        try:
            trees = treelite.Model.deserialize_bytes(data)
        except treelite.TreeliteError as error:
            raise CorruptError(f"the compiled form is no treelite checkpoint: {error}") from error
        n = _n_values(last)
        shape = (n, 1) if _gives_shares(last) else (1, n)
        check_trees(trees, int(last.n_features_in_), shape)
        numbers = Numbers(last, np.float64 if _kind(last) in _HISTOGRAM else np.float32)
        take = numbers.take if before is None else _Before(before, numbers).take
        return {
            name: falling_through(take, answer, getattr(model, name))
            for name, answer in _answers(trees, last).items()
            if callable(getattr(model, name, None))
        }


class _Before:
    """The steps of a pipeline before its trees."""

    def __init__(self, steps: Any, numbers: Numbers) -> None:
        self._steps = steps
        self._numbers = numbers

    def take(self, X: Any) -> Floats | None:
        rows = self._steps.transform(X)
        return self._numbers.take(rows.toarray() if hasattr(rows, "toarray") else rows)


def _split(model: Any) -> tuple[Any, Any]:
    """Return the steps before the last, None where there are none, and the last."""
    if _kind(model) == "Pipeline" and len(model.steps) > 1:
        return model[:-1], model.steps[-1][1]
    return None, model


def _kind(model: Any) -> str | None:
    """Return the name of a class of scikit-learn; None for one derived from it, or any other."""
    kind = type(model)
    is_theirs = kind.__module__.startswith("sklearn.") and "sklearn.base" in sys.modules
    return kind.__name__ if is_theirs else None


def _as_ensemble(model: Any) -> Any:
    """Return what treelite imports as it is.

    It knows no single trees; and it divides the shares in a classifier's leaves by their sum, which
    changes their last digit, and with it who wins a tie of votes. So a tree is given as a forest
    of one, and a classifier as a regressor that has an output for each class.
    """
    if not _gives_shares(model) and _kind(model) not in _TREES:
        return model
    from sklearn.ensemble import RandomForestRegressor

    trees = [model] if _kind(model) in _TREES else model.estimators_
    n_outputs = _n_values(model)
    forest = RandomForestRegressor(len(trees))
    forest.estimators_ = [SimpleNamespace(tree_=_Reshaped(t.tree_, n_outputs)) for t in trees]
    forest.n_features_in_, forest.n_outputs_ = model.n_features_in_, n_outputs
    return forest


class _Reshaped:
    """A tree of scikit-learn whose classes are outputs."""

    def __init__(self, tree: Any, n_outputs: int) -> None:
        self._tree = tree
        self.value = tree.value.reshape(tree.node_count, n_outputs, 1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tree, name)


def _gives_shares(model: Any) -> bool:
    """Return whether the leaves hold a share for each class, and the trees are averaged."""
    return hasattr(model, "classes_") and _kind(model) in (*_TREES, *_FORESTS)


def _n_values(model: Any) -> int:
    """Return how many numbers the trees of a model give for a row."""
    n_classes = len(getattr(model, "classes_", ()))
    is_sum = _kind(model) in (*_BOOSTED, *_HISTOGRAM)
    return 1 if n_classes == 0 or (is_sum and n_classes == 2) else n_classes


def _answers(trees: Model, model: Any) -> dict[str, Any]:
    from treelite import gtil

    are_shares = _gives_shares(model)

    def values(rows: Floats) -> Floats:
        found: Floats = gtil.predict(trees, rows, nthread=1, pred_margin=True)
        return found[:, :, 0] if are_shares else found[:, 0, :]

    classes = getattr(model, "classes_", None)
    if classes is None:
        from_sum = _of_sum(model)
        return {"predict": lambda rows: from_sum(values(rows)[:, 0])}
    if are_shares:
        return {
            "predict": lambda rows: classes.take(values(rows).argmax(axis=1)),
            "predict_proba": values,
        }
    # At zero the two kinds of boosting decide differently.
    decide = np.greater if _kind(model) in _HISTOGRAM else np.greater_equal

    def predict(rows: Floats) -> Any:
        raw = values(rows)
        if is_near_tie(raw):
            return None
        found = decide(raw[:, 0], 0).astype(int) if raw.shape[1] == 1 else raw.argmax(axis=1)
        return classes[found]

    def decision_function(rows: Floats) -> Floats:
        raw = values(rows)
        return raw[:, 0] if raw.shape[1] == 1 else raw

    scale = 2.0 if getattr(model, "loss", None) == "exponential" else 1.0
    return {
        "predict": predict,
        "predict_proba": lambda rows: _probabilities(values(rows), scale),
        "decision_function": decision_function,
    }


def _of_sum(model: Any) -> Any:
    """Return what makes a prediction of the sum of a regressor's leaves."""
    if _kind(model) in _HISTOGRAM and model.loss in ("gamma", "poisson"):
        return np.exp
    return lambda values: values


def _probabilities(raw: Floats, scale: float) -> Floats:
    from scipy.special import expit

    if raw.shape[1] == 1:
        positive = expit(scale * raw[:, 0])
        return np.column_stack([1 - positive, positive])
    odds: Floats = np.exp(raw - raw.max(axis=1, keepdims=True))
    odds /= odds.sum(axis=1, keepdims=True)
    return odds
