"""Registering: models, files and whole folders as versions, with where they came from."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from detent.errors import InvalidError
from detent.facade.base import DetentWarning
from detent.facade.looking import Looking

if TYPE_CHECKING:
    from pathlib import Path

    from detent.blobs.base import Progress
    from detent.domain.version import Version
    from detent.facade.base import Named
    from detent.lineage.record import Recording
    from detent.registry.files import Takeover


class Registering(Looking):
    """Verbs of `Registry`: what makes versions."""

    def register(
        self,
        name: str,
        model: Any,
        *,
        sample: Any = None,
        data: Any = None,
        note: str | None = None,
        format: str | None = None,
        parents: Sequence[Named] = (),
        code: Path | str | None = None,
        duration_s: float | None = None,
        compile: str | None = None,
        progress: Progress | None = None,
        dry_run: bool = False,
    ) -> Version:
        """Keep a model as the next version of its name, with where it came from.

        Registering the same model with the same lineage again returns the version that it is
        already, with a warning.

        Parameters
        ----------
        name : str
            The model's name. It is made when it does not exist.
        model : object
            An estimator or pipeline, an importable function, or the path of a file or folder.
        sample : table-like of shape (n_samples, n_features), optional
            Some input rows: they give the signature and are kept to check a rebuilt version.
        data : path, URL, table-like, or a dict or list of these, optional
            What it was trained on. Only names, sizes and digests are kept.
        note : str, optional
            A remark, found by `versions(search=)`.
        format : str, optional
            ``skops``, ``joblib``, ``callable``, ``files`` or one of a plugin; by default the first
            that fits.
        parents : sequence of str or Version, optional
            Versions that this one was made from.
        code : path, optional
            The folder of the code that trained it; by default that of the running script.
        duration_s : float, optional
            How long the training took, in seconds.
        compile : str, optional
            Keep a compiled form beside the model for servers to answer with: ``treelite``,
            ``onnx``, one of a plugin, or ``auto``: the first that has one which agrees, and a
            warning when none has. Needs ``sample``. `load` returns the model all the same.
        progress : callable, optional
            Told how many more bytes were stored.
        dry_run : bool, default=False
            Do and check everything, then undo it.

        Returns
        -------
        Version
            Its files and its row are durable.

        Raises
        ------
        InvalidError
            If the name is malformed, or the model cannot be saved or does not fit the sample, or
            cannot be compiled as asked.
        RefusedError
            If the compiled form answers otherwise than the model; the message names rows.
        UnavailableError
            If a store has no room or does not answer.
        """
        from pathlib import Path

        from detent.registration import register

        version, remarks = register(
            self._operations,
            name,
            model,
            sample=sample,
            data=data,
            note=note,
            format=format,
            parents=[self.version(parent) for parent in parents],
            code=Path(code) if code is not None else None,
            duration_s=duration_s,
            compile=compile,
            progress=progress,
            dry_run=dry_run,
        )
        for remark in remarks:
            warnings.warn(remark, DetentWarning, stacklevel=2)
        return version

    def register_file(
        self,
        name: str,
        path: Path | str,
        *,
        data: Any = None,
        note: str | None = None,
        format: str | None = None,
        parents: Sequence[Named] = (),
        progress: Progress | None = None,
        dry_run: bool = False,
    ) -> Version:
        """Keep a model's file, or a folder, as it is: it is not loaded, so no pickle is run.

        The format follows the ending: ``.skops``; ``.joblib`` and ``.pkl`` (which load only when
        trusted); anything else is kept as plain files. Other parameters as for `register`.

        Raises
        ------
        NotFoundError
            If there is no such file.
        InvalidError
            If the name is malformed.
        UnavailableError
            If a store has no room or does not answer.
        """
        from pathlib import Path

        from detent.registration import register_file

        version, remarks = register_file(
            self._operations,
            name,
            Path(path),
            data=data,
            note=note,
            format=format,
            parents=[self.version(parent) for parent in parents],
            progress=progress,
            dry_run=dry_run,
        )
        for remark in remarks:
            warnings.warn(remark, DetentWarning, stacklevel=2)
        return version

    def compile(
        self,
        reference: Named,
        *,
        compiler: str = "auto",
        sample: Any = None,
        note: str | None = None,
        trusted: bool | Sequence[str] = False,
        dry_run: bool = False,
    ) -> Version:
        """Register a version again, with a compiled form beside the same files.

        It is a version of its own: what answers requests changes by an activation only.

        Parameters
        ----------
        reference : str or Version
            Which version.
        compiler : str, default="auto"
            ``treelite``, ``onnx``, one of a plugin, or ``auto``: the first that agrees.
        sample : table-like of shape (n_samples, n_features), optional
            Rows to compare answers on; by default the sample that the version was registered with.
        note : str, optional
            A remark; by default it says of which version this is a form.
        trusted : bool or sequence of str, default=False
            As for `load`.
        dry_run : bool, default=False
            Do and check everything, then undo it.

        Raises
        ------
        NotFoundError
            If there is no such version or compiler.
        InvalidError
            If it cannot be compiled, or has no sample and none is given.
        RefusedError
            If the compiled form answers otherwise than the model; the message names rows.
        """
        from detent.registration import compile_version

        version, remarks = compile_version(
            self._operations,
            self.version(reference),
            compiler=compiler,
            sample=sample,
            note=note,
            trusted=trusted,
            dry_run=dry_run,
        )
        for remark in remarks:
            warnings.warn(remark, DetentWarning, stacklevel=2)
        return version

    @contextmanager
    def recording(self, name: str, **options: Any) -> Iterator[Recording]:
        """Record a training: its duration is measured, and its model registered at the end.

        Set ``model`` in the block. An exception in the block registers nothing.

        Parameters
        ----------
        name : str
            The model's name.
        **options
            As for `register`.

        Raises
        ------
        InvalidError
            If the block ends without a model.
        """
        from detent.lineage.record import Recording

        with Recording() as record:
            yield record
        if record.model is None:
            raise InvalidError(
                "the recording ended without a model; nothing was registered",
                hint="set it in the block: `rec.model = estimator.fit(X, y)`",
            )
        record.version = self.register(name, record.model, duration_s=record.duration_s, **options)

    def plan_import(self, folder: Path | str, *, model: str | None = None) -> list[Takeover]:
        """Return which files of a folder `import_folder` would take over, in their order.

        Raises
        ------
        NotFoundError
            If the folder does not exist, or holds no such file.
        InvalidError
            If two files claim one number, or a name cannot be a model's.
        """
        from pathlib import Path

        from detent.registry.files import plan_takeover

        return plan_takeover(Path(folder), model=model)

    def import_folder(
        self, folder: Path | str, *, model: str | None = None
    ) -> list[tuple[Path, Version]]:
        """Take over files named ``churn_v1.pkl``, ``churn_v2.joblib`` … in their order.

        The files are kept as they are and not loaded. Doing it again registers nothing twice.

        Raises
        ------
        NotFoundError
            If the folder does not exist, or holds no such file.
        InvalidError
            If two files claim one number, or a name cannot be a model's.
        """
        from detent.registration import take_over

        plan = self.plan_import(folder, model=model)
        return [(item.path, take_over(self._operations, item)) for item in plan]
