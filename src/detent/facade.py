"""The registry as people use it: values are nouns, verbs are methods of `Registry`.

Each method is one line into the room that does the work; heavy rooms are entered when they are
used, so that ``import detent`` is quick.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, overload

from detent.domain.clock import parse_time
from detent.errors import InvalidError

if TYPE_CHECKING:
    from pathlib import Path

    from detent.blobs.base import Progress
    from detent.domain.alias import Activation, AliasStatus, Hold
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
    from detent.domain.server import Server
    from detent.domain.version import Model, Version
    from detent.evaluation.slices import Slices
    from detent.lineage.record import Recording
    from detent.registry.files import Takeover
    from detent.registry.read import History
    from detent.registry.stores import Stores
    from detent.runtime.live import Live

    Named = str | Version
    When = str | datetime


class DetentWarning(UserWarning):
    """Something worth knowing that did not stop the work."""


class Registry:
    """One registry: models, their versions, and what is active.

    Made by `detent.connect`. May be shared between threads. Each method that changes something
    does it in one transaction: when it returns, the change and its event in the journal are
    durable; when it raises, nothing was changed unless the error says so.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def __repr__(self) -> str:
        """Return one line."""
        return f"<Registry {self.location} as {self.user}>"

    @property
    def location(self) -> str:
        """Where the registry lies."""
        return self._stores.metadata.location

    @property
    def user(self) -> str:
        """Who acts."""
        return self._stores.actor

    def create(self) -> bool:
        """Make the registry on disk if there is none; return whether it was made."""
        from detent.registry.register import create_registry

        return create_registry(self._stores)

    def close(self) -> None:
        """Release this thread's connection. The registry can be used again afterwards."""
        self._stores.metadata.close()

    # Look ---------------------------------------------------------------------------------

    def models(self) -> list[Model]:
        """Return all models by name."""
        return self._stores.metadata.current.list_models()

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
        from detent.registry import read

        return read.versions(
            self._stores,
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
        from detent.registry.read import resolve

        return resolve(self._stores.metadata.current, reference)

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
        from detent.registry.read import alias_reference, status

        return status(self._stores, str(alias_reference(alias)), at=self._time(at))[0]

    def list_status(self, name: str | None = None, *, at: When | None = None) -> list[AliasStatus]:
        """Return what every alias holds: of all models, of one, or of one alias.

        Raises
        ------
        NotFoundError
            If there is no such model or alias.
        """
        from detent.registry.read import status

        return status(self._stores, name, at=self._time(at))

    def history(self, alias: str, *, limit: int | None = None) -> History:
        """Return an alias's activations and the tries that were refused, newest first.

        Raises
        ------
        NotFoundError
            If there is no such alias.
        """
        from detent.registry.read import history

        return history(self._stores, alias, limit=limit)

    def show(self, reference: Named) -> VersionCard:
        """Return all that is known of a version.

        Raises
        ------
        NotFoundError
            If there is no such version.
        CorruptError
            If its manifest is not what was registered.
        """
        from detent.registry.describe import describe

        return describe(self._stores, reference)

    def diff(self, before: Named, after: Named) -> list[Change]:
        """Return what went into two versions differently; `compare` says what came out.

        Raises
        ------
        NotFoundError
            If one of them does not exist.
        """
        from detent.registry.describe import diff

        return diff(self._stores, before, after)

    def evaluations(self, name: Named) -> list[Evaluation]:
        """Return the evaluations of a model or of one version, newest first.

        Raises
        ------
        NotFoundError
            If there is no such model or version.
        """
        from detent.domain.reference import parse_reference
        from detent.registry.read import check_model

        tables = self._stores.metadata.current
        reference = parse_reference(str(name))
        if str(reference) == reference.model:
            check_model(tables, reference.model)
            return tables.list_evaluations(reference.model)
        version = self.version(name)
        return tables.list_evaluations(version.model, version.number)

    def decision(self, id: int) -> Decision:
        """Return a recorded decision, with its rules and evidence.

        Raises
        ------
        NotFoundError
            If there is no such decision.
        """
        from detent.errors import NotFoundError

        decision = self._stores.metadata.current.find_decision(id)
        if decision is None:
            raise NotFoundError(f"there is no decision {id}")
        return decision

    @overload
    def audit(
        self,
        *,
        verify: Literal[False] = False,
        since: When | None = None,
        until: When | None = None,
        by: str | None = None,
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
        limit : int, optional
            At most so many.

        Returns
        -------
        list of Event or JournalReport
            The report's ``problems`` names each event that was altered, removed, inserted or
            reordered.
        """
        if verify:
            from detent.registry.verify import verify_journal

            return verify_journal(self._stores)
        from detent.domain.clock import to_us

        since_at, until_at = self._time(since), self._time(until)
        return self._stores.metadata.current.list_events(
            since_us=to_us(since_at) if since_at else 0,
            until_us=to_us(until_at) if until_at else None,
            actor=by,
            limit=limit,
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
            If the name is malformed, or the model cannot be saved or does not fit the sample.
        UnavailableError
            If a store has no room or does not answer.
        """
        from pathlib import Path

        from detent.registration import register

        version, remarks = register(
            self._stores,
            name,
            model,
            sample=sample,
            data=data,
            note=note,
            format=format,
            parents=[self.version(parent) for parent in parents],
            code=Path(code) if code is not None else None,
            duration_s=duration_s,
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
            self._stores,
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
        from detent.registry.files import load

        return load(self._stores, reference, trusted=trusted, progress=progress)

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

        return export(self._stores, reference, Path(folder), dry_run=dry_run)[1]

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
        from detent.registry.files import take_over

        plan = self.plan_import(folder, model=model)
        return [(item.path, take_over(self._stores, item)[0]) for item in plan]

    # Judge --------------------------------------------------------------------------------

    def evaluate(
        self,
        reference: Named,
        X: Any,
        y: Any,
        *,
        dataset: str,
        metrics: Sequence[str | OwnMetric] | None = None,
        slices: Slices | None = None,
        groups: Any = None,
        ids: Any = None,
        sample_weight: Any = None,
        trusted: bool | Sequence[str] = False,
    ) -> Evaluation:
        """Predict rows with a version, and keep metrics and the outcome of every row.

        Parameters
        ----------
        reference : str or Version
            Which version.
        X : table-like of shape (n_samples, n_features)
            The rows.
        y : array-like of shape (n_samples,)
            Their true values.
        dataset : str
            A name for the rows, for people.
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
        sample_weight : array-like of shape (n_samples,), optional
            How much a row counts, 0 or more.
        trusted : bool or sequence of str, default=False
            As for `load`.

        Raises
        ------
        NotFoundError
            If there is no such version.
        InvalidError
            If rows, true values and model do not fit together.
        """
        from detent.evaluation.evaluate import evaluate

        card = self.show(reference)
        return evaluate(
            self._stores,
            card.version,
            self.load(card.version, trusted=trusted),
            X,
            y,
            dataset=dataset,
            signature=card.manifest.signature,
            metrics=metrics,
            slices=slices,
            groups=groups,
            ids=ids,
            sample_weight=sample_weight,
        )

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
        from detent.registry.compare import compare

        return compare(self._stores, baseline, candidate, dataset=dataset, metrics=metrics)

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
        from detent.registry.compare import rank

        return rank(self._stores, baseline, candidates, dataset=dataset)

    def gate(self, reference: Named, alias: str) -> Decision:
        """Ask what the gate would say to an activation. Changes and records nothing.

        Raises
        ------
        NotFoundError
            If there is no such version.
        """
        from detent.registry.decide import gate

        return gate(self._stores, reference, alias)

    def policy(self, alias: str) -> Policy | None:
        """Return what an alias demands; None when it demands nothing."""
        from detent.registry.read import alias_reference

        reference = alias_reference(alias)
        assert reference.alias is not None
        return self._stores.metadata.current.find_policy(reference.model, reference.alias)

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
        from detent.registry.annotate import set_policy

        content = DEFAULT if policy is None else policy
        return set_policy(self._stores, alias, content, dry_run=dry_run)

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
        from detent.registry.annotate import read_policy
        from detent.registry.decide import try_policy
        from detent.registry.read import alias_reference

        reference = alias_reference(alias)
        assert reference.alias is not None
        tried = read_policy(
            reference.model, reference.alias, policy, id=0, at=self._stores.clock(), by=self.user
        )
        return try_policy(self._stores, str(reference), tried, limit=limit)

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
        from detent.registry.annotate import approve

        return approve(
            self._stores,
            reference,
            _alias_of(reference, alias),
            reason=_text(reason),
            dry_run=dry_run,
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
        from detent.registry.activate import activate

        entry = activate(
            self._stores,
            reference,
            _alias_of(reference, alias),
            reason=_text(reason),
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
        from detent.registry.activate import deactivate

        entry = deactivate(
            self._stores, alias, reason=_text(reason), expected=_entry(expected), dry_run=dry_run
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
        from detent.registry.activate import rollback

        entry = rollback(
            self._stores,
            alias,
            to=to,
            reason=_text(reason),
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
        from detent.registry.activate import hold

        return hold(self._stores, alias, reason=_text(reason), dry_run=dry_run)

    def release(self, alias: str, *, reason: str | None = None, dry_run: bool = False) -> Hold:
        """End a hold, and return what it was.

        Raises
        ------
        NotFoundError
            If the alias is not on hold.
        """
        from detent.registry.activate import release

        return release(self._stores, alias, reason=_text(reason), dry_run=dry_run)

    def withdraw(self, reference: Named, *, reason: str, dry_run: bool = False) -> Version:
        """Mark a version as never to be activated again, anywhere. Cannot be undone.

        Raises
        ------
        NotFoundError
            If there is no such version.
        """
        from detent.registry.annotate import withdraw

        return withdraw(self._stores, reference, reason=reason, dry_run=dry_run)

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
        from detent.registry.annotate import delete

        return delete(self._stores, reference, reason=_text(reason), dry_run=dry_run)

    def note(self, name: Named, text: str, *, dry_run: bool = False) -> None:
        """Set the note of a version, or say afterwards why an alias was changed.

        Raises
        ------
        NotFoundError
            If there is no such version or alias.
        """
        from detent.registry.annotate import note

        note(self._stores, name, text, dry_run=dry_run)

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
        from detent.registry.verify import verify_blobs

        name = str(reference) if reference is not None else None
        return verify_blobs(self._stores, name, progress=progress)

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

        name = str(reference) if reference is not None else None
        return repair(self._stores, Path(folder), name, dry_run=dry_run)

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

        return copy(self._stores, target._stores, dry_run=dry_run, progress=progress)

    def prune(self, *, grace_s: float = 3600.0, dry_run: bool = False) -> PruneReport:
        """Remove bytes that no version and no evaluation reaches. Cannot be undone.

        Parameters
        ----------
        grace_s : float, default=3600
            Keep what was written less than this many seconds ago.
        dry_run : bool, default=False
            Only say what would be removed.
        """
        from detent.registry.prune import prune

        return prune(self._stores, grace_s=grace_s, dry_run=dry_run)

    # Serve --------------------------------------------------------------------------------

    def follow(self, alias: str, *, trusted: bool | Sequence[str] = False) -> Live:
        """Return a model that answers with what an alias holds, and changes when the alias does.

        A change of the alias waits for this process, as for a server, until it answers with the
        new version. For reproducible work load a version: ``load("churn/7")``.

        Parameters
        ----------
        alias : str
            With its model: ``churn@production``.
        trusted : bool or sequence of str, default=False
            As for `load`, for each version that the alias comes to hold.

        Raises
        ------
        NotFoundError
            If there is no such alias.
        """
        from detent.registry.read import alias_reference
        from detent.runtime.live import Live

        return Live(self._stores, alias_reference(alias), trusted=trusted)

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
        from detent.runtime.fence import list_servers

        return list_servers(self._stores.metadata, name)

    def _confirmed(self, entry: Activation, wait_s: float) -> Activation:
        from detent.domain.value import replace
        from detent.runtime.fence import confirm

        confirmation = confirm(self._stores.metadata, entry, wait_s=wait_s)
        return replace(entry, confirmation=confirmation)

    def _time(self, text: When | None) -> datetime | None:
        return None if text is None else parse_time(text, now=self._stores.clock())


def _alias_of(reference: Named, alias: str) -> str:
    """Accept ``churn@production`` where ``production`` is meant, when the model is the same."""
    if "@" not in alias:
        return alias
    from detent.domain.reference import parse_reference

    named = parse_reference(alias)
    model = parse_reference(str(reference)).model
    if named.model != model or named.alias is None:
        raise InvalidError(
            f"`{alias}` is not an alias of `{model}`; nothing was changed",
            hint=f"name it without its model: `{named.alias or 'production'}`",
        )
    return named.alias


def _entry(expected: int | Activation | AliasStatus | None) -> int | None:
    if expected is None or isinstance(expected, int):
        return expected
    return expected.activation.entry if hasattr(expected, "activation") else expected.entry


def _text(reason: str | None) -> str | None:
    if reason is None or not reason.strip():
        return None
    from detent.registry.annotate import check_text

    return check_text(reason, "a reason")
