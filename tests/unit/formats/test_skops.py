"""Loading: what is refused, and how."""

import io
import json
import os
import pickle
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from detent.errors import CorruptError, DetentError, InvalidError, RefusedError
from detent.formats.skops import SkopsFormat
from detent.testing.formats import MemoryFiles

X = np.random.default_rng(0).random((40, 4))
y = (X[:, 0] > 0.5).astype(int)


class Encoder(BaseEstimator):
    pass


class Scaler(BaseEstimator):
    pass


HERE = __name__


def saved(model: Any) -> MemoryFiles:
    files = MemoryFiles()
    SkopsFormat().save(model, files)
    return files


def load(files: Any, trusted: Any = False) -> Any:
    return SkopsFormat().load(files, options={}, trusted=trusted)


def zipped(**members: bytes) -> MemoryFiles:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    return MemoryFiles({"model.skops": data.getvalue()})


def test_scikit_learns_own_types_need_no_trust() -> None:
    model = make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0)).fit(X, y)
    assert np.array_equal(load(saved(model)).predict_proba(X), model.predict_proba(X))


def test_strangers_are_refused_by_name_and_the_hint_can_be_copied() -> None:
    with pytest.raises(RefusedError) as caught:
        load(saved(make_pipeline(Scaler(), Encoder())))
    names = [f"{HERE}.Encoder", f"{HERE}.Scaler"]
    assert caught.value.message == (
        "the model was not loaded: its skops file holds 2 types that nobody has trusted:"
        f" `{names[0]}`, `{names[1]}`"
    )
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(f"review them, then pass trusted={json.dumps(names)}")
    assert caught.value.details == {"untrusted": names}


def test_naming_all_of_them_loads_and_naming_some_lists_the_others() -> None:
    files = saved(make_pipeline(Scaler(), Encoder()))
    assert isinstance(load(files, [f"{HERE}.Encoder", f"{HERE}.Scaler"])[0], Scaler)
    assert isinstance(load(files, True)[0], Scaler)
    with pytest.raises(RefusedError, match=rf"holds a type that .*: `{HERE}.Scaler`$"):
        load(files, [f"{HERE}.Encoder"])


def test_trust_is_not_remembered() -> None:
    files = saved(Encoder())
    load(files, True)
    with pytest.raises(RefusedError):
        load(files)


@pytest.mark.parametrize("trusted", ["shop.Encoder", [Encoder]])
def test_trust_is_given_as_a_list_of_names(trusted: Any) -> None:
    with pytest.raises(InvalidError, match="True or a list of names"):
        load(saved(Encoder()), trusted)


def test_a_pickle_is_called_a_pickle_and_does_not_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "ran"),)

    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        files = MemoryFiles({"model.skops": pickle.dumps(Bomb(), protocol)})
        with pytest.raises(CorruptError, match="is a pickle, not a skops file") as caught:
            load(files, True)
        assert 'format="joblib"' in (caught.value.hint or "")
    assert not (tmp_path / "ran").exists()


def test_a_file_that_would_fill_the_memory_is_refused_before_it_does() -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b" " * (64 << 20))
    bomb = MemoryFiles({"model.skops": data.getvalue()})
    tracemalloc.start()
    with pytest.raises(RefusedError, match="unpack to 67 MB, more than 100 times as much"):
        load(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 32 << 20
    with pytest.raises(CorruptError):  # whoever trusts its writer has it unpacked
        load(bomb, True)


def test_members_named_after_other_places_are_written_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    data = io.BytesIO(saved(LogisticRegression().fit(X, y)).content["model.skops"])
    with zipfile.ZipFile(data, "a") as archive:
        for name in ("../evil", str(tmp_path / "evil"), "C:\\evil"):
            archive.writestr(name, b"bytes")
    model = load(MemoryFiles({"model.skops": data.getvalue()}))
    assert (model.predict(X) == LogisticRegression().fit(X, y).predict(X)).all()
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]


@pytest.mark.parametrize(
    "files",
    [
        MemoryFiles({"model.skops": b""}),
        MemoryFiles({"model.skops": b"{}"}),
        zipped(),
        zipped(word_document_xml=b"<w/>"),
        zipped(schema_json=b""),
        zipped(schema_json=b"\xff"),
        zipped(schema_json=b"[]"),
        zipped(schema_json=b"{}"),
        zipped(schema_json=b"[" * 100_000),
    ],
)
@pytest.mark.parametrize("trusted", [False, True])
def test_other_files_are_no_skops_files(files: MemoryFiles, trusted: bool) -> None:
    with pytest.raises(CorruptError, match=r"`model\.skops` is not a whole skops file \(.+\)$"):
        load(files, trusted)


def test_a_missing_file_is_said() -> None:
    with pytest.raises(CorruptError, match=r"it has no file `model\.skops`"):
        load(MemoryFiles({"model.joblib": b""}))


class OnDisk:
    """Real files raise other errors than those in memory."""

    def __init__(self, path: Path, data: bytes) -> None:
        path.write_bytes(data)
        self.path = path

    def paths(self) -> list[str]:
        return ["model.skops"]

    def open(self, path: str) -> BinaryIO:
        return self.path.open("rb")


@pytest.mark.parametrize("trusted", [False, True])
def test_any_cut_and_any_flipped_bit_gives_our_error_or_the_same_model(
    tmp_path: Path, trusted: bool
) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    whole = saved(model).content["model.skops"]
    rng = np.random.default_rng(0)
    damaged = [whole[: int(length)] for length in rng.integers(0, len(whole), 60)]
    for position in rng.integers(0, len(whole), 120):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(flipped))
    messages = []
    for data in damaged:
        try:
            back = load(OnDisk(tmp_path / "model.skops", data), trusted)
        except DetentError as error:
            messages.append(error.message)
        else:
            assert np.array_equal(back.predict_proba(X), model.predict_proba(X))
    assert len(messages) > 150
    assert all("the model was not loaded" in message for message in messages)


def edited(model: Any, old: str, new: str) -> MemoryFiles:
    """Save a model and replace text in the schema of its file."""
    source = io.BytesIO(saved(model).content["model.skops"])
    target = io.BytesIO()
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(target, "w") as after:
        for name in before.namelist():
            content = before.read(name)
            if name == "schema.json":
                assert old in content.decode()
                content = content.decode().replace(old, new).encode()
            after.writestr(name, content)
    return MemoryFiles({"model.skops": target.getvalue()})


def test_a_class_that_is_not_installed_is_named() -> None:
    files = edited(Encoder(), f'"{HERE}"', '"shop_that_is_gone"')
    with pytest.raises(InvalidError, match="shop_that_is_gone") as caught:
        load(files, True)
    assert caught.value.hint == "install the package that has it"


def test_a_class_that_its_module_lost_is_named() -> None:
    files = edited(Encoder(), '"Encoder"', '"Gone"')
    with pytest.raises(InvalidError, match="Gone"):
        load(files, True)


def test_a_newer_skops_is_said() -> None:
    files = edited(Encoder(), '"protocol":', '"protocol": 99, "was":')
    with pytest.raises(InvalidError, match=r"rebuilt with the packages installed here.*protocol"):
        load(files, True)


def test_another_version_of_scikit_learn_is_a_warning() -> None:
    files = edited(LogisticRegression(), sklearn.__version__, "1.0")
    # The content of the node is JSON in JSON.
    with pytest.warns(UserWarning, match=r"from version 1\.0"):
        load(files)


class FailsAfter(io.BytesIO):
    """A file whose disk fails after some reads."""

    n_reads = 0

    def read(self, size: int | None = -1) -> bytes:
        self.n_reads -= 1
        if self.n_reads < 0:
            raise OSError(5, "Input/output error")
        return super().read(size)


@pytest.mark.parametrize("n_reads", [0, 3, 20])
def test_an_error_of_the_store_is_not_blamed_on_the_file(n_reads: int) -> None:
    class Failing(MemoryFiles):
        def open(self, path: str) -> BinaryIO:
            file = FailsAfter(self.content[path])
            file.n_reads = n_reads
            return file

    with pytest.raises(OSError, match="Input/output error"):
        load(Failing(saved(StandardScaler().fit(X)).content))


def test_an_estimator_is_accepted_and_nothing_else() -> None:
    accepts = SkopsFormat().accepts
    assert accepts(Encoder())
    assert not any(accepts(other) for other in (Encoder, "a", np.mean, None))


def test_asking_does_not_import_scikit_learn() -> None:
    code = (
        "import sys; from detent.formats.skops import SkopsFormat\n"
        "assert not SkopsFormat().accepts('path')\n"
        "assert 'sklearn' not in sys.modules and 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
