"""Saving: what a skops archive of ours looks like, and what is refused."""

import functools
import io
import json
import os
import subprocess
import sys
import threading
import tracemalloc
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from detent.errors import InvalidError, UnavailableError
from detent.formats.skops import SkopsFormat
from detent.testing.formats import MemoryFiles

X = np.random.default_rng(0).random((40, 4))
y = (X[:, 0] > 0.5).astype(int)


class Holder(BaseEstimator):
    """Holds anything."""

    def __init__(self, held: Any = None) -> None:
        self.held = held


class Outer:
    class Inner:
        pass


def saved(model: Any) -> bytes:
    files = MemoryFiles()
    assert SkopsFormat().save(model, files) == {}
    return files.content["model.skops"]


def loaded(data: bytes, trusted: Any = True) -> Any:
    return SkopsFormat().load(MemoryFiles({"model.skops": data}), options={}, trusted=trusted)


def schema_of(data: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return json.loads(archive.read("schema.json"))


def held(value: Any) -> Any:
    """Return what comes back of a value."""
    return loaded(saved(Holder(value))).held


# Same bytes

SCRIPT = """
import hashlib, sys
import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from detent.formats.skops import SkopsFormat
from detent.testing.formats import MemoryFiles

junk = [np.full(1000, i) for i in range(hash("a") % 1000)]  # another history of the memory
del junk[::2]
X = np.random.default_rng(0).random((200, 4))
y = (X[:, 0] + X[:, 1] > 1).astype(int)
words = [f"a{i % 7} b{i % 5}" for i in range(200)]
models = [
    make_pipeline(StandardScaler(), LogisticRegression(class_weight={0: 1, 1: 2})).fit(X, y),
    RandomForestClassifier(20, random_state=0).fit(X, y),
    HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(X, y),
    KNeighborsClassifier(algorithm="kd_tree").fit(X, y),
    TfidfVectorizer(stop_words=list({"a1", "b1"} & {"a1"})).fit(words),
    CountVectorizer(stop_words=None).set_params(stop_words=frozenset({"a1", "a2", "b3"})),
    CountVectorizer().set_params(stop_words={"a1", "a2", "b3", "a2 b"}),
    make_column_transformer((OneHotEncoder(), [0])).fit(np.array(words).reshape(-1, 1)),
]
for model in models:
    files = MemoryFiles()
    SkopsFormat().save(model, files)
    print(type(model).__name__, hashlib.sha256(files.content["model.skops"]).hexdigest())
"""


def test_two_processes_write_the_same_bytes() -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            env=os.environ | {"PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    first, second = [process.communicate()[0].splitlines() for process in running]
    assert len(first) == 8
    assert first == second


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        RandomForestClassifier(5, random_state=0),
        HistGradientBoostingClassifier(max_iter=5),
        KNeighborsClassifier(algorithm="ball_tree"),
    ],
)
def test_what_was_loaded_is_saved_as_the_same_bytes(model: Any) -> None:
    data = saved(model.fit(X, y))
    assert saved(loaded(data, trusted=False)) == data


def test_a_sink_that_can_seek_gets_the_same_bytes(tmp_path: Path) -> None:
    class Folder(MemoryFiles):
        @contextmanager
        def create(self, path: str) -> Any:
            with open(tmp_path / path, "wb") as file:
                yield file

    model = LogisticRegression().fit(X, y)
    SkopsFormat().save(model, Folder())
    assert (tmp_path / "model.skops").read_bytes() == saved(model)


def test_the_gaps_in_a_trees_nodes_are_empty() -> None:
    data = saved(RandomForestClassifier(20, random_state=0).fit(X, y))
    n_trees = 0
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in set(archive.namelist()) - {"schema.json"}:
            array = np.load(io.BytesIO(archive.read(name)))
            if array.dtype.names:
                n_trees += 1
                assert array.itemsize == 64
                raw = archive.read(name)[-array.nbytes :]
                for start in range(0, len(raw), 64):  # 57 bytes are fields
                    assert raw[start + 57 : start + 64] == bytes(7)
    assert n_trees == 20


def test_members_have_plain_names_no_times_and_no_compression() -> None:
    with zipfile.ZipFile(io.BytesIO(saved(LogisticRegression().fit(X, y)))) as archive:
        names = archive.namelist()
        assert names == [*(f"{i}.npy" for i in range(len(names) - 1)), "schema.json"]
        for info in archive.infolist():
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert info.compress_type == zipfile.ZIP_STORED


# Plain skops


def test_plain_skops_reads_it() -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    plain = skops.io.loads(saved(model))
    assert np.array_equal(plain.predict_proba(X), model.predict_proba(X))


def test_we_read_what_plain_skops_writes() -> None:
    model = RandomForestClassifier(5, random_state=0).fit(X, y)
    ours = loaded(skops.io.dumps(model, compression=zipfile.ZIP_DEFLATED), trusted=False)
    assert np.array_equal(ours.predict_proba(X), model.predict_proba(X))


def test_skops_writes_its_own_archives_as_before() -> None:
    model = RandomForestClassifier(5, random_state=0).fit(X, y)
    saved(model)  # ours is in skops' table from now on
    plain = schema_of(skops.io.dumps(model))
    assert plain["__id__"] == id(model)


# Values


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(12)[::3],
        np.array(3.5),
        np.array([]),
        np.array(["a", "ü"]),
        np.array(["2026-01-01"], dtype="datetime64[D]"),
        np.array([1 + 2j, np.nan]),
        np.array([True, False]),
        np.array([(1, 2.0)], dtype=[("a", "i1"), ("b", "f8")]),
        np.array([(1, 2.0)], dtype=np.dtype([("a", "i1"), ("b", "f8")], align=True)),
    ],
)
def test_arrays_come_back_as_they_were(array: Any) -> None:
    back = held(array)
    assert type(back) is type(array)
    assert back.dtype == array.dtype
    assert back.flags.f_contiguous == array.flags.f_contiguous or array.base is not None
    np.testing.assert_array_equal(back, array)


def test_an_array_mapped_from_a_file_is_saved_as_an_array(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    back = held(mapped)
    assert type(back) is np.ndarray
    np.testing.assert_array_equal(back, X)


def test_an_object_array_holds_arrays() -> None:
    mixed = np.empty(2, dtype=object)
    mixed[:] = [X, "text"]
    back = held(mixed)
    np.testing.assert_array_equal(back[0], X)
    assert back[1] == "text"


@pytest.mark.parametrize(
    "mapping",
    [
        {False: 1, True: 5},
        {0: 1, 1: 5},
        {"0": "a", "b": None},
        {0.5: 1, float("inf"): 2},
        {np.int64(3): "x"},
        {},
    ],
)
def test_keys_of_a_dict_keep_their_type(mapping: dict[Any, Any]) -> None:
    back = held(mapping)
    assert back == mapping
    assert [type(key) for key in back] == [type(key) for key in mapping]


def test_one_object_in_two_places_stays_one_object() -> None:
    shared = [X, "text"]
    back = held({"a": shared, "b": shared, "c": [X]})
    assert back["a"] is back["b"]
    assert back["c"][0] is back["a"][0]
    assert len(saved(Holder([X, X]))) < len(saved(Holder([X, X.copy()])))


def test_sets_come_back() -> None:
    assert held({"a", "b"}) == {"a", "b"}
    assert held(frozenset({"a", "b"})) == {"a", "b"}
    model = CountVectorizer(stop_words=ENGLISH_STOP_WORDS)
    assert loaded(saved(model), trusted=False).stop_words == ENGLISH_STOP_WORDS


def test_text_features_come_back() -> None:
    words = ["a cat", "a dog", "the dog"]
    model = TfidfVectorizer(token_pattern=r"\w+", dtype=np.float32).fit(words)
    back = loaded(saved(model), trusted=False)
    assert back.vocabulary_ == model.vocabulary_
    assert (back.transform(words) != model.transform(words)).nnz == 0


# What cannot be saved


def local_function() -> Any:
    def inner(X: Any) -> Any:
        return X

    return inner


def circle() -> Any:
    items: list[Any] = []
    items.append(items)
    return items


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (lambda X: X, "`.*<lambda>` cannot be imported"),
        (local_function(), "`.*inner` cannot be imported"),
        (Outer.Inner(), "`.*Inner` cannot be imported"),
        (Outer.Inner, "`.*Inner` cannot be imported"),
        (threading.Lock(), "pickle|`_thread.lock` cannot be imported"),
        ((i for i in "ab"), "pickle"),
        (circle(), "leads back to itself"),
        ({1: "a", "1": "b"}, "two of its keys have the same text"),
        ({(1, 2): "a"}, "neither text nor a number"),
        ({None: "a"}, "NoneType` cannot be imported"),
    ],
)
def test_what_cannot_be_saved_is_named(value: Any, reason: str) -> None:
    model = make_pipeline(StandardScaler(), Holder({"deep": [1, value]}))
    with pytest.raises(InvalidError, match=reason) as caught:
        saved(model)
    path = "Pipeline.steps[1][1].held['deep'][1]"
    assert f"because of `{path}` ({type(value).__name__})" in str(caught.value)
    assert str(caught.value).endswith("; nothing was registered")
    assert caught.value.details["part"] == path
    assert caught.value.hint


def test_an_open_file_is_named(tmp_path: Path) -> None:
    with open(tmp_path / "log", "w") as log, pytest.raises(InvalidError, match=r"Holder\.held"):
        saved(Holder(log))


def test_a_lambda_gets_the_advice_to_define_a_function() -> None:
    with pytest.raises(InvalidError, match=r"FunctionTransformer\.func") as caught:
        saved(FunctionTransformer(lambda X: X))
    assert "in a module" in (caught.value.hint or "")


def test_a_class_of_the_script_itself_is_refused() -> None:
    code = (
        "from sklearn.base import BaseEstimator\n"
        "from detent.formats.skops import SkopsFormat\n"
        "from detent.testing.formats import MemoryFiles\n"
        "class Own(BaseEstimator): pass\n"
        "try: SkopsFormat().save(Own(), MemoryFiles())\n"
        "except ValueError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "`Own` is defined in the script or notebook that runs" in done.stdout


def test_nothing_is_kept_of_what_cannot_be_saved() -> None:
    files = MemoryFiles()
    with pytest.raises(InvalidError):
        SkopsFormat().save(Holder([X, lambda: 0]), files)
    assert not files.content


# Sinks that fail, and large models


class Failing(io.RawIOBase):
    """Takes some bytes, then fails; and fails differently when it is asked again."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.failed = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        assert not self.failed, "written to after it failed"
        self.room -= len(data)
        if self.room < 0:
            self.failed = True
            raise UnavailableError("no room left")
        return len(data)


@pytest.mark.parametrize("room", [0, 100, 1000, 3000])
def test_an_error_of_the_sink_is_the_one_that_is_raised(room: int) -> None:
    class Sink(MemoryFiles):
        @contextmanager
        def create(self, path: str) -> Any:
            yield Failing(room)

    with pytest.raises(UnavailableError, match="no room left") as caught:
        SkopsFormat().save(LogisticRegression().fit(X, y), Sink())
    assert caught.value.__context__ is None


def test_a_large_array_is_not_copied() -> None:
    class Sink(MemoryFiles):
        @contextmanager
        def create(self, path: str) -> Any:
            yield Failing(1 << 40)

    model = Holder(np.zeros((4 << 10, 2 << 10)))  # 64 MiB
    tracemalloc.start()
    SkopsFormat().save(model, Sink())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20  # bytes


def test_functions_with_a_name_are_saved() -> None:
    model = FunctionTransformer(np.log1p, inverse_func=functools.partial(np.round, decimals=2))
    back = loaded(saved(model))
    assert back.func is np.log1p
    assert back.inverse_func(1.234) == 1.23
