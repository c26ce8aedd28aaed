"""A compiled form gives the answers of its original."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.ensemble import (
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from detent.compilers.agreement import find_difference
from detent.compilers.lookup import get_compiler
from detent.compilers.probe import beside, find_thresholds
from detent.compilers.rows import is_near_tie

ROWS = 12

# Few values, close together, and far apart: single precision cannot tell some of them apart.
floats = st.one_of(
    st.sampled_from(
        [0.0, -0.0, 1.0, 1 + 1e-9, 1 + 1e-7, 0.1, np.float64(np.float32(0.1)), 16777217]
    ),
    st.floats(-1e30, 1e30),
    st.floats(-2, 2, width=32),
)
tables = arrays(np.float64, (ROWS, 2), elements=floats)


@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeClassifier(random_state=0),
        RandomForestClassifier(3, random_state=0),
        ExtraTreesRegressor(3, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
@settings(max_examples=40)
@given(table=tables, labels=arrays(np.int64, ROWS, elements=st.integers(0, 2)), asked=tables)
def test_trees_answer_equally_on_and_beside_their_thresholds(
    model: Any, table: Any, labels: Any, asked: Any
) -> None:
    labels[:3] = 0, 1, 2  # one class is no case for trees
    model.fit(table, labels)
    compiler = get_compiler("treelite")
    methods = compiler.load(compiler.compile(model, table), model)
    edges = [beside(values) for values in find_thresholds(model).values()] or [np.zeros(1)]
    values = np.concatenate(edges)
    on_edges = np.column_stack([values, values[::-1]])
    for rows in (table, asked, on_edges, on_edges[:, ::-1]):
        assert find_difference(model, methods, rows, tolerance=0) is None


@settings(max_examples=20)
@given(labels=arrays(np.int64, 40, elements=st.integers(0, 2)), asked=tables)
def test_histogram_boosting_answers_equally(labels: Any, asked: Any) -> None:
    table = np.random.default_rng(0).normal(size=(40, 2)).round(1)
    labels[:3] = 0, 1, 2
    model = HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2).fit(table, labels)
    compiler = get_compiler("treelite")
    methods = compiler.load(compiler.compile(model, table), model)
    for values in find_thresholds(model).values():
        rows = np.column_stack([beside(values), beside(values)])
        assert find_difference(model, methods, rows) is None
    assert find_difference(model, methods, asked) is None


@given(asked=arrays(np.float64, (ROWS, 2), elements=st.floats(-1e6, 1e6)))
def test_linear_models_answer_equally(asked: Any) -> None:
    assert find_difference(*_LINEAR, asked) is None


def _linear() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    model = LogisticRegression().fit(X, X[:, 0] > 0)
    compiler = get_compiler("onnx")
    return model, compiler.load(compiler.compile(model, X), model)


_LINEAR = _linear()


@given(scores=arrays(np.float64, (3, 4), elements=st.floats(-10, 10)))
def test_where_no_two_scores_are_near_a_small_change_decides_nothing(scores: Any) -> None:
    if not is_near_tie(scores):
        changed = scores + np.random.default_rng(0).uniform(-1e-10, 1e-10, scores.shape)
        np.testing.assert_array_equal(changed.argmax(axis=1), scores.argmax(axis=1))
