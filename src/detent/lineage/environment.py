"""What a version was trained in: imported packages, Python, platform."""

import os
import platform
import re
import sys
from functools import lru_cache
from importlib.metadata import Distribution, distributions

_FIELD = re.compile(r"^(Name|Version): *(.*?) *$", re.MULTILINE)
_MODULE = re.compile(r"([A-Za-z_]\w*)(?:[./,]|$)")


def record_packages() -> dict[str, str]:
    """Return name and version of each installed distribution that has been imported.

    A distribution counts as imported when one of its top-level modules is. Several that share
    one (a namespace) all count, for it does not say which of them was meant.

    Examples
    --------
    >>> "pytest" in record_packages()
    True
    """
    installed = _installed(_stamp())
    # A copy in one step: another thread may be importing.
    modules = sys.modules.copy()
    imported = {name.partition(".")[0] for name, module in modules.items() if module}
    found = {item for name in imported for item in installed.get(name, ())}
    return dict(sorted(found))


def _stamp() -> tuple[tuple[str, int], ...]:
    """Return what changes when something is installed: the times of the folders of packages."""
    # Not of other folders: where a script runs, files come and go without being packages.
    return tuple(
        (folder, os.stat(folder).st_mtime_ns if folder.endswith("-packages") else 0)
        for folder in sys.path
        if os.path.isdir(folder)
    )


@lru_cache(maxsize=1)
def _installed(stamp: tuple[tuple[str, int], ...]) -> dict[str, set[tuple[str, str]]]:
    """Return the distributions (name, version) by top-level module.

    `importlib.metadata.packages_distributions` does the same in many times the time.
    """
    found: dict[str, set[tuple[str, str]]] = {}
    seen: set[str] = set()
    for distribution in distributions():
        fields = dict(_FIELD.findall(_metadata(distribution).partition("\n\n")[0]))
        name = fields.get("Name", "")
        if not name or name in seen:  # the first on sys.path is the one that is imported
            continue
        seen.add(name)
        for module in _modules(distribution):
            found.setdefault(module, set()).add((name, fields.get("Version", "")))
    return found


def _metadata(distribution: Distribution) -> str:
    return distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""


def _modules(distribution: Distribution) -> set[str]:
    lines = distribution.read_text("top_level.txt") or distribution.read_text("RECORD") or ""
    return {found[1] for line in lines.splitlines() if (found := _MODULE.match(line))}


def python_version() -> str:
    """Return the version of Python: ``3.11.7``."""
    return platform.python_version()


def platform_name() -> str:
    """Return system, processor and C library, as far as they change what a model computes.

    Examples
    --------
    >>> platform_name().count("-") >= 1  # linux-x86_64-glibc2.36, darwin-arm64-macos14.5
    True
    """
    parts = [platform.system().lower(), platform.machine(), _base()]
    return "-".join(part for part in parts if part)


def _base() -> str:
    if sys.platform == "darwin":
        return "macos" + platform.mac_ver()[0]
    try:
        # platform.libc_ver reads through the whole interpreter to find the same.
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").replace(" ", "")
    except (AttributeError, ValueError, OSError):  # musl and others do not know the question
        return ""
