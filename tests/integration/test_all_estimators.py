"""Each estimator of scikit-learn comes back from a `skops` file with equal predictions.

Those that do not stand, with the reason, in the table of docs/formats.md: this test reads it there,
and fails when one of them works after all.
"""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import sklearn
from scipy.stats import loguniform
from sklearn.datasets import make_blobs
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import all_estimators

# scikit-learn's own tests make every estimator with these.
from sklearn.utils._test_common.instance_generator import _construct_instances
from sklearn.utils.estimator_checks import _enforce_estimator_tags_X, _enforce_estimator_tags_y

from detent.errors import DetentError, InvalidError, RefusedError
from detent.formats.skops import SkopsFormat
from detent.testing.formats import MemoryFiles

# Fitting on little data warns of much, none of which is about saving.
pytestmark = pytest.mark.filterwarnings("ignore")

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
TABLE_ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<reason>.+) \|$", re.MULTILINE)

X, y = make_blobs(n_samples=45, centers=3, n_features=5, random_state=0)
X = (X - X.mean(axis=0)) / X.std(axis=0)
WORDS = ["the cat sat", "a dog ran", "the dog sat", "a cat ran far"] * 5

# Data for those that take no table of numbers.
OTHER_DATA: dict[str, tuple[Any, ...]] = {
    "ClassifierChain": (X, np.column_stack([y == 0, y == 1]).astype(int)),
    "CountVectorizer": (WORDS,),
    "DictVectorizer": ([{"a": 1.0, "b": i} for i in range(9)],),
    "FeatureHasher": ([{"a": 1.0, "b": i} for i in range(9)],),
    "HashingVectorizer": (WORDS,),
    "LabelBinarizer": (y,),
    "LabelEncoder": (y,),
    "MissingIndicator": (np.where(X > 1, np.nan, X),),
    "MultiLabelBinarizer": ([["a", "b"], ["c"], []],),
    "PatchExtractor": (np.random.default_rng(0).random((2, 20, 20)),),
    "SparseCoder": (X[:, :3],),
    "TfidfVectorizer": (WORDS,),
}
METHODS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "score_samples",
    "transform",
    "kneighbors",
)


def excepted() -> dict[str, str]:
    section = PAGE.read_text().split("## What `skops` cannot keep")[1].split("\n## ")[0]
    return {row["name"]: row["reason"] for row in TABLE_ROW.finditer(section)}


def instances(kind: Any) -> Iterator[Any]:
    if kind is FrozenEstimator:
        yield FrozenEstimator(LogisticRegression().fit(X, y))
    else:
        yield from _construct_instances(kind)


KINDS = dict(all_estimators())


def fitted(estimator: Any) -> tuple[Any, Any]:
    """Return a fitted estimator, and what it can be asked about."""
    if "random_state" in estimator.get_params():
        estimator = estimator.set_params(random_state=0)
    data = OTHER_DATA.get(type(estimator).__name__)
    if data is None:
        data = (
            _enforce_estimator_tags_X(estimator, X.copy()),
            _enforce_estimator_tags_y(estimator, y.copy()),
        )
    return estimator.fit(*data), data[0]


def answers(estimator: Any, data: Any) -> dict[str, Any]:
    """Return what an estimator says, and the arrays that it has learnt."""
    found = {name: getattr(estimator, name)(data) for name in METHODS if hasattr(estimator, name)}
    learnt = {
        name: value
        for name, value in vars(estimator).items()
        if name.endswith("_") and isinstance(value, np.ndarray) and not value.dtype.hasobject
    }
    return found | learnt


def assert_equal(one: Any, other: Any) -> None:
    if isinstance(one, tuple | list):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_equal(left, right)
    elif scipy.sparse.issparse(one):
        np.testing.assert_array_equal(one.toarray(), other.toarray())
    else:
        np.testing.assert_array_equal(one, other)


def through_a_file(estimator: Any, *, trusted: bool = False) -> Any:
    files = MemoryFiles()
    options = SkopsFormat().save(estimator, files)
    return SkopsFormat().load(files, options=options, trusted=trusted)


@pytest.mark.parametrize("name", KINDS)
def test_it_comes_back_with_equal_predictions(name: str) -> None:
    n_tried = 0
    for estimator in instances(KINDS[name]):
        model, data = fitted(estimator)
        if name in excepted():
            with pytest.raises(DetentError):
                through_a_file(model)
        else:
            assert_same(model, through_a_file(model), data)
        n_tried += 1
    assert n_tried


def assert_same(model: Any, loaded: Any, data: Any) -> None:
    assert type(loaded) is type(model)
    # Not the very array that it was fitted to: with that one BLAS takes another way.
    data = copy.copy(data)
    expected, found = answers(model, data), answers(loaded, data)
    assert expected
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert_equal(value, found[name])


def test_the_exceptions_are_estimators_and_have_a_reason() -> None:
    assert excepted().keys() <= KINDS.keys()
    assert "Birch" in excepted()
    assert all(len(reason) > 20 for reason in excepted().values())


def test_requests_for_metadata_are_as_the_page_says() -> None:
    version = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
    with sklearn.config_context(enable_metadata_routing=True):
        model = LogisticRegression().fit(X, y).set_fit_request(sample_weight=True)
        if version < (1, 9):
            through_a_file(make_pipeline(model))
        else:
            with pytest.raises(InvalidError, match="leads back to itself"):
                through_a_file(make_pipeline(model))


def test_distributions_of_scipy_are_as_the_page_says() -> None:
    search = RandomizedSearchCV(
        LogisticRegression(), {"C": loguniform(0.1, 1)}, n_iter=2, random_state=0
    ).fit(X, y)
    with pytest.raises(RefusedError, match=r"scipy\.stats"):
        through_a_file(search)
    for loaded in through_a_file(search, trusted=True), through_a_file(search.best_estimator_):
        np.testing.assert_array_equal(loaded.predict(X), search.predict(X))
