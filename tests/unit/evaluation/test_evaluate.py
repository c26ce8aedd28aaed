"""Evaluations keep metrics and every row's outcome, and say clearly what does not fit."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_wine
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss, roc_auc_score
from sklearn.naive_bayes import GaussianNB

import detent
from detent.blobs.base import read_verified
from detent.data.table import decode_table

X, y = load_wine(return_X_y=True, as_frame=True)
TRAIN, TEST = slice(None, None, 2), slice(1, None, 2)


@pytest.fixture(scope="module")
def forest() -> RandomForestClassifier:
    return RandomForestClassifier(n_estimators=5, random_state=0).fit(X[TRAIN], y[TRAIN])


@pytest.fixture
def registry(forest: RandomForestClassifier) -> detent.Registry:
    registry = detent.connect("memory:", user="ana")
    registry.register("wine", forest, sample=X[TRAIN])
    return registry


def n_events(registry: detent.Registry) -> int:
    return len(registry.audit())


def test_metrics_are_those_of_scikit_learn(
    registry: detent.Registry, forest: RandomForestClassifier
) -> None:
    evaluation = registry.evaluate("wine/1", X[TEST], y[TEST], dataset="held out")
    answers, proba = forest.predict(X[TEST]), forest.predict_proba(X[TEST])
    assert evaluation["accuracy"].value == accuracy_score(y[TEST], answers)
    assert evaluation["f1_macro"].value == f1_score(y[TEST], answers, average="macro")
    assert evaluation["log_loss"].value == log_loss(y[TEST], proba)
    assert evaluation["accuracy"].n == evaluation.n_rows == len(y[TEST])
    assert evaluation["accuracy"].greater_is_better
    assert evaluation["log_loss"].greater_is_better is False
    with pytest.raises(KeyError):
        evaluation["roc_auc"]  # three classes


def test_outcomes_of_every_row_are_kept(
    registry: detent.Registry, forest: RandomForestClassifier
) -> None:
    evaluation = registry.evaluate("wine/1", X[TEST], y[TEST], dataset="held out")
    data = read_verified(registry._stores.blobs, evaluation.outcomes, what="outcomes")
    outcomes = decode_table(data)
    assert isinstance(outcomes, dict)
    np.testing.assert_array_equal(outcomes["y_true"], y[TEST])
    np.testing.assert_array_equal(outcomes["y_pred"], forest.predict(X[TEST]))
    np.testing.assert_array_equal(outcomes["proba:1"], forest.predict_proba(X[TEST])[:, 1])


def test_two_classes_have_an_area_under_the_curve() -> None:
    registry = detent.connect("memory:", user="ana")
    two = y < 2
    model = GaussianNB().fit(X[two], y[two])
    registry.register("two", model)
    evaluation = registry.evaluate("two/1", X[two], y[two], dataset="all")
    expected = roc_auc_score(y[two], model.predict_proba(X[two])[:, 1])
    assert evaluation["roc_auc"].value == expected


def test_regression() -> None:
    registry = detent.connect("memory:", user="ana")
    rows, target = load_diabetes(return_X_y=True)
    model = LinearRegression().fit(rows, target)
    registry.register("diabetes", model)
    evaluation = registry.evaluate("diabetes/1", rows, target, dataset="all")
    assert evaluation["r2"].value == pytest.approx(model.score(rows, target))
    assert evaluation["mean_absolute_error"].greater_is_better is False


def test_the_digest_is_of_rows_and_true_values(registry: detent.Registry) -> None:
    def digest(rows: pd.DataFrame, values: "pd.Series[int]") -> str:
        return registry.evaluate("wine/1", rows, values, dataset="any name").dataset_digest

    same = digest(X[TEST], y[TEST])
    assert digest(X[TEST].copy(), y[TEST].copy()) == same
    assert digest(X[TEST][::-1], y[TEST][::-1]) != same
    assert digest(X[TEST] + 1e-9, y[TEST]) != same
    assert digest(X[TEST], (y[TEST] + 1) % 3) != same
    assert digest(X[TEST][X.columns[::-1]], y[TEST]) == same, "columns are put in their order"


@pytest.mark.parametrize(
    ("rows", "values", "message"),
    [
        (X.drop(columns="alcohol"), y, "missing: `alcohol`"),
        (X.assign(colour=1.0), y, "unknown: `colour`"),
        (X.rename(columns={"alcohol": "Alcohol"}), y, "missing: `alcohol`; unknown: `Alcohol`"),
        (X, y[:-1], "178 rows and 177 true values"),
        (X[:0], y[:0], "no rows"),
        (X, y.where(y > 0), "true values are missing"),
        (X, np.stack([y, y], axis=1), r"shape \(178, 2\)"),
        (X.to_numpy()[:, :5], y, "takes 13 features, the data has 5"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_recorded(
    registry: detent.Registry, rows: object, values: object, message: str
) -> None:
    before = n_events(registry)
    with pytest.raises(detent.InvalidError, match=message) as caught:
        registry.evaluate("wine/1", rows, values, dataset="bad")
    assert "nothing was recorded" in caught.value.message
    assert n_events(registry) == before


def test_a_model_that_refuses_missing_values_says_so() -> None:
    registry = detent.connect("memory:", user="ana")
    model = GaussianNB().fit(X, y)
    registry.register("wine", model)
    holes = X.copy()
    holes.iloc[3, 0] = float("nan")
    with pytest.raises(detent.InvalidError, match=r"could not predict these rows: .*NaN"):
        registry.evaluate("wine/1", holes, y, dataset="holes")


def test_unknown_metrics_and_names(registry: detent.Registry) -> None:
    with pytest.raises(detent.InvalidError, match="no metric `acuracy`"):
        registry.evaluate("wine/1", X, y, dataset="all", metrics=["acuracy"])
    with pytest.raises(detent.InvalidError, match="`r2` is a metric of regression"):
        registry.evaluate("wine/1", X, y, dataset="all", metrics=["r2"])
    for name in ("", " ", "x" * 201, "a\nb"):
        with pytest.raises(detent.InvalidError, match="a dataset's name"):
            registry.evaluate("wine/1", X, y, dataset=name)


def test_a_class_that_the_model_never_saw(registry: detent.Registry) -> None:
    unseen = y.where(y != 2, 7)
    evaluation = registry.evaluate("wine/1", X, unseen, dataset="unseen")
    assert evaluation["accuracy"].value < 1
    with pytest.raises(KeyError):
        evaluation["log_loss"]
    with pytest.raises(detent.InvalidError, match=r"never saw the classes 7"):
        registry.evaluate("wine/1", X, unseen, dataset="unseen", metrics=["log_loss"])


def test_text_labels() -> None:
    registry = detent.connect("memory:", user="ana")
    names = y.map({0: "red", 1: "white", 2: "rosé"})
    registry.register("wine", DummyClassifier().fit(X, names))
    evaluation = registry.evaluate("wine/1", X, names, dataset="all")
    assert evaluation["accuracy"].value == pytest.approx((names == "white").mean())
