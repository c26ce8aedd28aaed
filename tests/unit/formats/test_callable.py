import functools
import importlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from detent.errors import CorruptError, InvalidError, RefusedError
from detent.formats.callable import CallableFormat
from detent.testing.formats import MemoryFiles

SOURCE = textwrap.dedent(
    """
    import functools

    class Rule:
        def predict(self, X):
            return [x > 3 for x in X]

        @staticmethod
        def score(X):
            return 1.0

    rule = Rule()

    def score(X):
        return sum(X)

    @functools.cache
    def cached(X):
        return X
    """
)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install the package `detent_shop` with the module `rules`; its path is given."""
    folder = tmp_path / "detent_shop"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "rules.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield folder / "rules.py"
    for name in ("detent_shop.rules", "detent_shop"):
        sys.modules.pop(name, None)


def rules() -> Any:
    return importlib.import_module("detent_shop.rules")


def saved(model: object) -> tuple[MemoryFiles, dict[str, Any]]:
    files = MemoryFiles()
    return files, CallableFormat().save(model, files)


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("name", ["score", "rule", "Rule.score", "cached"])
def test_what_has_a_name_round_trips(name: str) -> None:
    model = functools.reduce(getattr, name.split("."), rules())
    files, options = saved(model)
    assert options == {"name": f"detent_shop.rules:{name}"}
    assert files.content == {"detent_shop/rules.py": SOURCE.encode()}
    trusted = [f"detent_shop.rules:{name}"]
    assert CallableFormat().load(files, options=options, trusted=trusted) is model


@pytest.mark.usefixtures("shop")
def test_an_imported_object_is_found_where_it_was_made() -> None:
    _, options = saved(rules().rule)
    sys.modules["other_name_for_it"] = rules()
    try:
        assert saved(rules().rule)[1] == options
    finally:
        del sys.modules["other_name_for_it"]


def test_loading_imports_in_a_process_that_had_not(shop: Path, tmp_path: Path) -> None:
    files, options = saved(rules().score)
    code = (
        "from detent.formats.callable import CallableFormat\n"
        "from detent.testing.formats import MemoryFiles\n"
        f"files = MemoryFiles({files.content!r})\n"
        f"model = CallableFormat().load(files, options={options!r}, trusted=True)\n"
        "assert model([1, 2]) == 3"
    )
    paths = [str(tmp_path), *sys.path]
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    )


def local() -> Any:
    def inner(X: object) -> object:
        return X

    return inner


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (lambda X: X, "a lambda has no name"),
        (local(), "exists within a function only"),
        (functools.partial(print), "not a variable of any module"),
        (len, "has no Python source"),
        ([].append, "is something else"),
    ],
)
def test_what_has_no_name_is_refused(model: Any, reason: str) -> None:
    with pytest.raises(InvalidError, match=f"{reason}.*nothing was registered"):
        saved(model)


def test_what_a_script_defines_is_refused() -> None:
    code = (
        "from detent.formats.callable import CallableFormat\n"
        "from detent.testing.formats import MemoryFiles\n"
        "def score(X): return X\n"
        "try: CallableFormat().save(score, MemoryFiles())\n"
        "except ValueError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "`score` is defined in the script or notebook that runs" in done.stdout


def test_a_function_that_was_replaced_is_refused(shop: Path) -> None:
    old = rules().score
    rules().score = lambda X: 0
    with pytest.raises(InvalidError, match="is something else"):
        saved(old)


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("trusted", [False, [], ["detent_shop.rules"], ["detent_shop.rules:rule"]])
def test_nothing_is_imported_without_trust(trusted: Any) -> None:
    files, options = saved(rules().score)
    sys.modules.pop("detent_shop.rules")
    with pytest.raises(RefusedError, match=r"`detent_shop\.rules:score` runs code") as caught:
        CallableFormat().load(files, options=options, trusted=trusted)
    assert 'trusted=["detent_shop.rules:score"]' in (caught.value.hint or "")
    assert "detent_shop.rules" not in sys.modules


def test_source_that_changed_is_refused_before_it_runs(shop: Path) -> None:
    files, options = saved(rules().score)
    sys.modules.pop("detent_shop.rules")
    shop.write_text(SOURCE + "\nraise SystemExit\n")
    with pytest.raises(RefusedError, match="is not the one that was registered"):
        CallableFormat().load(files, options=options, trusted=True)


def test_a_module_that_is_gone_is_named(shop: Path) -> None:
    files, options = saved(rules().score)
    shop.unlink()
    sys.modules.pop("detent_shop.rules")
    importlib.invalidate_caches()
    with pytest.raises(InvalidError, match=r"`detent_shop\.rules` cannot be imported here"):
        CallableFormat().load(files, options=options, trusted=True)


def test_a_package_that_is_gone_is_named(shop: Path) -> None:
    files, options = saved(rules().score)
    for name in ("detent_shop.rules", "detent_shop"):
        sys.modules.pop(name)
    shop.parent.rename(shop.parent.with_name("moved"))
    importlib.invalidate_caches()
    with pytest.raises(InvalidError, match=r"`detent_shop\.rules` cannot be imported here"):
        CallableFormat().load(files, options=options, trusted=True)


@pytest.mark.usefixtures("shop")
def test_a_name_that_is_gone_is_named() -> None:
    files, options = saved(rules().score)
    del rules().score
    with pytest.raises(InvalidError, match=r"`detent_shop\.rules:score` cannot be imported here"):
        CallableFormat().load(files, options=options, trusted=True)


@pytest.mark.parametrize(
    "options", [{}, {"name": "score"}, {"name": "../x:score"}, {"name": "..x:score"}, {"name": 3}]
)
def test_options_that_name_nothing_are_corrupt(options: dict[str, Any]) -> None:
    with pytest.raises(CorruptError):
        CallableFormat().load(MemoryFiles({"x.py": b""}), options=options, trusted=True)


def test_a_text_is_not_a_list_of_names(shop: Path) -> None:
    files, options = saved(rules().score)
    with pytest.raises(InvalidError, match="True or a list of names"):
        CallableFormat().load(files, options=options, trusted="detent_shop.rules:score")
