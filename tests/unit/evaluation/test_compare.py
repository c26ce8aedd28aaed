"""Comparisons are made from kept outcomes on the same rows, or not at all."""

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.linear_model import RidgeClassifier
from sklearn.tree import DecisionTreeClassifier

import detent

X, y = load_wine(return_X_y=True)


@pytest.fixture
def registry() -> detent.Registry:
    registry = detent.connect("memory:", user="ana")
    for depth in (1, 3, 8):
        tree = DecisionTreeClassifier(max_depth=depth, random_state=0).fit(X[::2], y[::2])
        registry.register("wine", tree, note=f"depth {depth}")
    return registry


def evaluate(registry: detent.Registry, *versions: int) -> None:
    for number in versions:
        registry.evaluate(f"wine/{number}", X[1::2], y[1::2], dataset="every other row")


def test_counts_and_differences_are_those_of_the_answers(registry: detent.Registry) -> None:
    evaluate(registry, 1, 2)
    comparison = registry.compare("wine/1", "wine/2")
    rows, truth = X[1::2], y[1::2]
    old, new = (registry.load(f"wine/{n}").predict(rows) for n in (1, 2))
    assert comparison.n_rows == len(truth)
    assert comparison.n_changed == np.sum(old != new) > 0
    assert comparison.newly_right == np.sum((old != truth) & (new == truth)) > 0
    assert comparison.newly_wrong == np.sum((old == truth) & (new != truth))
    difference = comparison["accuracy"]
    assert difference.value == pytest.approx(np.mean(new == truth) - np.mean(old == truth))
    assert difference.low is not None
    assert difference.high is not None
    assert difference.low < difference.value < difference.high
    with pytest.raises(KeyError):
        comparison["r2"]


def test_the_other_way_round_is_the_negative(registry: detent.Registry) -> None:
    evaluate(registry, 1, 2)
    there, back = registry.compare("wine/1", "wine/2"), registry.compare("wine/2", "wine/1")
    assert there["accuracy"].value == -back["accuracy"].value
    assert (there.newly_right, there.newly_wrong) == (back.newly_wrong, back.newly_right)


def test_not_evaluated_on_the_same_dataset(registry: detent.Registry) -> None:
    evaluate(registry, 1)
    with pytest.raises(detent.NotFoundError, match="share no evaluated dataset") as caught:
        registry.compare("wine/1", "wine/3")
    assert caught.value.hint is not None
    assert "detent evaluate wine/3" in caught.value.hint


def test_different_rows_of_one_name(registry: detent.Registry) -> None:
    registry.evaluate("wine/1", X[1::2], y[1::2], dataset="holdout")
    registry.evaluate("wine/2", X[::2], y[::2], dataset="holdout")
    with pytest.raises(detent.InvalidError, match="different rows of holdout"):
        registry.compare("wine/1", "wine/2")


def test_two_models_are_not_compared(registry: detent.Registry) -> None:
    registry.register("other", DecisionTreeClassifier().fit(X, y))
    with pytest.raises(detent.InvalidError, match="two models"):
        registry.compare("wine/1", "other/1")


def test_calibration_errors_are_of_the_probabilities_of_answers(registry: detent.Registry) -> None:
    evaluate(registry, 1, 3)
    found = registry.compare("wine/1", "wine/3").calibration_errors
    assert found is not None
    for number, error in zip((1, 3), found, strict=True):
        model = registry.load(f"wine/{number}")
        proba = model.predict_proba(X[1::2]).max(axis=1)
        is_right = model.predict(X[1::2]) == y[1::2]
        # A tree has few different probabilities, and each of these lies in a bin of its own.
        expected = sum(
            (proba == p).mean() * abs(p - is_right[proba == p].mean()) for p in np.unique(proba)
        )
        assert error == pytest.approx(expected)


def test_without_probabilities_there_is_no_calibration(registry: detent.Registry) -> None:
    for number in (1, 2):
        registry.register("ridge", RidgeClassifier(alpha=number).fit(X, y == 1))
        registry.evaluate(f"ridge/{number}", X, y == 1, dataset="all")
    assert registry.compare("ridge/1", "ridge/2").calibration_errors is None
