"""Versions that were compared, for charts and reports: one registry of each task."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_wine, make_classification
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import detent

# Names as nobody should give them: whatever shows them has to show them as they are.
HOSTILE = "<script>alert(1)</script>&\"'</svg>`|*@ana"


def _compared(code: Path, models: list[Any], X: Any, y: Any, **options: Any) -> detent.Registry:
    registry = detent.connect("memory:", user="ana")
    half = len(X) // 2
    for model in models:
        version = registry.register("m", model.fit(X[:half], y[:half]), note=HOSTILE, code=code)
        registry.evaluate(version, X[half:], y[half:], dataset=HOSTILE, **options)
    return registry


@pytest.fixture(scope="session")
def empty_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the code of the versions would lie: not in our own work tree."""
    return tmp_path_factory.mktemp("code")


@pytest.fixture(scope="session")
def two_classes(empty_folder: Path) -> detent.Registry:
    """Return a registry whose labels, slices, row ids, notes and data sets have hostile names."""
    X, y = make_classification(1200, 8, n_informative=4, flip_y=0.1, random_state=1)
    return _compared(
        empty_folder,
        [DecisionTreeClassifier(max_depth=2, random_state=0), LogisticRegression()],
        X,
        np.where(y == 1, HOSTILE, "ham"),
        metrics=["accuracy", "roc_auc", "log_loss"],
        slices={"part": np.where(np.arange(600) % 3 == 0, HOSTILE, "rest")},
        ids=[f"{HOSTILE} {i}" for i in range(600)],
    )


@pytest.fixture(scope="session")
def three_classes(empty_folder: Path) -> detent.Registry:
    X, y = load_wine(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return _compared(
        empty_folder, [DecisionTreeClassifier(max_depth=1), GaussianNB()], X[order], y[order]
    )


@pytest.fixture(scope="session")
def numbers(empty_folder: Path) -> detent.Registry:
    X, y = load_diabetes(return_X_y=True)
    return _compared(
        empty_folder, [Ridge(10.0), DecisionTreeRegressor(max_depth=2, random_state=0)], X, y
    )


@pytest.fixture(params=["two_classes", "three_classes", "numbers"])
def registry_of_task(request: pytest.FixtureRequest) -> detent.Registry:
    """Return each of the three, one after the other."""
    registry: detent.Registry = request.getfixturevalue(request.param)
    return registry


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what makes a library as good as not installed."""
    import sys

    def forget(library: str) -> None:
        monkeypatch.setitem(sys.modules, library, None)

    return forget
