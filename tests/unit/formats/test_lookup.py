import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from detent.errors import InvalidError, NotFoundError
from detent.formats.lookup import choose_format, get_format, list_formats


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package that adds two formats, one of which cannot be imported."""
    (tmp_path / "shop_formats.py").write_text(
        "class Shop:\n    name = 'shop'\n    def accepts(self, model):\n        return True\n"
    )
    meta = tmp_path / "shop_formats-1.0.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-formats\nVersion: 1.0\n")
    (meta / "entry_points.txt").write_text(
        "[detent.formats]\nshop = shop_formats:Shop\nbroken = shop_formats_gone:Broken\n"
        "skops = shop_formats:Shop\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("plugin")
def test_a_package_adds_a_format() -> None:
    assert get_format("shop").name == "shop"
    assert "shop" in list_formats()
    assert choose_format(object(), name="shop").name == "shop"


@pytest.mark.usefixtures("plugin")
def test_a_package_cannot_stand_in_for_one_of_ours() -> None:
    assert type(get_format("skops")).__module__ == "detent.formats.skops"


@pytest.mark.usefixtures("plugin")
def test_a_format_that_cannot_be_imported_says_why() -> None:
    with pytest.raises(InvalidError, match=r"`broken` cannot be used.*shop_formats_gone"):
        get_format("broken")


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(NotFoundError, match=r"no format `scops`.*`joblib`") as caught:
        get_format("scops")
    assert caught.value.hint == "did you mean `skops`?"
    assert "skops" in caught.value.details["formats"]


def test_a_name_unlike_any_other_gets_none() -> None:
    with pytest.raises(NotFoundError) as caught:
        get_format("zzzzzz")
    assert "did you mean" not in (caught.value.hint or "")


def test_finding_our_own_imports_nothing_heavy() -> None:
    code = (
        "import sys; from detent.formats.lookup import choose_format, get_format\n"
        "for name in 'skops', 'joblib', 'callable', 'files': get_format(name)\n"
        "choose_format('model.onnx')\n"
        "heavy = {'numpy', 'sklearn', 'skops', 'joblib', 'importlib.metadata'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_ours_are_entry_points_too() -> None:
    ours = {entry.name: entry for entry in entry_points(group="detent.formats")}
    for name in ("skops", "joblib", "callable", "files"):
        assert ours[name].load() is type(get_format(name))
