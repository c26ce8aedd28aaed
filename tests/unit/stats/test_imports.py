"""Whoever judges four counts, or follows labels in a server, does not wait for NumPy or SciPy."""

import subprocess
import sys

import pytest

SCALAR = (
    "checks",
    "claim",
    "confidence_sequences",
    "counts",
    "detector",
    "distributions",
    "evidence",
    "group_sequential",
    "interval",
    "mcnemar",
    "multiplicity",
    "planning",
    "proportions",
    "result",
    "roots",
    "traffic",
)
ARRAYS = (
    "arrays",
    "auc",
    "auc_bootstrap",
    "bootstrap",
    "calibration",
    "cells",
    "count_metrics",
    "drift",
    "groups",
    "losses",
    "means",
    "power",
    "resampling",
    "shift",
    "signs",
)
HEAVY = ("numpy", "scipy", "sklearn", "pandas", "msgspec")


@pytest.mark.parametrize(
    ("modules", "allowed"),
    [
        ([f"detent.stats.{name}" for name in SCALAR], ()),
        (["detent.comparison.verdict"], ()),
        ([f"detent.stats.{name}" for name in ARRAYS], ("numpy",)),
    ],
    ids=["scalar", "verdict", "arrays"],
)
def test_what_is_imported(modules: list[str], allowed: tuple[str, ...]) -> None:
    source = f"import sys, {', '.join(modules)}\nprint(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) <= set(allowed)


def test_every_module_is_one_of_these() -> None:
    import pkgutil

    import detent.stats

    found = {module.name for module in pkgutil.iter_modules(detent.stats.__path__)}
    assert found == {*SCALAR, *ARRAYS}
