"""True answers that come later, joined to what was predicted."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, islice
from typing import IO, Any

import msgspec

from detent.domain.clock import to_us, utc_now
from detent.domain.rollout import Joined
from detent.errors import ConflictError, InvalidError, NotFoundError
from detent.metadata.predictions import Predictions

_AT_ONCE = 1000  # labels that travel together


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """The true answer of one row of a request. ``place`` is where it stood, for messages."""

    request_id: str
    label: Any
    row: int = 0
    model: str | None = None
    place: int = 0
    is_text: bool = False  # from a CSV file: its type is that of the answer


def give_label(predictions: Predictions, model: str, label: Label) -> None:
    """Join one label to its row.

    Raises
    ------
    NotFoundError
        If no answer of that name is kept.
    ConflictError
        If the row has a label already.
    InvalidError
        If the label is not of the kind of the answer.
    """
    if not join_label(predictions, model, label):
        raise ConflictError(
            f"row {label.row} of request `{_short(label.request_id)}` has a label already; nothing"
            " was changed",
            details={"field": "id"},
        )


def join_labels(
    predictions: Predictions,
    labels: Iterable[Mapping[str, Any]],
    *,
    model: str,
    elsewhere: list[Label] | None = None,
) -> Joined:
    """Join many labels of a model. Giving the same again is safe: what is known stays as it is.

    Parameters
    ----------
    predictions : Predictions
        The store.
    labels : iterable of mapping
        As `to_mapping` makes them: ``id``, ``label``, and perhaps ``row``, ``place``, ``is_text``.
    model : str
        Its name.
    elsewhere : list of Label, optional
        Takes the labels whose answers are not kept here; without it they are refused.

    Returns
    -------
    Joined
        How many were joined, were known, and why others were refused.

    Raises
    ------
    InvalidError
        If something given is no label.
    """
    joined = Joined()
    for count, fields in enumerate(labels, start=1):
        label = _to_label(fields, fields.get("place", count), is_text=fields.get("is_text", False))
        try:
            if join_label(predictions, model, label):
                joined.joined += 1
            else:
                joined.known += 1
        except NotFoundError as error:
            if elsewhere is None:
                joined.refused.append((label.place, error.message))
            else:
                elsewhere.append(label)
        except InvalidError as error:
            joined.refused.append((label.place, error.message))
    return joined


def read_source(
    source: str | os.PathLike[str] | Iterable[Mapping[str, Any]], *, model: str | None = None
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the labels of a file, or of mappings: some at a time, each time those of one model.

    Raises
    ------
    NotFoundError
        If there is no such file.
    InvalidError
        If it is neither CSV nor JSON lines of labels, or a label is of no model.
    """
    for name, labels in groupby(_read_all(source), key=lambda label: label.model or model):
        while chunk := list(islice(labels, _AT_ONCE)):
            if name is None:
                raise InvalidError(
                    f"the label in line {chunk[0].place} is of no model; those before were joined",
                    hint="name it: `detent feedback FILE --model MODEL`",
                )
            yield name, [to_mapping(label) for label in chunk]


def to_mapping(label: Label) -> dict[str, Any]:
    """Return a label as it travels."""
    return {
        "id": label.request_id,
        "label": label.label,
        "row": label.row,
        "place": label.place,
        "is_text": label.is_text,
    }


def _read_all(source: str | os.PathLike[str] | Iterable[Mapping[str, Any]]) -> Iterator[Label]:
    if not isinstance(source, str | os.PathLike):
        for place, fields in enumerate(source, start=1):
            yield _to_label(dict(fields), place)
        return
    path = os.fspath(source)
    try:
        if path == "-":
            yield from read_labels(sys.stdin, is_csv=False)
            return
        with open(path, newline="", encoding="utf-8") as stream:
            yield from read_labels(stream, is_csv=path.lower().endswith(".csv"))
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {path}; nothing was joined") from None
    except UnicodeDecodeError as error:
        raise InvalidError(f"{path} is not text: {error}") from None


def read_labels(stream: IO[str], *, is_csv: bool) -> Iterator[Label]:
    """Read labels: CSV with columns, or JSON objects line by line.

    The names are ``id`` (or ``request_id``), ``label``, and if there is more than one row in a
    request or one model, ``row`` and ``model``.

    Raises
    ------
    InvalidError
        If a line is not of that form.
    """
    if is_csv:
        reader = csv.DictReader(stream)
        names = set(reader.fieldnames or ())
        if "label" not in names or not names & {"id", "request_id"}:
            raise InvalidError(
                "the file has no columns `id` and `label`; nothing was joined",
                hint="a first line such as `id,label`, or `id,row,label`",
            )
        for fields in reader:
            yield _to_label(fields, reader.line_num, is_text=True)
        return
    for place, line in enumerate(stream, start=1):
        if line.strip():
            try:
                fields = json.loads(line)
            except ValueError:
                raise InvalidError(f"line {place} is not JSON; those before were joined") from None
            yield _to_label(fields, place)


def _to_label(fields: Any, place: int, *, is_text: bool = False) -> Label:
    if not isinstance(fields, Mapping):
        raise InvalidError(f"line {place} is no object; those before were joined")
    name = fields.get("id") or fields.get("request_id")
    row = fields.get("row") or 0
    if is_text and isinstance(row, str) and row.isdigit():
        row = int(row)
    if not isinstance(name, str) or "label" not in fields or not isinstance(row, int):
        raise InvalidError(
            f"line {place} has no `id` and `label`, or its `row` is no number; those before were"
            " joined"
        )
    return Label(
        request_id=name,
        label=fields["label"],
        row=row,
        model=fields.get("model") or None,
        place=place,
        is_text=is_text,
    )


def join_label(predictions: Predictions, model: str, label: Label) -> bool:
    """Join a label unless its row has one; return whether it had none.

    Raises
    ------
    NotFoundError
        If no answer of that name is kept.
    InvalidError
        If the label is not of the kind of the answer.
    """
    found = predictions.find_row(model, label.request_id, label.row)
    if found is None:
        raise NotFoundError(
            f"no answer of `{model}` to row {label.row} of request `{_short(label.request_id)}` is"
            " kept",
            hint="answers are kept while a rollout runs, and for 30 days; right after an answer it"
            " takes a moment",
            details={"field": "id"},
        )
    answer, before = found
    text = _to_text(label, answer)
    if before is not None:
        return False
    return predictions.put_label(model, label.request_id, label.row, text, at_us=to_us(utc_now()))


def _to_text(label: Label, answer: str | None) -> str:
    """Return a label as JSON, if it is of the kind that answers are."""
    value = label.label
    kind = None if answer is None else _kind(json.loads(answer))
    if label.is_text and kind is not None and kind != "text":
        try:
            value = json.loads(str(value).strip().lower())
        except ValueError:
            value = label.label
    if value is None or (isinstance(value, float) and value != value):
        raise _wrong(label, kind)
    if kind is not None and _kind(value) != kind:
        raise _wrong(label, kind)
    return msgspec.json.encode(value).decode()


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        return "list"
    return "number" if isinstance(value, bool | int | float) else type(value).__name__


def _wrong(label: Label, kind: str | None) -> InvalidError:
    expected = f"a {kind}, as the answer is" if kind else "a label"
    return InvalidError(
        f"the label {str(label.label)[:40]!a} of request `{_short(label.request_id)}` is not"
        f" {expected}",
        details={"field": "label"},
    )


def _short(text: str) -> str:
    return text[:100]
