"""Each compiler keeps what `CompilerContract` promises, for the models that it is there for."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    ElasticNet,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import LinearSVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from detent.compilers.base import Compiler
from detent.compilers.onnx import OnnxCompiler
from detent.compilers.treelite import TreeliteCompiler
from detent.testing.compilers import CompilerContract

rng = np.random.default_rng(0)
N = 120
ARRAY = rng.normal(size=(N, 4))
FRAME = pd.DataFrame(ARRAY, columns=["a", "b", "c", "d"])
MIXED = pd.DataFrame(
    {
        "age": rng.uniform(18, 90, N),
        "city": rng.choice(["bern", "bonn", "Zürich"], N),
        "visits": rng.integers(0, 9, N),
    }
)
NUMBER = ARRAY[:, 0] + ARRAY[:, 1] ** 2 + 5
TWO = np.where(ARRAY[:, 0] > 0, "yes", "no")
THREE = np.digitize(ARRAY[:, 0], [-0.5, 0.5])
HOLED = np.where(rng.random(ARRAY.shape) < 0.1, np.nan, ARRAY)

_encode = make_column_transformer(
    (OneHotEncoder(), ["city"]), (StandardScaler(), ["age"]), remainder="passthrough"
)
_order = make_column_transformer(
    (OrdinalEncoder(), ["city"]), (make_pipeline(MinMaxScaler()), ["age", "visits"])
)
_ignore = make_column_transformer(
    (OneHotEncoder(handle_unknown="ignore"), ["city", "visits"]), remainder="passthrough"
)

TREES: list[tuple[Any, Any, Any]] = [
    (DecisionTreeClassifier(), ARRAY, TWO),
    (DecisionTreeRegressor(), FRAME, NUMBER),
    (RandomForestClassifier(10), ARRAY, THREE),
    (RandomForestClassifier(10), FRAME, TWO),
    (RandomForestClassifier(10), HOLED, TWO),
    (RandomForestRegressor(10), ARRAY, NUMBER),
    (ExtraTreesClassifier(10), ARRAY, TWO),
    (ExtraTreesRegressor(10), HOLED, NUMBER),
    (GradientBoostingClassifier(n_estimators=10), ARRAY, THREE),
    (GradientBoostingClassifier(n_estimators=10), FRAME, TWO),
    (GradientBoostingClassifier(n_estimators=10, loss="exponential"), ARRAY, TWO),
    (GradientBoostingRegressor(n_estimators=10, loss="huber"), ARRAY, NUMBER),
    (HistGradientBoostingClassifier(max_iter=5), ARRAY, TWO),
    (HistGradientBoostingClassifier(max_iter=5), HOLED, THREE),
    (HistGradientBoostingRegressor(max_iter=5), FRAME, NUMBER),
    (HistGradientBoostingRegressor(max_iter=5, loss="poisson"), ARRAY, NUMBER),
    (make_pipeline(StandardScaler(), RandomForestClassifier(10)), ARRAY, TWO),
    (make_pipeline(SimpleImputer(), GradientBoostingRegressor(n_estimators=5)), HOLED, NUMBER),
    (make_pipeline(_encode, RandomForestClassifier(10)), MIXED, THREE),
    (make_pipeline(_encode, HistGradientBoostingClassifier(max_iter=5)), MIXED, TWO),
]
LINEAR: list[tuple[Any, Any, Any]] = [
    (LogisticRegression(), ARRAY, TWO),
    (LogisticRegression(), ARRAY, THREE),
    (LogisticRegression(), FRAME, TWO),
    (SGDClassifier(), ARRAY, THREE),
    (SGDClassifier(), ARRAY, TWO),
    (GaussianNB(), ARRAY, THREE),
    (MLPClassifier((5,), max_iter=20), ARRAY, TWO),
    (LinearRegression(), ARRAY, NUMBER),
    (LinearRegression(), FRAME, NUMBER),
    (Ridge(), ARRAY, NUMBER),
    (ElasticNet(), ARRAY, NUMBER),
    (PoissonRegressor(), ARRAY, NUMBER),
    (SGDRegressor(), ARRAY, NUMBER),
    (LinearSVR(), ARRAY, NUMBER),
    (make_pipeline(StandardScaler(), LogisticRegression()), FRAME, TWO),
    (make_pipeline(MinMaxScaler(), Ridge()), ARRAY, NUMBER),
    (make_pipeline(_encode, LogisticRegression()), MIXED, THREE),
    (make_pipeline(_encode, Ridge()), MIXED, NUMBER),
    (make_pipeline(_order, LogisticRegression()), MIXED, TWO),
    (make_pipeline(_ignore, LogisticRegression()), MIXED, TWO),
]


def _names(cases: list[tuple[Any, Any, Any]]) -> list[str]:
    names = []
    for i, (model, X, y) in enumerate(cases):
        kind = type(model.steps[-1][1] if hasattr(model, "steps") else model).__name__
        rows = "frame" if hasattr(X, "columns") else "array"
        labels = "number" if y is NUMBER else f"{len(set(y))}"
        names.append(f"{i}-{kind}-{rows}-{labels}")
    return names


class _Cases(CompilerContract):
    @pytest.fixture
    def sample(self, case: tuple[Any, Any, Any]) -> Any:
        return case[1]

    @pytest.fixture
    def model(self, case: tuple[Any, Any, Any]) -> Any:
        import warnings

        model, X, y = case
        params = model.get_params()
        seeds = {name: 0 for name in params if name.endswith("random_state")}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some have not converged: it makes no difference
            return model.set_params(**seeds).fit(X, y)


@pytest.mark.parametrize("case", TREES, ids=_names(TREES))
class TestTreelite(_Cases):
    @pytest.fixture
    def compiler(self) -> Compiler:
        return TreeliteCompiler()


@pytest.mark.parametrize("case", LINEAR, ids=_names(LINEAR))
class TestOnnx(_Cases):
    @pytest.fixture
    def compiler(self) -> Compiler:
        return OnnxCompiler()
