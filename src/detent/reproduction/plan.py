"""What it takes to rebuild a version, and what is missing for it."""

from importlib.metadata import PackageNotFoundError, version

from detent.domain.manifest import Lineage
from detent.domain.report import VersionCard
from detent.domain.reproduction import ReproductionPlan
from detent.errors import InvalidError
from detent.lineage.recipe import WITHHELD


def make_plan(card: VersionCard) -> ReproductionPlan:
    """Return how a version would be rebuilt.

    Raises
    ------
    InvalidError
        If its lineage does not say how: without a commit, or without a command that is whole.
    """
    name, lineage = card.version.name, card.manifest.lineage
    code = lineage.code
    if code is None or code.commit is None:
        cells = " (the cells that ran are kept: see `detent show`)" if code and code.cells else ""
        raise InvalidError(
            f"`{name}` cannot be rebuilt: its lineage names no commit{cells}",
            hint="train from a script in a git repository, and commit it first",
        )
    if not lineage.recipe:
        raise InvalidError(
            f"`{name}` cannot be rebuilt: it was not registered by a script, so its lineage has no"
            " command",
            hint=f"see what is known: `detent show {name}`",
        )
    if any(WITHHELD in argument for argument in lineage.recipe):
        raise InvalidError(
            f"`{name}` cannot be rebuilt: its command had secrets, which are not recorded:"
            f" {' '.join(lineage.recipe)}",
            hint="let the script read them from the environment",
        )
    return ReproductionPlan(
        version=name,
        commit=code.commit,
        patch=code.patch,
        command=lineage.recipe,
        python=lineage.python,
        packages=differing_packages(lineage),
        doubts=_doubts(lineage),
    )


def differing_packages(lineage: Lineage) -> tuple[str, ...]:
    """Return which recorded packages are not installed here in that version."""
    found = []
    for name, recorded in lineage.packages.items():
        try:
            here = version(name)
        except PackageNotFoundError:
            here = "none"
        if here != recorded:
            found.append(f"{name} {recorded}, here {here}")
    return tuple(found)


def _doubts(lineage: Lineage) -> tuple[str, ...]:
    code = lineage.code
    doubts = []
    if code is not None and not code.is_clean and code.patch is None:
        changed = f" ({code.n_changed} files)" if code.n_changed else ""
        doubts.append(f"the code had changes that were not kept{changed}")
    if lineage.seed is None:
        doubts.append("no seed was recorded: training may be random")
    if code is not None and code.untracked:
        names = ", ".join(code.untracked[:3]) + (", …" if len(code.untracked) > 3 else "")
        doubts.append(f"files that are in no commit were there: {names}")
    return tuple(doubts)
