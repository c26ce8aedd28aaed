"""A signature is found by trying the model on a sample."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.cluster import AgglomerativeClustering
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from detent.domain.manifest import Field, Signature
from detent.errors import InvalidError
from detent.lineage.signature import infer_signature

X, y = load_wine(return_X_y=True, as_frame=True)
LABELS = y.map({0: "a", 1: "b", 2: "c"})


def test_a_classifier_on_a_frame() -> None:
    model = RandomForestClassifier(n_estimators=2, random_state=0).fit(X, y)
    found = infer_signature(model, X)
    assert found is not None
    assert found.kind == "table"
    assert found.inputs == tuple(Field(name=name, dtype="float64") for name in X.columns)
    assert found.outputs == (
        Field(name="predict", dtype="int64"),
        Field(name="predict_proba", dtype="float64", shape=(-1, 3)),
    )


def test_a_classifier_with_labels_on_an_array() -> None:
    model = SVC().fit(X.to_numpy(), LABELS.to_numpy(dtype=object))
    assert infer_signature(model, X.to_numpy()) == Signature(
        kind="array",
        inputs=(Field(name="X", dtype="float64", shape=(-1, 13)),),
        outputs=(
            Field(name="predict", dtype="object"),
            Field(name="decision_function", dtype="float64", shape=(-1, 3)),
        ),
    )


def test_a_regressor_of_two_values() -> None:
    model = LinearRegression().fit(X, np.c_[y, y])
    found = infer_signature(model, X)
    assert found is not None
    assert found.outputs == (Field(name="predict", dtype="float64", shape=(-1, 2)),)


def test_a_classifier_of_two_labels_at_once() -> None:
    model = RandomForestClassifier(n_estimators=2).fit(X, np.c_[y, y > 0])
    found = infer_signature(model, X)
    assert found is not None
    assert found.outputs == (
        Field(name="predict", dtype="int64", shape=(-1, 2)),
        Field(name="predict_proba[0]", dtype="float64", shape=(-1, 3)),
        Field(name="predict_proba[1]", dtype="float64", shape=(-1, 2)),
    )


def test_texts() -> None:
    texts = ["good wine", "bad wine"]
    model = make_pipeline(CountVectorizer(), MultinomialNB()).fit(texts, [1, 0])
    found = infer_signature(model, texts)
    assert found is not None
    assert found.inputs == (Field(name="X", dtype="str"),)


def test_a_sparse_matrix() -> None:
    matrix = sparse.csr_matrix(X.to_numpy())
    found = infer_signature(MultinomialNB().fit(matrix, y), matrix)
    assert found is not None
    assert found.inputs == (Field(name="X", dtype="float64", shape=(-1, 13)),)


def test_types_of_columns_as_their_owner_calls_them() -> None:
    sample = pd.DataFrame(
        {"n": pd.array([1, None], dtype="Int64"), "c": pd.Categorical(["a", "b"]), 0: [True, False]}
    )
    found = infer_signature(len, sample)
    assert found is not None
    assert [(field.name, field.dtype) for field in found.inputs] == [
        ("n", "Int64"),
        ("c", "category"),
        ("0", "bool"),
    ]
    arrow = infer_signature(len, pa.table({"n": [1]}))
    assert arrow is not None
    assert arrow.inputs == (Field(name="n", dtype="int64[pyarrow]"),)


class Counting:
    """A model that remembers how many rows it was given."""

    n_rows = 0

    def predict(self, rows: Any) -> Any:
        self.n_rows = len(rows)
        return rows


def test_at_most_100_rows_are_predicted() -> None:
    model = Counting()
    infer_signature(model, X)
    assert model.n_rows == 100


def test_a_model_that_answers_with_a_frame() -> None:
    found = infer_signature(Counting(), X[["ash", "hue"]])
    assert found is not None
    assert [field.name for field in found.outputs] == ["ash", "hue"]


def test_a_function_and_its_answer() -> None:
    for function, output in {
        np.sum: Field(name="return", dtype="float64", shape=()),
        np.sqrt: Field(name="return", dtype="float64"),
    }.items():
        found = infer_signature(function, np.array([1.0, 4.0]))
        assert found is not None
        assert found.outputs == (output,)


def test_an_estimator_that_does_not_predict_has_no_outputs() -> None:
    found = infer_signature(AgglomerativeClustering().fit(X), X)
    assert found is not None
    assert found.outputs == ()


def test_without_a_sample_the_fitted_names_are_taken() -> None:
    table = infer_signature(LinearRegression().fit(X, y))
    assert table == Signature(
        kind="table", inputs=tuple(Field(name=name, dtype="unknown") for name in X.columns)
    )
    array = infer_signature(LinearRegression().fit(X.to_numpy(), y))
    assert array == Signature(
        kind="array", inputs=(Field(name="X", dtype="unknown", shape=(-1, 13)),)
    )


@pytest.mark.parametrize("model", [LinearRegression(), make_pipeline(LinearRegression()), len])
def test_without_a_sample_and_names_there_is_no_signature(model: Any) -> None:
    assert infer_signature(model) is None


@pytest.mark.parametrize(
    ("model", "sample", "said"),
    [
        (LinearRegression().fit(X, y), X.drop(columns="hue"), "hue"),
        (LinearRegression().fit(X, y), X.to_numpy()[:, :3], "3 features"),
        (LinearRegression(), X, "not fitted"),
        (len, X[:0], "no rows"),
        (len, object(), "no table"),
    ],
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_a_sample_that_does_not_fit_is_refused(model: Any, sample: Any, said: str) -> None:
    with pytest.raises(InvalidError) as caught:
        infer_signature(model, sample)
    assert said in caught.value.message
