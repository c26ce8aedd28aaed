"""The registry as people use it: values are nouns, verbs are methods of `Registry`.

Each method is one line into `Operations`, which does the work here or at a server; what computes
on data runs here. Heavy rooms are entered when they are used, so that ``import detent`` is quick.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, overload

from detent.domain.clock import parse_time
from detent.errors import InvalidError
from detent.operations import Operations

if TYPE_CHECKING:
    from pathlib import Path

    from detent.blobs.base import Progress
    from detent.domain.access import NewToken, Token
    from detent.domain.alias import Activation, AliasStatus, History, Hold
    from detent.domain.events import Event
    from detent.domain.evidence import (
        Approval,
        Comparison,
        Decision,
        Evaluation,
        OwnMetric,
        Policy,
        Ranking,
        Trial,
    )
    from detent.domain.report import (
        Change,
        CopyReport,
        JournalReport,
        PruneReport,
        RepairReport,
        VerifyReport,
        VersionCard,
    )
    from detent.domain.reproduction import Reproduction, ReproductionPlan
    from detent.domain.rollout import Joined, LabelWanted, Reading, Rollout
    from detent.domain.server import Server
    from detent.domain.version import Model, Version
    from detent.domain.webhook import Delivery, NewWebhook, Webhook
    from detent.evaluation.evaluate import RowsProgress
    from detent.evaluation.slices import Slices
    from detent.lineage.record import Recording
    from detent.registry.files import Takeover
    from detent.registry.stores import Stores
    from detent.reports.report import Report
    from detent.rollout.trial import Trials
    from detent.runtime.follower import Follower
    from detent.runtime.live import Live

    Named = str | Version
    Several = list[str] | list[Version] | list[Named] | tuple[Named, ...]
    When = str | datetime


_WAIT_S = 5.0  # for servers, where a verb has no parameter that says how long


class DetentWarning(UserWarning):
    """Something worth knowing that did not stop the work."""


class Registry:
    """One registry: models, their versions, and what is active.

    Made by `detent.connect`. May be shared between threads. Each method that changes something
    does it in one transaction: when it returns, the change and its event in the journal are
    durable; when it raises, nothing was changed unless the error says so.
    """

    def __init__(self, operations: Operations | Stores) -> None:
        self._operations = (
            operations if isinstance(operations, Operations) else Operations(operations)
        )

    @property
    def _stores(self) -> Stores:
        return self._operations.stores

    def __repr__(self) -> str:
        """Return one line."""
        return f"<Registry {self.location} as {self.user}>"

    @property
    def location(self) -> str:
        """Where the registry lies."""
        return self._operations.location

    @property
    def user(self) -> str:
        """Who acts."""
        return self._operations.user

    def create(self) -> bool:
        """Make the registry on disk if there is none; return whether it was made."""
        return self._operations.create()

    def close(self) -> None:
        """Release this thread's connection. The registry can be used again afterwards."""
        self._operations.close()

    # Look ---------------------------------------------------------------------------------

    def models(self) -> list[Model]:
        """Return all models by name."""
        return self._operations.models()

    def versions(
        self,
        model: str,
        *,
        search: str | None = None,
        since: When | None = None,
        below: int | None = None,
        limit: int | None = None,
    ) -> list[Version]:
        """Return a model's versions, newest first.

        Parameters
        ----------
        model : str
            The model's name.
        search : str, optional
            Keep the versions that have all these words in note, format, code, data or creator
            (whole words, in any case).
        since : str or datetime, optional
            Keep what was registered then or later: ``"3d"``, ``"2026-03-02"``.
        below : int, optional
            Keep numbers below this one: the next page.
        limit : int, optional
            At most so many.

        Raises
        ------
        NotFoundError
            If there is no such model.
        """
        return self._operations.versions(
            model,
            search=search,
            since=self._time(since),
            below=below,
            limit=limit,
        )

    def version(self, reference: Named) -> Version:
        """Return the version that a reference names: ``churn/7``, ``churn@production``.

        Raises
        ------
        NotFoundError
            If there is no such version.
        InvalidError
            If the reference is malformed.
        """
        return self._operations.version(str(reference))

    def status(self, alias: str, *, at: When | None = None) -> AliasStatus:
        """Return what an alias holds: version, since when, by whom, why.

        Parameters
        ----------
        alias : str
            With its model: ``churn@production``.
        at : str or datetime, optional
            What it held then: ``"2026-02-20 08:00"`` (UTC), ``"3d"``.

        Raises
        ------
        NotFoundError
            If there is no such alias, or it held nothing yet.
        """
        from detent.registry.read import alias_reference

        name = str(alias_reference(alias))
        return self._operations.status(name=name, at=self._time(at))[0]

    def list_status(self, name: str | None = None, *, at: When | None = None) -> list[AliasStatus]:
        """Return what every alias holds: of all models, of one, or of one alias.

        Raises
        ------
        NotFoundError
            If there is no such model or alias.
        """
        return self._operations.status(name=name, at=self._time(at))

    def history(self, alias: str, *, limit: int | None = None) -> History:
        """Return an alias's activations and the tries that were refused, newest first.

        Raises
        ------
        NotFoundError
            If there is no such alias.
        """
        from detent.domain.alias import History

        return History(move.item for move in self._operations.history(alias, limit=limit))

    def show(self, reference: Named) -> VersionCard:
        """Return all that is known of a version.

        Raises
        ------
        NotFoundError
            If there is no such version.
        CorruptError
            If its manifest is not what was registered.
        """
        return self._operations.card(str(reference))

    def diff(self, before: Named, after: Named) -> list[Change]:
        """Return what went into two versions differently; `compare` says what came out.

        Raises
        ------
        NotFoundError
            If one of them does not exist.
        """
        from detent.registry.describe import diff

        return diff(self.show(before), self.show(after))

    def evaluations(self, name: Named) -> list[Evaluation]:
        """Return the evaluations of a model or of one version, newest first.

        Raises
        ------
        NotFoundError
            If there is no such model or version.
        """
        return self._operations.evaluations(str(name))

    def decision(self, id: int) -> Decision:
        """Return a recorded decision, with its rules and evidence.

        Raises
        ------
        NotFoundError
            If there is no such decision.
        """
        return self._operations.decision(id)

    @overload
    def audit(
        self,
        *,
        verify: Literal[False] = False,
        since: When | None = None,
        until: When | None = None,
        by: str | None = None,
        type: str | None = None,
        limit: int | None = None,
    ) -> list[Event]: ...

    @overload
    def audit(self, *, verify: Literal[True]) -> JournalReport: ...

    def audit(
        self,
        *,
        verify: bool = False,
        since: When | None = None,
        until: When | None = None,
        by: str | None = None,
        type: str | None = None,
        limit: int | None = None,
    ) -> list[Event] | JournalReport:
        """Return the journal's events, newest first; or check that none was tampered with.

        Parameters
        ----------
        verify : bool, default=False
            Check the chain of the whole journal, and the rows it tells of, instead.
        since, until : str or datetime, optional
            Keep the events of this time.
        by : str, optional
            Keep the events of this actor.
        type : str, optional
            Keep the events of this type: ``AliasRolledBack``.
        limit : int, optional
            At most so many.

        Returns
        -------
        list of Event or JournalReport
            The report's ``problems`` names each event that was altered, removed, inserted or
            reordered.
        """
        if verify:
            return self._operations.verify_journal()
        return self._operations.events(
            since=self._time(since), until=self._time(until), by=by, type=type, limit=limit
        )

    # Register and load --------------------------------------------------------------------

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

    # Judge --------------------------------------------------------------------------------

    @overload
    def evaluate(
        self,
        reference: Named,
        X: Any = None,
        y: Any = None,
        *,
        data: Path | str | None = None,
        target: str | None = None,
        dataset: str | None = None,
        metrics: Sequence[str | OwnMetric] | None = None,
        slices: Slices | None = None,
        groups: Any = None,
        ids: Any = None,
        sample_weight: Any = None,
        trusted: bool | Sequence[str] = False,
        on: str | None = None,
        progress: RowsProgress | None = None,
    ) -> Evaluation: ...

    @overload
    def evaluate(
        self,
        reference: Several,
        X: Any = None,
        y: Any = None,
        *,
        data: Path | str | None = None,
        target: str | None = None,
        dataset: str | None = None,
        metrics: Sequence[str | OwnMetric] | None = None,
        slices: Slices | None = None,
        groups: Any = None,
        ids: Any = None,
        sample_weight: Any = None,
        trusted: bool | Sequence[str] = False,
        on: str | None = None,
        progress: RowsProgress | None = None,
    ) -> list[Evaluation]: ...

    def evaluate(
        self,
        reference: Named | Several,
        X: Any = None,
        y: Any = None,
        *,
        data: Path | str | None = None,
        target: str | None = None,
        dataset: str | None = None,
        metrics: Sequence[str | OwnMetric] | None = None,
        slices: Slices | None = None,
        groups: Any = None,
        ids: Any = None,
        sample_weight: Any = None,
        trusted: bool | Sequence[str] = False,
        on: str | None = None,
        progress: RowsProgress | None = None,
    ) -> Evaluation | list[Evaluation]:
        """Predict rows with a version, and keep metrics and the outcome of every row.

        Rows are given as a table (``X``, ``y``), or by where they lie (``data``, ``target``).
        Parquet files are read in blocks of 8,192 rows and not kept, so they may be larger than
        memory; of each row only its true value and what the version answered is, and the columns
        of slices, groups, ids and weights. Both ways give the same numbers to the bit.

        Parameters
        ----------
        reference : str or Version, or list of these
            Which version, or which versions: the rows are then read once for all of them.
        X : table-like of shape (n_samples, n_features), optional
            The rows.
        y : array-like of shape (n_samples,), optional
            Their true values.
        data : path or URL, optional
            A Parquet file, a folder of Parquet files, or one of both in an object store
            (``s3://…``, ``gs://…``, ``az://…``); or a file of another kind, which is read whole.
        target : str, optional
            The column of ``data`` that has the true values.
        dataset : str, optional
            A name for the rows, for people; by default the name of ``data``.
        metrics : sequence of str or OwnMetric, optional
            Names of metrics, or own ones; by default the usual ones of the task. The first is
            the main one, in which versions are compared by default.
        slices : sequence of str, or mapping, optional
            Columns by which to compare parts of the rows: ``["region"]``, or with the edges of
            ranges of numbers ``{"tenure": [30, 90]}``, or with one label for each row.
        groups : str or array-like of shape (n_samples,), optional
            To whom a row belongs (a column, or one value each), where rows are not independent:
            twenty rows of one customer are one unit.
        ids : str or array-like of shape (n_samples,), optional
            Names of rows, no two equal: evaluations of other rows are matched by them.
        sample_weight : str or array-like of shape (n_samples,), optional
            How much a row counts, 0 or more: one value each, or a column of ``data``.
        trusted : bool or sequence of str, default=False
            As for `load`.
        on : str, optional
            What asks the version: ``ray`` for Ray Data, where Parquet files are read by its
            workers; by default this process.
        progress : callable, optional
            Told how many rows were answered, and how many there are.

        Returns
        -------
        Evaluation or list of Evaluation
            One for each version, in their order; each is recorded by itself.

        Raises
        ------
        NotFoundError
            If there is no such version, file or column.
        InvalidError
            If rows, true values and model do not fit together.
        RefusedError
            If the compiled form of a version answers one of the rows otherwise than the model.
        ConflictError
            If a file changed while it was read.
        UnavailableError
            If an object store, or Ray, does not answer.
        """
        from detent.evaluation.engines import find_engine
        from detent.evaluation.evaluate import measure
        from detent.evaluation.sources import open_data

        references: list[Named] = []
        references += reference if isinstance(reference, list | tuple) else [reference]
        if not references:
            raise InvalidError("no version was named; nothing was recorded")
        cards = [self.show(one) for one in references]
        found = open_data(
            X,
            y,
            data=data,
            target=target,
            name=dataset,
            slices=slices,
            groups=groups,
            ids=ids,
            sample_weight=sample_weight,
        )
        blobs = self._operations.blobs
        engine = find_engine(on)
        measured = measure(
            blobs,
            [(card.version, card.manifest.signature) for card in cards],
            found,
            engine.score(blobs, [card.version for card in cards], trusted=trusted),
            metrics=metrics,
            computed_on=engine.name,
            progress=progress,
        )
        recorded = [self._operations.record_evaluation(one) for one in measured]
        return recorded if isinstance(reference, list | tuple) else recorded[0]

    def compare(
        self,
        baseline: Named,
        candidate: Named,
        *,
        dataset: str | None = None,
        metrics: Sequence[str] = (),
    ) -> Comparison:
        """Compare a candidate with a baseline on the same rows, from their evaluations.

        Each metric is compared by the paired method that suits it, with an interval and a verdict.
        The first one is the main one.

        Parameters
        ----------
        baseline, candidate : str or Version
            The version in place, and the one offered.
        dataset : str, optional
            The name of the dataset; by default the newest that both were evaluated on.
        metrics : sequence of str, optional
            Which metrics, the main one first; by default all that both have.

        Raises
        ------
        NotFoundError
            If a version does not exist, or they share no evaluated dataset.
        InvalidError
            If they are of two models, or were evaluated on different rows.
        """
        return self._operations.compare(
            str(baseline), str(candidate), dataset=dataset, metrics=tuple(metrics)
        )

    def rank(
        self, baseline: Named, candidates: Sequence[Named], *, dataset: str | None = None
    ) -> Ranking:
        """Compare several candidates with one baseline, and order them.

        Raises
        ------
        NotFoundError
            As `compare`.
        InvalidError
            If no candidate is named, or as `compare`.
        """
        return self._operations.rank(
            str(baseline), [str(candidate) for candidate in candidates], dataset=dataset
        )

    def report(self, judged: Comparison | Ranking) -> Report:
        """Return a comparison, or a ranking, as a report: a page, or Markdown.

        A report of a comparison adds curves and the confusion matrix from what both versions
        answered, and what went into them differently. A server draws them up: what was answered
        row by row stays there.

        Parameters
        ----------
        judged : Comparison or Ranking
            As `compare` or `rank` of this registry returned it.

        Raises
        ------
        NotFoundError
            If a version or an evaluation of it is not in this registry.
        CorruptError
            If what a version answered is not what was kept.
        """
        from detent.domain.evidence import Ranking
        from detent.reports.report import Report

        if isinstance(judged, Ranking):
            return Report(judged=judged)
        old, new = (f"{judged.model}/{n}" for n in (judged.baseline, judged.candidate))
        return Report(
            judged=judged,
            charts=tuple(
                self._operations.charts(
                    judged.model,
                    baseline=judged.evaluations[0],
                    candidate=judged.evaluations[1],
                )
            ),
            changes=tuple(self.diff(old, new)),
        )

    def gate(self, reference: Named, alias: str) -> Decision:
        """Ask what the gate would say to an activation. Changes and records nothing.

        Raises
        ------
        NotFoundError
            If there is no such version.
        """
        return self._operations.gate(_alias_of(reference, alias), str(reference))

    def policy(self, alias: str) -> Policy | None:
        """Return what an alias demands; None when it demands nothing."""
        return self._operations.policy(alias)

    def set_policy(
        self, alias: str, policy: Mapping[str, Any] | None = None, *, dry_run: bool = False
    ) -> Policy:
        """Set what an alias demands of each activation from now on.

        Parameters
        ----------
        alias : str
            With its model: ``churn@production``.
        policy : mapping, optional
            ``{"rule": [{"name": "not_worse", "metric": "roc_auc", "margin": 0.005}]}``, as a TOML
            file would give it; ``{}`` demands nothing. By default the rule ``not_worse`` with a
            margin of one point.
        dry_run : bool, default=False
            Check it, and change nothing.

        Raises
        ------
        NotFoundError
            If there is no such model.
        InvalidError
            If a rule or a parameter is unknown, or out of its range.
        """
        from detent.policy.parse import DEFAULT

        content = DEFAULT if policy is None else policy
        return self._operations.set_policy(alias, content, dry_run=dry_run)

    def try_policy(
        self, alias: str, policy: Mapping[str, Any], *, limit: int = 20
    ) -> tuple[Trial, ...]:
        """Return what a policy would have said to past changes of an alias, newest first.

        Parameters
        ----------
        alias : str
            With its model: ``churn@production``.
        policy : mapping
            As for `set_policy`.
        limit : int, default=20
            At most so many changes.

        Raises
        ------
        NotFoundError
            If there is no such alias.
        InvalidError
            If it is not a policy.
        """
        return tuple(self._operations.try_policy(alias, policy, limit=limit))

    def approve(
        self, reference: Named, alias: str, *, reason: str | None = None, dry_run: bool = False
    ) -> Approval:
        """Record that you are for activating a version on an alias. Twice is safe.

        A policy may demand approvals of people other than the one who activates.

        Raises
        ------
        NotFoundError
            If there is no such version.
        """
        return self._operations.approve(
            _alias_of(reference, alias), str(reference), reason=reason, dry_run=dry_run
        )

    # Change -------------------------------------------------------------------------------

    def activate(
        self,
        reference: Named,
        alias: str,
        *,
        reason: str | None = None,
        override: str | None = None,
        expected: int | Activation | AliasStatus | None = None,
        wait_s: float = 5.0,
        dry_run: bool = False,
    ) -> Activation:
        """Make a version the active one of an alias, if the alias's gate lets it pass.

        Parameters
        ----------
        reference : str or Version
            Which version.
        alias : str
            The alias's name within the model: ``production``.
        reason : str, optional
            Why.
        override : str, optional
            Why a person goes past the gate; recorded. Nothing overrides a withdrawal.
        expected : int, Activation or AliasStatus, optional
            The entry taken to be the newest one (0 for none): when the alias has moved on,
            nothing is changed.
        wait_s : float, default=5
            Wait so many seconds for the servers of the alias to follow; 0 does not wait. Which have
            followed is in ``confirmation``.
        dry_run : bool, default=False
            Do and check everything, then undo it.

        Returns
        -------
        Activation
            The new entry of the history; the current one when this version was active already.

        Raises
        ------
        NotFoundError
            If there is no such version.
        RefusedError
            If a rule said no: ``decision`` is on record. Nothing was activated.
        InconclusiveError
            If the evidence decides neither way. Nothing was activated.
        ConflictError
            If the alias moved on from `expected`.
        """
        entry = self._operations.activate(
            _alias_of(reference, alias),
            str(reference),
            reason=reason,
            override=override,
            expected=_entry(expected),
            dry_run=dry_run,
        )
        return entry if dry_run else self._confirmed(entry, wait_s)

    def promote(
        self,
        source: str,
        alias: str,
        *,
        reason: str | None = None,
        override: str | None = None,
        expected: int | Activation | AliasStatus | None = None,
        wait_s: float = 5.0,
        dry_run: bool = False,
    ) -> Activation:
        """Activate on one alias the version that another one (``churn@staging``) holds.

        ``wait_s`` is that of `activate`.

        Raises
        ------
        InvalidError
            If `source` is not an alias.
        DetentError
            As `activate`.
        """
        from detent.registry.read import alias_reference

        return self.activate(
            str(alias_reference(source)),
            alias,
            reason=reason,
            override=override,
            expected=expected,
            wait_s=wait_s,
            dry_run=dry_run,
        )

    def deactivate(
        self,
        alias: str,
        *,
        reason: str | None = None,
        expected: int | Activation | AliasStatus | None = None,
        wait_s: float = 5.0,
        dry_run: bool = False,
    ) -> Activation:
        """Leave an alias without an active version; `rollback` puts the one before back.

        ``wait_s`` is that of `activate`.

        Raises
        ------
        NotFoundError
            If the alias holds no version.
        ConflictError
            If the alias moved on from `expected`.
        """
        entry = self._operations.deactivate(
            alias, reason=reason, expected=_entry(expected), dry_run=dry_run
        )
        return entry if dry_run else self._confirmed(entry, wait_s)

    def rollback(
        self,
        alias: str,
        *,
        to: int | None = None,
        reason: str | None = None,
        hold: bool = False,
        expected: int | Activation | AliasStatus | None = None,
        wait_s: float = 5.0,
        dry_run: bool = False,
    ) -> Activation:
        """Put back the version that an alias held before. No gate is asked.

        A second rollback goes one further back, not forth. The version left is refused on this
        alias until someone activates it with an override.

        Parameters
        ----------
        alias : str
            With its model: ``churn@production``.
        to : int, optional
            A version held earlier, to go back to in one step.
        reason : str, optional
            Why; `note` adds it later.
        hold : bool, default=False
            Also stop further activations until `release`.
        expected : int, Activation or AliasStatus, optional
            The entry taken to be the newest one.
        wait_s : float, default=5
            Wait so many seconds for the servers of the alias to follow; 0 does not wait. Which have
            followed is in ``confirmation``.
        dry_run : bool, default=False
            Do and check everything, then undo it.

        Raises
        ------
        NotFoundError
            If there is no such alias.
        RefusedError
            If there is no earlier version to go back to.
        ConflictError
            If the alias moved on from `expected`.
        """
        entry = self._operations.rollback(
            alias,
            to=to,
            reason=reason,
            hold=hold,
            expected=_entry(expected),
            dry_run=dry_run,
        )
        return entry if dry_run else self._confirmed(entry, wait_s)

    def hold(self, alias: str, *, reason: str | None = None, dry_run: bool = False) -> Hold:
        """Stop further activations of an alias until `release`. Rollback still works.

        Raises
        ------
        NotFoundError
            If there is no such alias.
        """
        return self._operations.hold(alias, reason=reason, dry_run=dry_run)

    def release(self, alias: str, *, reason: str | None = None, dry_run: bool = False) -> Hold:
        """End a hold, and return what it was.

        Raises
        ------
        NotFoundError
            If the alias is not on hold.
        """
        return self._operations.release(alias, reason=reason, dry_run=dry_run)

    def withdraw(self, reference: Named, *, reason: str, dry_run: bool = False) -> Version:
        """Mark a version as never to be activated again, anywhere. Cannot be undone.

        Raises
        ------
        NotFoundError
            If there is no such version.
        """
        return self._operations.withdraw(str(reference), reason=reason, dry_run=dry_run)

    def delete(
        self, reference: Named, *, reason: str | None = None, dry_run: bool = False
    ) -> Version:
        """Delete a version; its number is not given again. Cannot be undone.

        Raises
        ------
        NotFoundError
            If there is no such version.
        RefusedError
            If an alias holds it, or can be rolled back to it.
        """
        return self._operations.delete(str(reference), reason=reason, dry_run=dry_run)

    def note(self, name: Named, text: str, *, dry_run: bool = False) -> None:
        """Set the note of a version, or say afterwards why an alias was changed.

        Raises
        ------
        NotFoundError
            If there is no such version or alias.
        """
        self._operations.note(str(name), text, dry_run=dry_run)

    # Keep ---------------------------------------------------------------------------------

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

    # Roll out -----------------------------------------------------------------------------

    def start_rollout(
        self,
        reference: Named,
        alias: str,
        *,
        expected: int | None = None,
        dry_run: bool = False,
        **plan: Any,
    ) -> Rollout:
        """Begin to roll a version out into an alias: in the shadow, to a share, to all.

        The servers of the alias take part and decide by themselves: harm rolls it back, and what
        the plan demands has to be shown before it goes on.

        Parameters
        ----------
        reference : str or Version
            The candidate.
        alias : str
            The alias's name within the model: ``production``.
        expected : int, optional
            The entry of the history that the caller took to be the newest one of the alias.
        dry_run : bool, default=False
            Do and check everything, then undo it.
        **plan
            The parts of a `Plan` that are to be otherwise than its defaults. Durations may be
            seconds or text (``shadow="1h"``), shares numbers or text (``canary="1%,10%,50%"``).

        Returns
        -------
        Rollout
            As it begins.

        Raises
        ------
        NotFoundError
            If there is no such version, or the alias holds none to compare it with.
        InvalidError
            If the plan cannot be followed, or the version is active already.
        ConflictError
            If another rollout is running there, or the alias moved on from `expected`.
        RefusedError
            If the alias is on hold, or the version was withdrawn or rolled back from it.
        """
        from detent.rollout.plan import make_plan

        return self._operations.start_rollout(
            _alias_of(reference, alias),
            str(reference),
            plan=make_plan(**plan),
            expected=expected,
            dry_run=dry_run,
        )

    def rollout(self, name: str | int) -> Rollout:
        """Return a rollout by its number, or the newest one of an alias.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        return self._operations.rollout(name=str(name))

    def rollouts(
        self, name: str | None = None, *, running: bool = False, limit: int | None = None
    ) -> list[Rollout]:
        """Return rollouts, newest first: all, those of a model or an alias, those that go on.

        At most `limit`.

        Raises
        ------
        InvalidError
            If the name is malformed.
        """
        return self._operations.rollouts(name=name, running=running, limit=limit)

    def rollout_course(self, name: str | int) -> list[Reading]:
        """Return how what a rollout watches has come about, signal by signal.

        Each signal is read when its outcomes have grown by two fifths, so there are few readings,
        closer together at the beginning, where the bounds narrow quickly.

        Raises
        ------
        NotFoundError
            If there is no such rollout.
        """
        return self._operations.rollout_course(name=str(name))

    def advance_rollout(self, name: str | int, *, expected: int | None = None) -> Rollout:
        """Go on to the next phase or step now. Before the last one the gate is asked all the same.

        Parameters
        ----------
        name : str or int
            The rollout's number, or its alias.
        expected : int, optional
            The rollout's `phase_us` as the caller saw it.

        Raises
        ------
        NotFoundError
            If there is no such rollout.
        ConflictError
            If it has ended, is in its last phase, or moved on from `expected`.
        RefusedError
            If the gate said no.
        InconclusiveError
            If its evidence decides neither way.
        """
        rollout = self._operations.advance_rollout(str(name), expected=expected)
        if rollout.phase == "full":
            self._confirmed(self.status(rollout.name).activation, _WAIT_S)
        return rollout

    def pause_rollout(
        self, name: str | int, *, reason: str | None = None, expected: int | None = None
    ) -> Rollout:
        """Keep a rollout where it is until it is resumed. Harm rolls it back all the same.

        Raises
        ------
        NotFoundError
            If there is no such rollout.
        ConflictError
            If it has ended, or moved on from `expected` (see `advance_rollout`).
        """
        return self._operations.pause_rollout(str(name), reason=reason, expected=expected)

    def resume_rollout(self, name: str | int, *, expected: int | None = None) -> Rollout:
        """Go on with a paused rollout.

        Raises
        ------
        NotFoundError
            If there is no such rollout.
        ConflictError
            If it has ended, is not paused, or moved on from `expected` (see `advance_rollout`).
        """
        return self._operations.resume_rollout(str(name), expected=expected)

    def stop_rollout(
        self,
        name: str | int,
        *,
        reason: str | None = None,
        expected: int | None = None,
        wait_s: float = 5.0,
    ) -> tuple[Rollout, Activation | None]:
        """End a rollout; the version before answers every request again.

        A candidate that answered requests is refused on this alias from then on, until somebody
        activates it with an override.

        Returns
        -------
        rollout : Rollout
            As it ended.
        entry : Activation or None
            The entry of the history, with the servers that have followed; None when the candidate
            had answered nobody.

        Raises
        ------
        NotFoundError
            If there is no such rollout.
        ConflictError
            If it has ended already, or moved on from `expected` (see `advance_rollout`).
        """
        stopped = self._operations.stop_rollout(str(name), reason=reason, expected=expected)
        entry = stopped.entry
        return stopped.rollout, None if entry is None else self._confirmed(entry, wait_s)

    def drive_rollout(self, name: str | int) -> Rollout:
        """Count, decide and act once, unless another process does; return how far the rollout is.

        Servers do this by themselves. Call it again and again where none is running.

        Raises
        ------
        NotFoundError
            If there is no such rollout.
        UnavailableError
            If a store does not answer.
        """
        return self._operations.drive_rollout(str(name))

    def labels_wanted(self, name: str | int, *, limit: int = 100) -> list[LabelWanted]:
        """Return rows that the two versions of a rollout answer differently, without a label.

        Where answers are right or wrong, no others need one.

        Raises
        ------
        NotFoundError
            If there is no such rollout.
        """
        return self._operations.labels_wanted(str(name), most=limit)

    def feedback(
        self, labels: Path | str | Iterable[Mapping[str, Any]], *, model: str | None = None
    ) -> Joined:
        """Join true answers to what was predicted, also days later. Twice is safe.

        Parameters
        ----------
        labels : path or iterable of mapping
            A CSV file or one of JSON lines, or mappings: ``id`` of the request, ``label``, and
            where there are several, ``row`` and ``model``.
        model : str, optional
            The model of labels that name none.

        Returns
        -------
        Joined
            How many were joined, and why others were not.

        Raises
        ------
        NotFoundError
            If there is no such file, or no registry.
        InvalidError
            If the file is neither.
        """
        from detent.domain.rollout import Joined
        from detent.rollout.feedback import read_source

        joined = Joined()
        for named, some in read_source(labels, model=model):
            joined.add(self._operations.feedback(named, some))
        return joined

    # Serve --------------------------------------------------------------------------------

    def follow(
        self, alias: str, *, trusted: bool | Sequence[str] = False, rollouts: bool = False
    ) -> Live:
        """Return a model that answers with what an alias holds, and changes when the alias does.

        A change of the alias waits for this process, as for a server, until it answers with the
        new version. For reproducible work load a version: ``load("churn/7")``.

        Parameters
        ----------
        alias : str
            With its model: ``churn@production``.
        trusted : bool or sequence of str, default=False
            As for `load`, for each version that the alias comes to hold.
        rollouts : bool, default=False
            Take part in rollouts, as a server does: load candidates, ask them in the shadow, answer
            some calls with them, keep what was answered, and drive what nobody else drives. It
            takes memory, time of the processors and some threads of this process. Calls of more
            than 1,000 rows take no part.

        Raises
        ------
        NotFoundError
            If there is no such alias.
        """
        from detent.registry.read import alias_reference
        from detent.runtime.live import Live

        def take_part(follower: Follower) -> Trials:
            from detent.rollout.trial import Trials

            return Trials(self._stores, follower, trusted=trusted)

        return Live(
            self._stores,
            alias_reference(alias),
            trusted=trusted,
            take_part=take_part if rollouts else None,
        )

    def servers(self, name: str | None = None) -> list[Server]:
        """Return the processes that follow aliases: all of them, a model's, or an alias's.

        Those that ended are left out. One whose lease has ended may still answer, with what it last
        said; a change does not wait for it.

        Raises
        ------
        InvalidError
            If the name is malformed.
        UnavailableError
            If their rows cannot be read now.
        """
        return self._operations.servers(name=name)

    # Who ----------------------------------------------------------------------------------

    def create_token(self, name: str, *, role: str, models: Sequence[str] = ()) -> NewToken:
        """Make a token, with which `name` may ask a server.

        Parameters
        ----------
        name : str
            Who it is for: the actor in the journal.
        role : str
            ``reader``, ``contributor``, ``maintainer`` or ``admin``.
        models : sequence of str, optional
            The models it may change; by default all of them.

        Returns
        -------
        NewToken
            With the secret, which is kept nowhere and not shown again.

        Raises
        ------
        InvalidError
            If the role is unknown, or a name is malformed.
        """
        return self._operations.create_token(name, role=role, models=tuple(models))

    def tokens(self) -> list[Token]:
        """Return all tokens, also those that were revoked, the oldest first."""
        return self._operations.tokens()

    def revoke_token(self, id: int) -> Token:
        """Accept a token no more.

        Raises
        ------
        NotFoundError
            If there is no such token.
        """
        return self._operations.revoke_token(id)

    # Tell ---------------------------------------------------------------------------------

    def create_webhook(
        self, url: str, *, types: Sequence[str] = (), models: Sequence[str] = ()
    ) -> NewWebhook:
        """Tell an address of the events to come.

        A running ``detent web`` sends them, in their order and each until it is accepted.

        Parameters
        ----------
        url : str
            Where to: an ``https:`` URL of the public network, unless the setting
            ``private_webhooks`` allows others.
        types : sequence of str, optional
            Types of events, such as ``detent.alias.rolled_back``, or beginnings of them, such as
            ``detent.alias.*``; by default all about aliases, versions and rollouts.
        models : sequence of str, optional
            The models it is told of; by default all of them.

        Returns
        -------
        NewWebhook
            With the secret that signs what is sent. It is not shown again.

        Raises
        ------
        InvalidError
            If the URL, a type or a name is malformed.
        RefusedError
            If the URL names an address that is not public, and those are not allowed.
        """
        return self._operations.create_webhook(url, types=tuple(types), models=tuple(models))

    def webhooks(self) -> list[Webhook]:
        """Return the webhooks, the oldest first."""
        return self._operations.webhooks()

    def delete_webhook(self, id: int) -> Webhook:
        """Tell an address nothing more; what it was not told yet is not told.

        Raises
        ------
        NotFoundError
            If there is no such webhook.
        """
        return self._operations.delete_webhook(id)

    def test_webhook(self, id: int) -> Delivery:
        """Send a webhook an event that means nothing, once and at once, and return how it went.

        Raises
        ------
        NotFoundError
            If there is no such webhook.
        """
        return self._operations.test_webhook(id)

    def deliveries(self, id: int, *, limit: int | None = None) -> list[Delivery]:
        """Return how the newest tries to tell a webhook went, newest first.

        Raises
        ------
        NotFoundError
            If there is no such webhook.
        """
        return self._operations.deliveries(id, limit=limit)

    def _confirmed(self, entry: Activation, wait_s: float) -> Activation:
        from detent.domain.value import replace

        return replace(entry, confirmation=self._operations.confirm(entry, wait_s=wait_s))

    def _time(self, text: When | None) -> datetime | None:
        return None if text is None else parse_time(text, now=self._operations.clock())


def _alias_of(reference: Named, alias: str) -> str:
    """Return an alias with its model: ``production`` means that of the version's own model."""
    if "@" in alias:
        return alias
    from detent.domain.reference import check_alias_name, parse_reference

    return f"{parse_reference(str(reference)).model}@{check_alias_name(alias)}"


def _entry(expected: int | Activation | AliasStatus | None) -> int | None:
    if expected is None or isinstance(expected, int):
        return expected
    return expected.activation.entry if hasattr(expected, "activation") else expected.entry
