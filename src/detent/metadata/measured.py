"""Reading one metric of very many evaluations: a page shows those of hundreds of models."""

from collections.abc import Iterable
from typing import Any

import msgspec

from detent.domain.evidence import Measured
from detent.metadata.statements import converter


class _Value(msgspec.Struct, gc=False):
    """Of a metric what is shown; the rest is passed over."""

    name: str
    value: float


_VALUES = msgspec.json.Decoder(list[_Value])


def to_measured(rows: Iterable[tuple[Any, ...]]) -> list[Measured]:
    """Return of each evaluation the metric that the first of its model names first.

    The rows are a model, a version, a dataset, its digest, and the metrics as JSON. Those without
    that metric are left out.
    """
    names: dict[str, str] = {}
    found = []
    for row in rows:
        values = _values(row)
        name = names.setdefault(row[0], values[0].name) if values else None
        value = next((one.value for one in values if one.name == name), None)
        if name is not None and value is not None:
            found.append(Measured(row[0], row[1], row[2], row[3], name, value))
    return found


@converter
def _values(row: tuple[Any, ...]) -> list[_Value]:
    try:
        return _VALUES.decode(row[4])
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error
