"""Packages, Python and platform are recorded as they are."""

import importlib
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from detent.lineage.environment import platform_name, python_version, record_packages


def install(folder: Path, name: str, version: str, files: dict[str, str]) -> None:
    """Put a distribution there as an installer does."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nx")
    lines = [f"{path},sha256=x,1" for path in [*files, f"{info.name}/METADATA"]]
    (info / "RECORD").write_text("\n".join(lines))
    for path, text in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


def test_imported_packages_have_their_version() -> None:
    found = record_packages()
    assert found["numpy"] == np.__version__
    assert found["pytest"] == pytest.__version__
    assert list(found) == sorted(found)


def test_it_agrees_with_importlib() -> None:
    modules = {name.partition(".")[0] for name, module in sys.modules.items() if module}
    expected = {
        name: importlib.metadata.version(name)
        for module, names in importlib.metadata.packages_distributions().items()
        if module in modules
        for name in names
    }
    found = record_packages()
    # One that is installed editable lists no module of its own.
    assert found | expected == found
    assert set(found) - set(expected) <= {"detent"}


def test_only_what_is_imported_counts(packages: Path) -> None:
    install(packages, "shop-models", "1.5", {"shop_zq/__init__.py": "", "shop_zq_one.py": ""})
    assert "shop-models" not in record_packages()
    importlib.import_module("shop_zq_one")
    assert record_packages()["shop-models"] == "1.5"
    del sys.modules["shop_zq_one"]


def test_what_is_installed_later_is_found(packages: Path) -> None:
    before = record_packages()
    install(packages, "late", "2.0", {"late_zq.py": ""})
    os.utime(packages, ns=(1, 1))  # the clock of the file system may not have moved
    importlib.invalidate_caches()
    importlib.import_module("late_zq")
    assert record_packages() == dict(sorted((before | {"late": "2.0"}).items()))
    del sys.modules["late_zq"]


def test_the_first_on_the_path_is_the_one_that_counts(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "last")])
    install(packages, "twice", "1.0", {"twice_zq.py": ""})
    install(tmp_path / "last", "twice", "0.9", {"twice_zq.py": ""})
    importlib.import_module("twice_zq")
    assert record_packages()["twice"] == "1.0"
    del sys.modules["twice_zq"]


def test_a_module_that_may_not_be_imported_does_not_count() -> None:
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        "from detent.lineage.environment import record_packages\n"
        "sys.exit('pandas' in record_packages())"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_python_and_platform() -> None:
    assert python_version() == ".".join(map(str, sys.version_info[:3]))
    system, _, rest = platform_name().partition("-")
    assert system == ("darwin" if sys.platform == "darwin" else "linux")
    assert rest.startswith(os.uname().machine)
    assert " " not in platform_name()
