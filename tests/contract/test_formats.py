"""Each format keeps what `FormatContract` promises."""

import operator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from detent.errors import InvalidError
from detent.formats.base import Format
from detent.formats.callable import CallableFormat
from detent.formats.files import FilesFormat
from detent.formats.joblib import JoblibFormat
from detent.formats.lookup import choose_format, get_format
from detent.formats.skops import SkopsFormat
from detent.testing.formats import FormatContract, MemoryFiles

X = np.random.default_rng(0).random((30, 3))
y = (X[:, 0] > 0.5).astype(int)


class Shift(TransformerMixin, BaseEstimator):
    """A transformer that is not scikit-learn's."""

    def fit(self, X: Any, y: Any = None) -> "Shift":
        self.by_ = X.mean(axis=0)
        return self

    def transform(self, X: Any) -> Any:
        return X - self.by_


def threshold(X: Any) -> Any:
    return X[:, 0] > 0.5


class _OfEstimators(FormatContract):
    @pytest.fixture
    def model(self) -> Any:
        return make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)

    @pytest.fixture
    def unsavable(self) -> Any:
        return make_pipeline(StandardScaler(), LogisticRegression(C=(i for i in range(3))))

    def is_equal(self, model: Any, loaded: Any) -> bool:
        return np.array_equal(model.predict_proba(X), loaded.predict_proba(X))


class TestSkops(_OfEstimators):
    @pytest.fixture
    def format(self) -> Format:
        return SkopsFormat()

    @pytest.fixture
    def stranger(self) -> Any:
        return Shift().fit(X)


class TestJoblib(_OfEstimators):
    trusted = True

    @pytest.fixture
    def format(self) -> Format:
        return JoblibFormat()

    @pytest.fixture
    def stranger(self, model: Any) -> Any:
        return model


class TestCallable(FormatContract):
    trusted = True

    @pytest.fixture
    def format(self) -> Format:
        return CallableFormat()

    @pytest.fixture
    def model(self) -> Any:
        return threshold

    @pytest.fixture
    def unsavable(self) -> Any:
        return lambda X: X

    @pytest.fixture
    def stranger(self) -> Any:
        return threshold

    def is_equal(self, model: Any, loaded: Any) -> bool:
        return model is loaded


class TestFiles(FormatContract):
    notices_damage = False

    @pytest.fixture
    def format(self) -> Format:
        return FilesFormat()

    @pytest.fixture
    def model(self, tmp_path: Path) -> Any:
        (tmp_path / "weights").mkdir()
        (tmp_path / "model.onnx").write_bytes(b"\x08\x07")
        (tmp_path / "weights" / "0.bin").write_bytes(bytes(1000))
        return tmp_path

    def is_equal(self, model: Path, loaded: Any) -> bool:
        return {path: (model / path).read_bytes() for path in loaded} == dict(loaded)


@pytest.mark.parametrize("name", ["skops", "joblib", "callable", "files"])
def test_a_format_is_found_by_the_name_it_gives_itself(name: str) -> None:
    assert get_format(name).name == name


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (LogisticRegression(), "skops"),
        (make_pipeline(StandardScaler()), "skops"),
        (threshold, "callable"),
        ("model.onnx", "files"),
        (Path("folder"), "files"),
    ],
)
def test_a_model_gets_the_format_that_suits_it(model: Any, expected: str) -> None:
    assert choose_format(model).name == expected


@pytest.mark.parametrize("model", [42, None, [LogisticRegression()], operator.itemgetter(1)])
def test_what_is_no_model_gets_no_format(model: Any) -> None:
    with pytest.raises(InvalidError, match="no format takes") as caught:
        choose_format(model)
    assert 'format="joblib"' in (caught.value.hint or "")


def test_a_class_is_no_model() -> None:
    with pytest.raises(InvalidError, match="is a class, not a model"):
        choose_format(LogisticRegression)


def test_memory_files_keep_nothing_of_a_file_that_was_not_finished() -> None:
    files = MemoryFiles()
    with pytest.raises(TypeError), files.create("half") as file:
        file.write("text, half way")  # type: ignore[call-overload]  # it fails
    assert not files.content
