"""From a model to an ONNX graph whose numbers are all doubles.

skl2onnx lets encoders give single precision, and then computes all that follows in it. Here their
converters are wrapped, so that a cast to doubles follows at once: zeros, ones and small integers
are the same in both. The wrapping uses two names that skl2onnx does not publish;
`tests/contract/test_compilers.py` notices when a release changes what they do.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import skl2onnx
from onnx.compose import add_prefix, merge_models
from skl2onnx.common._apply_operation import apply_cast
from skl2onnx.common._registration import get_converter, get_shape_calculator
from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType, StringTensorType
from skl2onnx.proto import onnx_proto
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from detent.compilers.rows import has_columns
from detent.errors import InvalidError

_OPSET = {"": 18, "ai.onnx.ml": 3}
_ENCODERS = {OneHotEncoder: "SklearnOneHotEncoder", OrdinalEncoder: "SklearnOrdinalEncoder"}


def make_graph(model: Any, sample: Any, *, rows: str, are_ints_floats: bool) -> bytes:
    """Return the bytes of a graph; the same for the same model.

    Parameters
    ----------
    model : estimator
        A fitted model.
    sample : table-like of shape (n_samples, n_features)
        Gives the types of the columns.
    rows : str
        The name of the input, for a model that takes all its columns as one.
    are_ints_floats : bool
        Whether columns of integers are given as doubles.

    Raises
    ------
    InvalidError
        If a column has a type that ONNX has not.
    Exception
        Whatever skl2onnx raises for what it cannot convert.
    """
    inputs = _inputs(model, sample, rows, are_ints_floats=are_ints_floats)
    if not has_columns(model) or not hasattr(model, "steps"):
        graph = _graph(model, inputs)
    else:
        # Each by itself: in one go skl2onnx takes what follows an encoder for single precision.
        before, last = model[:-1], model.steps[-1][1]
        encoding = _graph(before, inputs)
        name = encoding.graph.output[0].name
        deciding = add_prefix(_graph(last, [(rows, _matrix(last))]), "last/")
        _level(encoding, deciding)
        graph = merge_models(encoding, deciding, io_map=[(name, f"last/{rows}")], name="model")
    return bytes(graph.SerializeToString(deterministic=True))


def _graph(model: Any, inputs: list[tuple[str, Any]]) -> Any:
    options = {id(model): {"zipmap": False}} if hasattr(model, "classes_") else None
    try:
        return _convert_model(model, inputs, options)
    except NameError:  # an option that the model's converter has not
        return _convert_model(model, inputs, None)


def _convert_model(model: Any, inputs: list[tuple[str, Any]], options: Any) -> Any:
    return skl2onnx.convert_sklearn(
        model,
        name="model",
        initial_types=inputs,
        options=options,
        target_opset=_OPSET,
        custom_conversion_functions=dict.fromkeys(_ENCODERS, _convert),
        custom_shape_calculators=dict.fromkeys(_ENCODERS, _shape),
    )


def _level(*graphs: Any) -> None:
    """Give graphs the same versions of operators: each names the lowest that its own need."""
    needed: dict[str, int] = {}
    for item in (item for graph in graphs for item in graph.opset_import):
        needed[item.domain] = max(item.version, needed.get(item.domain, 1))
    for graph in graphs:
        for item in graph.opset_import:
            item.version = needed[item.domain]
        graph.ir_version = max(other.ir_version for other in graphs)


def _matrix(model: Any) -> Any:
    return DoubleTensorType([None, int(model.n_features_in_)])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    kind = _ENCODERS[type(operator.raw_operator)]
    single = scope.get_unique_variable_name("encoded")
    get_converter(kind)(
        scope,
        SimpleNamespace(
            raw_operator=operator.raw_operator,
            inputs=operator.inputs,
            outputs=operator.outputs,
            output_full_names=[single],
            full_name=operator.full_name,
        ),
        container,
    )
    names = operator.output_full_names
    apply_cast(scope, single, names[0], container, to=onnx_proto.TensorProto.DOUBLE)


def _shape(operator: Any) -> None:
    get_shape_calculator(_ENCODERS[type(operator.raw_operator)])(operator)
    operator.outputs[0].type = DoubleTensorType(operator.outputs[0].type.shape)


def _inputs(model: Any, sample: Any, rows: str, *, are_ints_floats: bool) -> list[tuple[str, Any]]:
    if not has_columns(model):
        return [(rows, _matrix(model))]
    names = list(getattr(model, "feature_names_in_", ()))
    if not hasattr(sample, "columns") or sample.columns.tolist() != names:
        raise InvalidError(
            "onnx needs a data frame with the model's columns as the sample; nothing was registered"
        )
    found = []
    for name in names:
        kind = getattr(sample[name].dtype, "kind", "O")
        if kind == "f" or (kind in "iu" and are_ints_floats):
            found.append((name, DoubleTensorType([None, 1])))
        elif kind in "iu":
            found.append((name, Int64TensorType([None, 1])))
        elif all(isinstance(word, str) for word in sample[name]):
            found.append((name, StringTensorType([None, 1])))
        else:
            raise InvalidError(
                f"onnx has no type for column `{name}` ({sample[name].dtype}); nothing was"
                " registered"
            )
    return found
