import io
import threading
from typing import BinaryIO

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from detent.errors import CorruptError, InvalidError, RefusedError
from detent.formats.joblib import JoblibFormat
from detent.testing.formats import MemoryFiles

X = np.random.default_rng(0).random((30, 3))


class Canary:
    """Says so when it is unpickled."""

    sang = False

    def __setstate__(self, state: object) -> None:
        Canary.sang = True

    def __getstate__(self) -> object:
        return {"a": 1}


def saved(model: object) -> MemoryFiles:
    files = MemoryFiles()
    assert JoblibFormat().save(model, files) == {}
    return files


@pytest.mark.parametrize("trusted", [False, [], ["tests.Canary"], 1, "True"])
def test_nothing_runs_without_trusted_true(trusted: bool) -> None:
    Canary.sang = False
    with pytest.raises(RefusedError, match="joblib files can run any code when loaded") as caught:
        JoblibFormat().load(saved(Canary()), options={}, trusted=trusted)
    assert not Canary.sang
    assert "trusted=True" in (caught.value.hint or "")
    assert ("list of trusted types is no protection" in str(caught.value)) == bool(trusted)


def test_trusted_true_loads() -> None:
    Canary.sang = False
    assert isinstance(JoblibFormat().load(saved(Canary()), options={}, trusted=True), Canary)
    assert Canary.sang


def test_an_estimator_round_trips() -> None:
    model = RandomForestClassifier(5, random_state=0).fit(X, X[:, 0] > 0.5)
    loaded = JoblibFormat().load(saved(model), options={}, trusted=True)
    assert np.array_equal(model.predict_proba(X), loaded.predict_proba(X))


@pytest.mark.parametrize("model", [threading.Lock(), (i for i in "ab"), lambda x: x])
def test_what_cannot_be_pickled_is_refused(model: object) -> None:
    files = MemoryFiles()
    with pytest.raises(InvalidError, match=r"cannot be saved as joblib.*nothing was registered"):
        JoblibFormat().save(model, files)
    assert not files.content


def test_any_cut_is_noticed() -> None:
    files = saved({"X": X, "name": "wine"})
    whole = files.content["model.joblib"]
    for length in range(0, len(whole), 7):
        cut = MemoryFiles({"model.joblib": whole[:length]})
        with pytest.raises(CorruptError, match="not a whole joblib file"):
            JoblibFormat().load(cut, options={}, trusted=True)


def test_a_missing_module_is_named() -> None:
    content = b"cgone_for_ever\nThing\n."
    with pytest.raises(InvalidError, match="gone_for_ever"):
        JoblibFormat().load(MemoryFiles({"model.joblib": content}), options={}, trusted=True)


def test_an_error_of_the_store_is_not_blamed_on_the_file() -> None:
    class Device(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    class Failing(MemoryFiles):
        def open(self, path: str) -> BinaryIO:
            return Device()

    with pytest.raises(OSError, match="Input/output error"):
        JoblibFormat().load(Failing({"model.joblib": b""}), options={}, trusted=True)


def test_an_error_of_the_store_is_not_blamed_on_the_model() -> None:
    class Full(MemoryFiles):
        def create(self, path: str):  # type: ignore[no-untyped-def]
            class Device(io.RawIOBase):
                def writable(self) -> bool:
                    return True

                def write(self, data: object) -> int:
                    raise OSError(28, "No space left on device")

            return Device()

    with pytest.raises(OSError, match="No space left"):
        JoblibFormat().save(X, Full())
