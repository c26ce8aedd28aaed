"""What comes with the rows (slices, groups, ids, weights, own metrics) fits, or is refused."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.tree import DecisionTreeClassifier

import detent
from detent import OwnMetric

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
COLUMNS = ["mean radius", "mean texture"]
X = X[COLUMNS]


@pytest.fixture
def registry() -> detent.Registry:
    registry = detent.connect("memory:", user="ana")
    for depth in (2, 4):
        tree = DecisionTreeClassifier(max_depth=depth, random_state=0).fit(X[::2], y[::2])
        registry.register("cancer", tree, sample=X[:5], note=f"depth {depth}")
    return registry


ROWS, TRUTH = X[1::2], y[1::2]
N = len(ROWS)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"slices": ["region"]}, "no column `region` to slice by"),
        ({"slices": {"mean radius": [15, 10]}}, "do not rise"),
        ({"slices": {"mean radius": []}}, "one number or more"),
        ({"slices": {"mean radius": ["small"]}}, "one number or more"),
        ({"slices": {"row": np.arange(N).astype(str)}}, "at most 50 parts"),
        ({"groups": "customer"}, "no column `customer`"),
        ({"groups": np.zeros(N)}, "all rows are of one group"),
        ({"groups": np.arange(N - 1)}, "has the shape"),
        ({"ids": np.zeros(N, dtype=int)}, "names more than one row"),
        ({"ids": [None] * N}, "missing"),
        ({"sample_weight": np.full(N, -1.0)}, "negative"),
        ({"sample_weight": np.full(N, math.nan)}, "missing or infinite"),
        ({"sample_weight": np.zeros(N)}, "is 0"),
        ({"sample_weight": ["heavy"] * N}, "no numbers"),
        ({"metrics": []}, "no metric was named"),
        ({"metrics": ["accuracy", "accuracy"]}, "asked for twice"),
        ({"metrics": ["acuracy"]}, "no metric `acuracy`"),
        ({"metrics": ["r2"]}, "metric of regression"),
    ],
)
def test_what_does_not_fit(registry: detent.Registry, options: dict[str, Any], says: str) -> None:
    before = len(registry.audit())
    with pytest.raises(detent.InvalidError, match=says) as caught:
        registry.evaluate("cancer/1", ROWS, TRUTH, dataset="held out", **options)
    assert "nothing was recorded" in caught.value.message
    assert len(registry.audit()) == before


def own(function: Any, *, greater_is_better: bool | None = False, name: str = "cost") -> OwnMetric:
    return OwnMetric(name=name, function=function, greater_is_better=greater_is_better)


@pytest.mark.parametrize(
    ("metric", "says"),
    [
        (own(lambda y, p: 1 / 0), "raised ZeroDivisionError"),
        (own(lambda y, p: math.nan), "NaN or infinite"),
        (own(lambda y, p: np.where(y == p, 0, np.inf)), "NaN or infinite"),
        (own(lambda y, p: [1.0, 2.0]), "gave the shape"),
        (own(lambda y, p: "cheap"), "raised ValueError"),
        (own(lambda y, p: 0.0, name="accuracy"), "cannot be the name"),
        (own(lambda y, p: 0.0, name="a\nb"), "cannot be the name"),
    ],
)
def test_own_metrics_that_fail(registry: detent.Registry, metric: OwnMetric, says: str) -> None:
    with pytest.raises(detent.InvalidError, match=says):
        registry.evaluate("cancer/1", ROWS, TRUTH, dataset="held out", metrics=[metric])


def test_own_metrics_are_compared_where_rows_have_values(registry: detent.Registry) -> None:
    cost = own(lambda y, p: 5.0 * (p < y) + 1.0 * (p > y))
    total = own(lambda y, p: float(np.sum(p != y)), name="errors")
    shown = own(lambda y, p: float(np.mean(p)), greater_is_better=None, name="positives")
    for version in ("cancer/1", "cancer/2"):
        registry.evaluate(version, ROWS, TRUTH, dataset="all", metrics=[cost, total, shown])
    comparison = registry.compare("cancer/1", "cancer/2")
    assert comparison["cost"].low is not None
    assert comparison["errors"].low is None
    assert comparison["errors"].verdict == "undecided"
    assert comparison["positives"].verdict is None
    registry.activate("cancer/1", "production")
    for metric in ("errors", "positives"):
        registry.set_policy(
            "cancer@production", {"rule": [{"name": "not_worse", "metric": metric}]}
        )
        assert registry.gate("cancer/2", "production").outcome == "inconclusive"


def test_labels_of_another_type_are_not_all_wrong(registry: detent.Registry) -> None:
    with pytest.raises(detent.InvalidError, match="no answer could ever be right"):
        registry.evaluate("cancer/1", ROWS, TRUTH.astype(str), dataset="held out")


@pytest.mark.parametrize("n", [1, 2])
def test_hardly_any_rows(registry: detent.Registry, n: int) -> None:
    for version in ("cancer/1", "cancer/2"):
        registry.evaluate(version, ROWS[:n], TRUTH[:n], dataset="few", metrics=["accuracy", "f1"])
    comparison = registry.compare("cancer/1", "cancer/2")
    assert comparison.verdict == "undecided"
    assert {one.verdict for one in comparison.differences} == {"undecided"}


def test_one_class_only(registry: detent.Registry) -> None:
    only = TRUTH == 1
    for version in ("cancer/1", "cancer/2"):
        registry.evaluate(version, ROWS[only], TRUTH[only], dataset="positives")
    comparison = registry.compare("cancer/1", "cancer/2")
    with pytest.raises(KeyError):
        comparison["roc_auc"]
    with pytest.raises(detent.InvalidError, match="rows of both classes"):
        registry.evaluate(
            "cancer/1", ROWS[only], TRUTH[only], dataset="positives", metrics=["roc_auc"]
        )


def test_constant_scores_and_ties_everywhere() -> None:
    from sklearn.dummy import DummyClassifier

    registry = detent.connect("memory:", user="ana")
    for seed in (0, 1):
        dummy = DummyClassifier(strategy="prior").fit(X, y)
        registry.register("dummy", dummy, note=f"{seed}", parents=["dummy/1"] if seed else [])
    for version in ("dummy/1", "dummy/2"):
        registry.evaluate(version, ROWS, TRUTH, dataset="all")
    comparison = registry.compare("dummy/1", "dummy/2")
    assert comparison["roc_auc"].baseline == 0.5
    assert comparison["roc_auc"].verdict == "undecided"


def test_scores_instead_of_probabilities() -> None:
    registry = detent.connect("memory:", user="ana")
    registry.register("ridge", RidgeClassifier().fit(X[::2], y[::2]))
    registry.register("ridge", LogisticRegression(max_iter=5000).fit(X[::2], y[::2]))
    for version in ("ridge/1", "ridge/2"):
        evaluation = registry.evaluate(version, ROWS, TRUTH, dataset="all")
        assert 0.8 < evaluation["roc_auc"].value <= 1
    assert registry.compare("ridge/1", "ridge/2")["roc_auc"].low is not None


def test_columns_that_name_rows_and_customers_are_left_out_of_the_features(
    registry: detent.Registry,
) -> None:
    rows = ROWS.assign(row=[f"r{i}" for i in range(N)], customer=np.arange(N) // 3)
    for version in ("cancer/1", "cancer/2"):
        evaluation = registry.evaluate(
            version,
            rows,
            TRUTH,
            dataset="all",
            ids="row",
            groups="customer",
            slices={"mean radius": [12, 15]},
        )
    plain = registry.evaluate("cancer/1", ROWS, TRUTH, dataset="all")
    assert plain.dataset_digest == evaluation.dataset_digest, "the rows are the same"
    registry.evaluate("cancer/1", rows, TRUTH, dataset="all", ids="row", groups="customer")
    comparison = registry.compare("cancer/1", "cancer/2")
    assert comparison.n_groups == len(np.unique(np.arange(N) // 3))
    assert comparison["accuracy"].n == comparison.n_groups
    titles = [one.slice for one in comparison.slices]
    assert sorted(titles) == ["12<=mean radius<15", "mean radius<12", "mean radius>=15"]
    assert all(name.startswith("r") for name in comparison.newly_wrong_rows)


def test_other_rows_are_matched_by_id(registry: detent.Registry) -> None:
    ids = np.arange(N)
    registry.evaluate("cancer/1", ROWS[:200], TRUTH[:200], dataset="all", ids=ids[:200])
    registry.evaluate("cancer/2", ROWS[50:], TRUTH[50:], dataset="all", ids=ids[50:])
    comparison = registry.compare("cancer/1", "cancer/2")
    assert comparison.n_rows == 150
    assert comparison.unmatched == (50, N - 200)


def test_candidates_are_ranked_and_corrected(registry: detent.Registry) -> None:
    for version in ("cancer/1", "cancer/2"):
        registry.evaluate(version, ROWS, TRUTH, dataset="all")
    stump = DecisionTreeClassifier(max_depth=1, random_state=0).fit(X[::2], 1 - y[::2])
    registry.register("cancer", stump)
    registry.evaluate("cancer/3", ROWS, TRUTH, dataset="all")
    ranking = registry.rank("cancer/1", ["cancer/3", "cancer/2"])
    assert [one.candidate for one in ranking.comparisons] == [2, 3]
    assert ranking.comparisons[1].verdict == "worse"
    assert ranking.best in (None, 2)
    with pytest.raises(detent.InvalidError, match="no candidate"):
        registry.rank("cancer/1", [])


def test_numbers_without_edges_are_cut_at_their_quartiles(registry: detent.Registry) -> None:
    from detent.data.blocks import TableRows
    from detent.evaluation.slices import find_slices

    parts = find_slices(TableRows(ROWS), ["mean radius"])["mean radius"]
    counts = pd.Series(parts).value_counts()
    assert len(counts) == 4
    assert counts.min() > N / 5
