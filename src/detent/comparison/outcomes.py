"""What a version answered, row by row, and pairs of that on the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detent.errors import CorruptError, InvalidError
from detent.stats.arrays import Flags, Floats

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """True values and a version's answers, ``n_samples`` of each.

    Parameters
    ----------
    y_true, y_pred : array of shape (n_samples,)
        Labels, or numbers in regression.
    proba : array of shape (n_samples, n_classes), optional
        Probabilities, one column per class in `classes`.
    classes : array of shape (n_classes,), optional
        The labels of the columns of `proba`.
    y_score : array of shape (n_samples,), optional
        Any score that is higher for the second class, where there are no probabilities.
    ids : array of shape (n_samples,), optional
        Names of rows, no two equal.
    groups : array of shape (n_samples,), optional
        To whom a row belongs, where rows are not independent.
    sample_weight : array of shape (n_samples,), optional
        How much a row counts, 0 or more.
    slices : mapping of str to array of shape (n_samples,)
        By the name of a slice: the part that each row belongs to, such as ``region=north``.
    values : mapping of str to array of shape (n_samples,)
        By the name of an own metric: its number for each row.
    """

    y_true: Array
    y_pred: Array
    proba: Floats | None = None
    classes: Array | None = None
    y_score: Floats | None = None
    ids: Array | None = None
    groups: Array | None = None
    sample_weight: Floats | None = None
    slices: Mapping[str, Array] = field(default_factory=dict)
    values: Mapping[str, Floats] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.y_true)

    @cached_property
    def is_right(self) -> Flags:
        """Whether each answer is the true label."""
        return np.asarray(self.y_pred == self.y_true, dtype=np.bool_)

    @cached_property
    def positive_score(self) -> Floats | None:
        """A score that is higher for the second class; None where there is none."""
        if self.proba is not None and self.proba.shape[1] == 2:
            return self.proba[:, 1]
        return self.y_score

    @property
    def positive_label(self) -> object:
        """The second of two classes, the one that scores and F1 speak of."""
        labels = np.unique(self.y_true) if self.classes is None else self.classes
        return labels.tolist()[-1]

    def take(self, rows: Array) -> Outcomes:
        """Return some rows: a mask, or indices in the order wanted."""

        def some(array: Any) -> Any:
            return None if array is None else array[rows]

        names = ("y_true", "y_pred", "proba", "y_score", "ids", "groups", "sample_weight")
        return replace(
            self,
            **{name: some(getattr(self, name)) for name in names},
            slices={name: array[rows] for name, array in self.slices.items()},
            values={name: array[rows] for name, array in self.values.items()},
        )

    def to_columns(self) -> dict[str, Array]:
        """Return the columns under which outcomes are kept."""
        columns = {"y_true": self.y_true, "y_pred": self.y_pred}
        if self.proba is not None and self.classes is not None:
            for i, label in enumerate(self.classes.tolist()):
                columns[f"proba:{label}"] = self.proba[:, i]
        for name, array in (
            ("y_score", self.y_score),
            ("id", self.ids),
            ("group", self.groups),
            ("weight", self.sample_weight),
        ):
            if array is not None:
                columns[name] = array
        columns |= {f"slice:{name}": array for name, array in self.slices.items()}
        columns |= {f"value:{name}": array for name, array in self.values.items()}
        return columns


def from_columns(columns: Mapping[str, Array]) -> Outcomes:
    """Return outcomes from the columns under which they were kept.

    Raises
    ------
    CorruptError
        If they are not the columns of outcomes.
    """

    def named(prefix: str) -> dict[str, Array]:
        return {k.removeprefix(prefix): v for k, v in columns.items() if k.startswith(prefix)}

    if not {"y_true", "y_pred"} <= columns.keys():
        raise CorruptError("these are not the outcomes of an evaluation")
    proba = named("proba:")
    labels = columns["y_pred"].dtype
    return Outcomes(
        y_true=columns["y_true"],
        y_pred=columns["y_pred"],
        proba=np.column_stack(list(proba.values())).astype(np.float64) if proba else None,
        classes=_typed(list(proba), labels) if proba else None,
        y_score=columns.get("y_score"),
        ids=columns.get("id"),
        groups=columns.get("group"),
        sample_weight=columns.get("weight"),
        slices=named("slice:"),
        values=named("value:"),
    )


def _typed(labels: list[str], dtype: Any) -> Array:
    if dtype.kind == "b":
        return np.array([label == "True" for label in labels])
    if dtype.kind in "iuf":
        return np.array([float(label) for label in labels]).astype(dtype)
    return np.array(labels, dtype=dtype if dtype.kind in "UO" else object)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The outcomes of two versions on the same rows in the same order.

    ``unmatched`` counts the rows that only one of them was evaluated on, which are left out.
    """

    baseline: Outcomes
    candidate: Outcomes
    unmatched: tuple[int, int] = (0, 0)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.candidate)

    @property
    def groups(self) -> Array | None:
        """To whom a row belongs; None where rows are independent."""
        return self.candidate.groups

    @property
    def n_groups(self) -> int | None:
        """The number of groups; None where rows are independent."""
        return None if self.groups is None else len(np.unique(self.groups))

    @cached_property
    def is_changed(self) -> Flags:
        """Whether the versions answer a row differently."""
        return np.asarray(self.baseline.y_pred != self.candidate.y_pred, dtype=np.bool_)

    def take(self, rows: Array) -> Pair:
        """Return some rows of both."""
        return Pair(baseline=self.baseline.take(rows), candidate=self.candidate.take(rows))


def pair_by_id(baseline: Outcomes, candidate: Outcomes) -> Pair | None:
    """Match rows by their ids; None where either has none.

    Raises
    ------
    InvalidError
        If no id is in both, or rows of one id have different true values.
    """
    if baseline.ids is None or candidate.ids is None:
        return None
    if baseline.ids.dtype.kind != candidate.ids.dtype.kind:
        raise InvalidError(
            f"the rows of the two evaluations are named by {baseline.ids.dtype} and by"
            f" {candidate.ids.dtype}: they cannot be matched"
        )
    _, old, new = np.intersect1d(
        baseline.ids, candidate.ids, assume_unique=True, return_indices=True
    )
    if len(old) == 0:
        raise InvalidError("the two evaluations have no row id in common: not comparable")
    pair = Pair(
        baseline=baseline.take(old),
        candidate=candidate.take(new),
        unmatched=(len(baseline) - len(old), len(candidate) - len(new)),
    )
    differs = pair.baseline.y_true != pair.candidate.y_true
    if differs.any():
        first = pair.candidate.ids[int(np.argmax(differs))]  # type: ignore[index]  # both have ids
        raise InvalidError(
            f"{int(np.count_nonzero(differs)):,} rows have other true values in one evaluation"
            f" than in the other, row `{first}` among them: not comparable"
        )
    return pair
