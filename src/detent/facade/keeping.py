"""Keeping the bytes whole, elsewhere too, and no more of them than is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detent.facade.base import RegistryBase

if TYPE_CHECKING:
    from pathlib import Path

    from detent.blobs.base import Progress
    from detent.domain.report import (
        CopyReport,
        PruneReport,
        RepairReport,
        VerifyReport,
    )
    from detent.facade.base import Named
    from detent.facade.registry import Registry


class Keeping(RegistryBase):
    """Verbs of `Registry`: what is about stored bytes."""

    def verify(
        self, reference: Named | None = None, *, progress: Progress | None = None
    ) -> VerifyReport:
        """Re-hash all stored bytes, or those of one version; nothing is changed.

        Raises
        ------
        NotFoundError
            If there is no such version.
        """
        name = str(reference) if reference is not None else None
        return self._operations.verify(reference=name, progress=progress)

    def repair(
        self, folder: Path | str, reference: Named | None = None, *, dry_run: bool = False
    ) -> RepairReport:
        """Restore missing or corrupt bytes from files in a folder that hash to their digests.

        Raises
        ------
        NotFoundError
            If there is no such folder or version.
        """
        from pathlib import Path

        from detent.registry.prune import repair

        report = repair(
            self._operations.blobs,
            Path(folder),
            check=lambda: self.verify(reference),
            dry_run=dry_run,
        )
        if report.restored and not dry_run:
            self._operations.record_repair(report.restored)
        return report

    def copy_to(
        self, target: Registry, *, progress: Progress | None = None, dry_run: bool = False
    ) -> CopyReport:
        """Copy all of this registry to another place, with its journal as it is.

        Parameters
        ----------
        target : Registry
            Where no registry is yet, an empty one, or an earlier copy of this one: what is there is
            not sent again.
        progress : callable, optional
            Told how many more bytes were sent.
        dry_run : bool, default=False
            Only say what would be sent.

        Raises
        ------
        NotFoundError
            If there is no registry to copy.
        ConflictError
            If the target has a history of its own.
        CorruptError
            If this registry is damaged.
        UnavailableError
            If a store has no room or does not answer. Copying again goes on where it stopped.

        Examples
        --------
        >>> import detent
        >>> detent.connect("memory:").copy_to(detent.connect("memory:")).n_versions
        0
        """
        from detent.registry.copy import copy

        return copy(self._operations, target._operations, dry_run=dry_run, progress=progress)

    def prune(self, *, grace_s: float = 3600.0, dry_run: bool = False) -> PruneReport:
        """Remove bytes that no version and no evaluation reaches. Cannot be undone.

        Parameters
        ----------
        grace_s : float, default=3600
            Keep what was written less than this many seconds ago.
        dry_run : bool, default=False
            Only say what would be removed.
        """
        return self._operations.prune(grace_s=grace_s, dry_run=dry_run)
