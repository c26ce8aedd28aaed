"""Which types of a skops file are trusted without asking: the list is ours, never the file's.

skops trusts estimators by itself and reports the rest by name. A name says too little: a file may
give the name of a function as the type of a dict's keys, and loading then calls that function with
a text of the file's choice (`sklearn.datasets.clear_data_home` would remove a folder). So a name
is trusted here only where all its uses in the file are of a kind that is harmless for it.

- *Objects* are made without calling their class; their attributes are set. Trusted for
  scikit-learn's estimators and for the classes that fitted ones hold (`_HOMES`).
- *Functions* are handed to an estimator, which calls them with data. Trusted when they only
  compute: the public ones of `_FUNCTION_HOMES`, and a few by name.

Nothing is imported to decide. skops itself imports all of scikit-learn: what is not loaded by then
is not part of it.
"""

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Any

from detent.errors import InvalidError

Use = tuple[str, str, str]  # skops' name of the kind of use, module, name within the module

# Modules of scikit-learn whose classes hold nothing but numbers, text and each other.
_HOMES = {
    "sklearn._loss.link",
    "sklearn._loss.loss",
    "sklearn.calibration",
    "sklearn.cluster._bisect_k_means",
    "sklearn.compose._column_transformer",
    "sklearn.ensemble._hist_gradient_boosting.binning",
    "sklearn.ensemble._hist_gradient_boosting.predictor",
    "sklearn.gaussian_process.kernels",
    "sklearn.metrics._dist_metrics",
    "sklearn.metrics._scorer",
    "sklearn.model_selection._split",
    "sklearn.neural_network._stochastic_optimizers",
    "sklearn.utils._bunch",
    "sklearn.utils._metadata_requests",
}
_FUNCTION_HOMES = ("sklearn.feature_selection", "sklearn.metrics", "sklearn.preprocessing")

# The kinds of use (skops' names for them) that are harmless for a type given by name.
_BY_NAME = {
    "ConstructorFromReduceNode": {"builtins.frozenset"},
    "DTypeNode": {"numpy.dtype"},
    "DictNode": {"sklearn.utils._bunch.Bunch"},
    "FunctionNode": {
        "numpy.amax",
        "numpy.amin",
        "numpy.max",
        "numpy.mean",
        "numpy.median",
        "numpy.min",
        "numpy.sum",
        "scipy._lib.array_api_compat.numpy._aliases.asarray",
        "sklearn.cluster._kmeans._kmeans_single_elkan",
        "sklearn.cluster._kmeans._kmeans_single_lloyd",
        "sklearn.utils.validation.check_array",
    },
    "ObjectNode": {
        "scipy.interpolate._bsplines.BSpline",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
    },
    "PartialNode": {"functools.partial"},  # of a function that is itself looked at
    "TreeNode": {"sklearn.tree._tree.Tree"},
}


def trusted_names(trusted: bool | Sequence[str]) -> frozenset[str]:
    """Return the names that a caller trusts (none for False; True has no names either).

    Raises
    ------
    InvalidError
        If `trusted` is neither a bool nor several texts.
    """
    if isinstance(trusted, bool):
        return frozenset()
    if isinstance(trusted, str) or not all(isinstance(name, str) for name in trusted):
        raise InvalidError(
            f"`trusted` is True or a list of names, not {trusted!r}",
            hint='write trusted=["shop.Encoder"]',
        )
    return frozenset(trusted)


def find_uses(schema: Mapping[str, Any]) -> dict[str, set[Use]]:
    """Return all types that a file's schema names, each with the ways in which it is used."""
    uses = defaultdict(set)
    todo: list[Any] = [schema]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            if "__class__" in item:
                use = (item.get("__loader__"), item.get("__module__"), item["__class__"])
                loader, module, name = map(str, use)
                uses[f"{module}.{name}"].add((loader, module, name))
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)
    return dict(uses)


def find_harmless(uses: Mapping[str, set[Use]]) -> set[str]:
    """Return the names of the types that are harmless in all their uses in a file."""
    return {name for name, ways in uses.items() if all(_is_harmless(*way) for way in ways)}


def _is_harmless(loader: str, module: str, name: str) -> bool:
    found = getattr(sys.modules.get(module), "__dict__", {}).get(name)
    if f"{module}.{name}" in _BY_NAME.get(loader, ()):
        return found is not None
    # Modules hold what they import, too: the class or function must say so itself.
    if not isinstance(found, type | FunctionType) or found.__module__ != module:
        return False
    if loader == "ObjectNode":
        return isinstance(found, type) and (module in _HOMES or _is_estimator(found))
    if loader == "SparseMatrixNode":
        return isinstance(found, type) and module.startswith("scipy.sparse.")
    return loader == "FunctionNode" and isinstance(found, FunctionType) and _is_public(found)


def _is_estimator(kind: type) -> bool:
    base = sys.modules["sklearn.base"].BaseEstimator
    return kind.__module__.startswith("sklearn.") and issubclass(kind, base)


def _is_public(function: FunctionType) -> bool:
    homes = (sys.modules[home] for home in _FUNCTION_HOMES)
    return any(
        function.__name__ in home.__all__ and getattr(home, function.__name__) is function
        for home in homes
    )
