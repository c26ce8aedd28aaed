"""The compiler `onnx`: linear models and pipelines, by onnxruntime in double precision.

skl2onnx turns the model into a graph of operators on doubles. Trees are none of its business:
onnxruntime gives their probabilities in single precision.

Three things could make its answers others than scikit-learn's, and are left to the original: rows
that scikit-learn would compute in another type (single precision) or refuse (a NaN, a word that an
encoder has never met), and labels so close to a tie that the last digit would decide.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detent.compilers.base import Methods
from detent.compilers.lookup import missing
from detent.compilers.rows import Numbers, falling_through, has_columns, is_near_tie
from detent.errors import CorruptError, InvalidError

_TREES = ("Tree", "Forest", "Boosting", "Bagging")
_ROWS = "X"  # the one input of a model whose columns are all numbers
Feed = dict[str, NDArray[Any]]


class OnnxCompiler:
    """What skl2onnx converts in double precision: a file of operators and numbers, no code."""

    name = "onnx"

    def accepts(self, model: Any) -> bool:
        """Say whether it is a classifier or regressor of scikit-learn, and not of trees."""
        if "sklearn.base" not in sys.modules:
            return False
        from sklearn.base import is_classifier, is_regressor

        kind = type(_last(model))
        return (
            kind.__module__.startswith("sklearn.")
            and hasattr(model, "n_features_in_")
            and (is_classifier(model) or is_regressor(model))
            and not any(word in kind.__name__ for word in _TREES)
        )

    def compile(self, model: Any, sample: Any) -> bytes:
        """Return the ONNX file of a model.

        Raises
        ------
        InvalidError
            If it is of trees, skl2onnx has no converter for a part of it, onnxruntime cannot run
            what comes out in double precision, or one of them is not installed.
        """
        if not self.accepts(model):
            raise InvalidError(
                f"`onnx` has no form for a `{type(model).__name__}`; nothing was registered",
                hint='leave the choice to detent: compile="auto"',
            )
        try:
            import onnxruntime  # noqa: F401  # said before the long import

            from detent.compilers.onnx_graph import make_graph
        except ImportError as error:
            raise missing("skl2onnx", error) from error
        reason: Exception | None = None
        for are_ints_floats in (False, True):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # skl2onnx looks at what is deprecated
                    data = make_graph(model, sample, rows=_ROWS, are_ints_floats=are_ints_floats)
                _session(data)
            except InvalidError:
                raise
            except Exception as error:  # of skl2onnx or onnxruntime: they share no base
                reason = error
            else:
                return data
        text = str(reason).strip().partition("\n")[0][:300]
        raise InvalidError(
            f"onnx has no form for this `{type(model).__name__}` in double precision:"
            f" {type(reason).__name__}: {text}; nothing was registered"
        ) from reason

    def load(self, data: bytes, model: Any) -> Methods:
        """Return the methods that onnxruntime answers.

        Raises
        ------
        InvalidError
            If onnxruntime is not installed.
        CorruptError
            If the bytes are no ONNX file, or not of that model.
        """
        try:
            session = _session(data)
        except ImportError as error:
            raise missing("onnxruntime", error) from error
        except Exception as error:
            text = str(error).strip().partition("\n")[0][:300]
            raise CorruptError(f"the compiled form is no ONNX file that runs: {text}") from error
        types = {item.name: item.type for item in session.get_inputs()}
        take: Callable[[Any], Feed | None]
        if list(types) == [_ROWS] and not has_columns(model):
            take = _Matrix(model).take
        else:
            take = _Columns(model, types).take
        outputs = [item.name for item in session.get_outputs()]
        return {
            name: falling_through(take, answer, getattr(model, name))
            for name, answer in _answers(session, outputs, model).items()
            if callable(getattr(model, name, None))
        }


def _session(data: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised
    # A file can name others to read numbers from. Ours never do: there is no such folder.
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", os.devnull
    )
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _answers(session: Any, outputs: list[str], model: Any) -> dict[str, Any]:
    classes = getattr(model, "classes_", None)
    asked = outputs[-1:]

    def values(feed: Feed) -> NDArray[np.float64]:
        found: NDArray[np.float64] = session.run(asked, feed)[0]
        return found

    if classes is None:
        is_flat = np.ndim(getattr(_last(model), "coef_", 0.0)) < 2
        return {"predict": lambda feed: values(feed)[:, 0] if is_flat else values(feed)}

    if hasattr(model, "predict_proba"):

        def predict(feed: Feed) -> Any:
            proba = values(feed)
            return None if is_near_tie(proba) else classes[proba.argmax(axis=1)]

        return {"predict": predict, "predict_proba": values}

    def scores(feed: Feed) -> NDArray[np.float64]:
        found = values(feed)
        return found[:, -1] if len(classes) == 2 else found

    def decide(feed: Feed) -> Any:
        found = scores(feed)
        if is_near_tie(found):
            return None
        return classes[(found > 0).astype(int) if found.ndim == 1 else found.argmax(axis=1)]

    return {"predict": decide, "decision_function": scores}


class _Matrix:
    """The one input of a model that takes numbers only."""

    def __init__(self, model: Any) -> None:
        self._numbers = Numbers(model, np.float64)

    def take(self, X: Any) -> Feed | None:
        # scikit-learn computes single precision in single precision.
        kinds = X.dtypes if hasattr(X, "columns") else [getattr(X, "dtype", None)]
        if any(kind != np.float64 and getattr(kind, "kind", "O") not in "iu" for kind in kinds):
            return None
        rows = self._numbers.take(X)
        return None if rows is None else {_ROWS: rows}


class _Columns:
    """The inputs of a model whose first step treats each column in its own way."""

    def __init__(self, model: Any, types: dict[str, str]) -> None:
        self._names = list(model.feature_names_in_)
        self._types = types
        self._known = _known_words(model)

    def take(self, X: Any) -> Feed | None:
        pandas = sys.modules.get("pandas")
        if pandas is None or type(X) is not pandas.DataFrame or not len(X):
            return None
        if X.columns.tolist() != self._names:
            return None
        feed = {}
        for name, kind in self._types.items():
            column = self._column(name, kind, X[name])
            if column is None:
                return None
            feed[name] = column.reshape(-1, 1)
        return feed

    def _column(self, name: str, kind: str, column: Any) -> NDArray[Any] | None:
        if kind == "tensor(string)":
            words = column.to_numpy(dtype=object)
            known = self._known.get(name)
            if not all(isinstance(word, str) for word in words):
                return None
            return None if known is not None and not known.issuperset(words) else words
        values: NDArray[Any] = column.to_numpy()
        if values.dtype.kind in "iu":
            known = self._known.get(name)
            if known is not None and not known.issuperset(values.tolist()):
                return None
            return values.astype(np.int64 if kind == "tensor(int64)" else np.float64)
        if values.dtype != np.float64 or kind != "tensor(double)" or name in self._known:
            return None
        return values if np.isfinite(values).all() else None


def _last(model: Any) -> Any:
    return model.steps[-1][1] if hasattr(model, "steps") else model


def _known_words(model: Any) -> dict[str, frozenset[Any]]:
    """Return, by column, what an encoder that refuses all else has met."""
    first = model.steps[0][1] if hasattr(model, "steps") else model
    known: dict[str, frozenset[Any]] = {}
    for _, part, columns in first.transformers_:
        for _, step in getattr(part, "steps", [("", part)]):
            if hasattr(step, "categories_") and step.handle_unknown == "error":
                for name, words in zip(columns, step.categories_, strict=True):
                    known[name] = frozenset(words.tolist())
    return known
