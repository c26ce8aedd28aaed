"""Each setting has one meaning, wherever it comes from."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detent import InvalidError, connect
from detent.settings import CACHE_SIZE, read_settings, take_parameter


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("10 GB", 10**10),
        ("500MB", 5 * 10**8),
        ("1.5 tb", 15 * 10**11),
        ("7 kB", 7000),
        ("12", 12),
        ("0", 0),
    ],
)
def test_a_size_is_read(text: str, size_bytes: int) -> None:
    assert read_settings(environment={"DETENT_CACHE_SIZE": text}).cache_bytes == size_bytes


@pytest.mark.parametrize("text", ["x", "1e9", "-1", "10 GBit", "10 10"])
def test_a_malformed_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="`cache_size` is a size such as `10 GB`"):
        read_settings(environment={"DETENT_CACHE_SIZE": text})


def test_the_nearest_file_and_the_environment(tmp_path: Path) -> None:
    (tmp_path / "detent.toml").write_text('blobs = "shared"\ncache = "/copies"\n')
    settings = read_settings(environment={"HOME": "/home/ana"}, folder=tmp_path)
    assert settings.blobs == str(tmp_path / "shared")
    assert settings.cache == "/copies"
    assert settings.origins["cache_size"] == "default"
    environment = {"DETENT_BLOBS": "s3://models/x", "DETENT_CACHE": "/elsewhere"}
    settings = read_settings(environment=environment, folder=tmp_path)
    assert (settings.blobs, settings.cache) == ("s3://models/x", "/elsewhere")
    assert settings.origins["blobs"] == "DETENT_BLOBS"
    assert read_settings(blobs="given", environment=environment).blobs == "given"


def test_the_cache_is_where_caches_are(tmp_path: Path) -> None:
    settings = read_settings(environment={"XDG_CACHE_HOME": "/caches"}, folder=tmp_path)
    assert settings.cache == "/caches/detent"
    assert settings.cache_bytes == 10 * 10**9
    assert CACHE_SIZE == "10 GB"


NAMES = st.sampled_from(["host", "schema", "sslmode", "blobs", "schemas"])
TEXTS = st.text("ab/%+:?=", max_size=5)


@given(st.lists(st.tuples(NAMES, TEXTS)), NAMES)
def test_one_parameter_is_taken_and_the_rest_left_alone(
    parameters: list[tuple[str, str]], name: str
) -> None:
    def url(pairs: list[tuple[str, str]]) -> str:
        query = "&".join(f"{key}={text.replace('%', '%25')}" for key, text in pairs)
        return f"postgresql:///models?{query}" if pairs else "postgresql:///models"

    rest, found = take_parameter(url(parameters), name)
    assert rest == url([(key, text) for key, text in parameters if key != name])
    assert found == dict(parameters).get(name)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://db/models", "nothing says where"),
        ("postgresql://db/models?blobs=x&schema=A", "`A` cannot be a schema"),
        ("postgresql://db/models?blobs=x&colour=red", "malformed"),
        ("mysql://db/models", "is not a kind of registry"),
    ],
)
def test_a_url_that_can_never_work_is_refused(url: str, message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        connect(url)


def test_a_password_is_never_shown() -> None:
    registry = connect("postgresql://ana:secret@db.example:5432/models?blobs=./blobs")
    assert repr(registry).startswith(
        "<Registry postgresql://ana@db.example:5432/models?schema=detent as "
    )


def test_an_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in ("psycopg", "detent.metadata.postgres", "detent.metadata.sessions"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InvalidError) as caught:
        connect("postgresql://db/models?blobs=x")
    assert caught.value.hint == "pip install 'detent[postgres]'"
