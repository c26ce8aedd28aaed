"""What a model takes and gives, found by trying it on a sample."""

from collections.abc import Iterator
from typing import Any

from detent.data.table import head, n_rows, table_header
from detent.domain.manifest import Field, Signature
from detent.errors import InvalidError

MAX_ROWS = 100
UNKNOWN = "unknown"

_METHODS = ("predict", "predict_proba", "decision_function")


def infer_signature(model: Any, sample: Any = None) -> Signature | None:
    """Return the signature of a model.

    Parameters
    ----------
    model : estimator or callable
        What predicts. Called on the first 100 rows of the sample at most.
    sample : table, optional
        Rows as the model takes them.

    Returns
    -------
    Signature or None
        Inputs from the sample: each column, or one field ``X`` for an array, with -1 for the number
        of rows. Outputs from ``predict``, ``predict_proba`` and ``decision_function``, those that
        the model has. Without a sample the inputs come from ``feature_names_in_`` or
        ``n_features_in_``, of dtype ``unknown``, and there are no outputs; None without these.

    Raises
    ------
    InvalidError
        If the sample is no table, or the model fails on it.

    Examples
    --------
    >>> infer_signature(sum, [1.0, 2.0]).inputs
    (Field(name='X', dtype='float64', shape=(-1,)),)
    """
    if sample is None:
        return _from_fitted(model)
    header = table_header(sample)
    kind = "array" if "shape" in header else "table"
    if n_rows(sample) == 0:
        raise InvalidError("the sample has no rows: a signature needs at least one")
    rows = head(sample, MAX_ROWS)
    return Signature(kind=kind, inputs=_fields("X", sample), outputs=tuple(_outputs(model, rows)))


def _from_fitted(model: Any) -> Signature | None:
    names = getattr(model, "feature_names_in_", None)
    if names is not None:
        return Signature(
            kind="table", inputs=tuple(Field(name=str(name), dtype=UNKNOWN) for name in names)
        )
    count = getattr(model, "n_features_in_", None)
    if count is None:
        return None
    return Signature(kind="array", inputs=(Field(name="X", dtype=UNKNOWN, shape=(-1, int(count))),))


def _fields(name: str, data: Any) -> tuple[Field, ...]:
    header = table_header(data)
    if "shape" not in header:
        return tuple(Field(name=str(c["name"]), dtype=c["dtype"]) for c in header["columns"])
    values = header["columns"][-1]  # of a sparse matrix: after the places of its values
    return (Field(name=name, dtype=values["dtype"], shape=(-1, *header["shape"][1:])),)


def _outputs(model: Any, rows: Any) -> Iterator[Field]:
    methods = {name: getattr(model, name) for name in _METHODS if hasattr(model, name)}
    if not methods and callable(model):
        methods = {"return": model}
    for name, method in methods.items():
        try:
            answer = method(rows)
        except Exception as error:
            raise InvalidError(
                f"the sample does not fit the model: `{name}` failed on its first"
                f" {n_rows(rows)} rows with {type(error).__name__}: {error}",
                hint="pass rows as the model was fitted on: `sample=X_train[:100]`",
            ) from error
        yield from _output(name, answer)


def _output(name: str, answer: Any) -> tuple[Field, ...]:
    # Several outputs at once: scikit-learn gives a list of arrays, one for each.
    if isinstance(answer, list) and answer and all(hasattr(part, "dtype") for part in answer):
        parts = (_output(f"{name}[{place}]", part) for place, part in enumerate(answer))
        return tuple(field for part in parts for field in part)
    try:
        return _fields(name, answer)
    except InvalidError:  # the answer is no table: its type is all that can be said
        return (Field(name=name, dtype=type(answer).__name__, shape=()),)
