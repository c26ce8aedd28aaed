"""The answers to all rows, from those to blocks of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detent.comparison.outcomes import Outcomes
from detent.data.blocks import BLOCK_ROWS, Column, bounds, digest_blocks
from detent.domain.version import Version
from detent.errors import InvalidError
from detent.evaluation.predict import Answers, Traits

Array = NDArray[Any]


@dataclass(slots=True)
class Collected:
    """What one version answered so far. Blocks come in any order; their rows are not kept.

    For each row it holds the answer and the probabilities or the score: 24 bytes for a model of
    two classes.
    """

    version: Version
    y_true: Array
    _answers: Column = field(init=False)
    _proba: Column | None = field(init=False, default=None)
    _score: Column | None = field(init=False, default=None)
    _digests: list[str] = field(init=False)
    _traits: Traits | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Begin with nothing."""
        self._answers = Column(len(self.y_true))
        self._digests = [""] * len(list(bounds(len(self.y_true))))

    def put(self, start: int, answers: Answers) -> None:
        """Take the answers to the block that begins with row `start`.

        Raises
        ------
        InvalidError
            If no answer could ever equal a true value, or the answers to this block are of another
            shape than those to others.
        """
        traits = self._traits = answers.traits or self._traits
        if traits is not None and self._task(traits) == "classification":
            _check_types(self.y_true, answers.y_pred, self.version)
        self._answers.put(start, answers.y_pred)
        self._digests[start // BLOCK_ROWS] = answers.rows
        # Those of several targets have another shape, and are of no use.
        if answers.proba is not None and answers.proba.ndim == 2:
            self._proba = self._proba or Column(len(self.y_true))
            self._proba.put(start, answers.proba.astype(np.float64))
        if answers.score is not None and answers.score.ndim == 1:
            self._score = self._score or Column(len(self.y_true))
            self._score.put(start, answers.score.astype(np.float64))

    @property
    def traits(self) -> Traits:
        """What the version says of itself."""
        assert self._traits is not None
        return self._traits

    @property
    def task(self) -> str:
        """What the version does: ``classification`` or ``regression``."""
        return self._task(self.traits)

    def _task(self, traits: Traits) -> str:
        if traits.task is not None:
            return traits.task
        return "regression" if self.y_true.dtype.kind == "f" else "classification"

    @property
    def rows_digest(self) -> str:
        """The digest of the rows as the version takes them."""
        return digest_blocks(self._digests)

    def outcomes(self) -> Outcomes:
        """Return what was answered to all rows."""
        y_true, y_pred = self.y_true, self._answers.values
        classes = self.traits.classes
        if self.task == "classification":
            _check_types(y_true, y_pred, self.version)
        if classes is None or self.task != "classification":
            return Outcomes(y_true=y_true, y_pred=y_pred)
        if classes.dtype == object and all(isinstance(label, str) for label in classes.tolist()):
            classes = classes.astype(np.str_)
        proba = None if self._proba is None else self._proba.values
        score = None if self._score is None else self._score.values
        return Outcomes(
            y_true=y_true,
            y_pred=y_pred,
            classes=classes,
            proba=proba if proba is not None and proba.shape[1] == len(classes) else None,
            y_score=score if proba is None else None,
        )


def _check_types(y_true: Array, y_pred: Array, version: Version) -> None:
    """Refuse labels of two types: none would ever be equal, and all answers would be wrong."""
    texts = [array.dtype.kind in "UO" for array in (y_true, y_pred)]
    if texts[0] != texts[1]:
        raise InvalidError(
            f"the true values are of the type {y_true.dtype}, the answers of `{version}` of"
            f" {y_pred.dtype}: no answer could ever be right; nothing was recorded",
            hint="give the true values as the labels that the model was trained with",
        )
