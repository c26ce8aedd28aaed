"""Loading a version, writing its files, and rebuilding it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from detent.facade.looking import Looking

if TYPE_CHECKING:
    from pathlib import Path

    from detent.blobs.base import Progress
    from detent.domain.reproduction import Reproduction, ReproductionPlan
    from detent.facade.base import Named


class Loading(Looking):
    """Verbs of `Registry`: what reads a version."""

    def load(
        self,
        reference: Named,
        *,
        trusted: bool | Sequence[str] = False,
        progress: Progress | None = None,
    ) -> Any:
        """Return the model itself, from bytes that were checked against their digests.

        Parameters
        ----------
        reference : str or Version
            ``churn/7``, ``churn@production`` or ``churn@sha256:…``.
        trusted : bool or sequence of str, default=False
            Names of types that the caller trusts, or True for whatever the files carry. Files
            of the format ``joblib`` can run any code, and need True.
        progress : callable, optional
            Told how many more bytes were checked.

        Raises
        ------
        NotFoundError
            If there is no such version.
        RefusedError
            If loading needs trust that was not given; the message names what.
        CorruptError
            If the bytes are not those that were registered.
        """
        from detent.registry.files import load_version

        return load_version(
            self._operations.blobs, self.version(reference), trusted=trusted, progress=progress
        )

    def export(self, reference: Named, folder: Path | str, *, dry_run: bool = False) -> list[Path]:
        """Write the files of a version and its ``manifest.json`` into a new folder.

        Raises
        ------
        NotFoundError
            If there is no such version.
        ConflictError
            If the folder is there and not empty.
        CorruptError
            If the bytes are not those that were registered.
        """
        from pathlib import Path

        from detent.registry.files import export

        version = self.version(reference)
        return export(self._operations.blobs, version, Path(folder), dry_run=dry_run)

    def plan_reproduction(self, reference: Named) -> ReproductionPlan:
        """Return how `reproduce` would rebuild a version: commit, command, packages, doubts.

        Raises
        ------
        NotFoundError
            If there is no such version.
        InvalidError
            If its lineage has no commit or no whole command.
        """
        from detent.reproduction.plan import make_plan

        return make_plan(self.show(reference))

    def reproduce(
        self,
        reference: Named,
        *,
        repository: Path | str = ".",
        folder: Path | str | None = None,
        here: bool = False,
        trusted: bool | Sequence[str] = False,
        tell: Callable[[str], None] = lambda _: None,
    ) -> Reproduction:
        """Rebuild a version from its lineage, and say whether it is the same.

        Checks out its commit, applies the changes that were kept, installs the recorded packages
        unless they are all here, and runs the recorded command: **code that the version's author
        wrote, as you**. Whatever registry the command names, it registers into one of its own.

        Parameters
        ----------
        reference : str or Version
            Which version.
        repository : path, default="."
            A git repository that has the commit. It is not changed.
        folder : path, optional
            A new folder for the code, the environment and the output. By default a temporary one,
            which is kept when something failed or differs.
        here : bool, default=False
            Run with the packages that are installed here, whatever was recorded.
        trusted : bool or sequence of str, default=False
            As for `load`: to compare predictions, where the bytes differ.
        tell : callable, optional
            Told what is being done.

        Raises
        ------
        NotFoundError
            If there is no such version, or the repository does not have its commit.
        InvalidError
            If the lineage does not say enough, packages cannot be installed, the command fails, or
            it registers no version of the model.
        RefusedError
            If comparing predictions needs trust that was not given.
        """
        from pathlib import Path

        from detent.reproduction.plan import make_plan
        from detent.reproduction.reproduce import reproduce

        card = self.show(reference)
        return reproduce(
            card,
            make_plan(card),
            self._operations.blobs,
            repository=Path(repository),
            folder=None if folder is None else Path(folder),
            here=here,
            trusted=trusted,
            tell=tell,
        )
