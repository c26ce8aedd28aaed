"""Comparing versions from what their evaluations kept: neither model nor data is needed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from detent.blobs.base import Blobs, read_verified
from detent.domain.evidence import Comparison, Evaluation, Ranking
from detent.domain.version import Version
from detent.errors import InvalidError, NotFoundError
from detent.registry.kept import Kept
from detent.registry.read import check_model, resolve
from detent.registry.stores import Stores

if TYPE_CHECKING:
    from detent.charts.chart import Chart
    from detent.comparison.outcomes import Outcomes, Pair
    from detent.metadata.tables import Tables

# Evaluations never change, and their outcomes are named by digest: the same ones, the same answer.
_COMPARISONS: Kept[Comparison | None] = Kept(64)
_CHARTS: Kept[list[Chart]] = Kept(64)


def compare(
    stores: Stores,
    baseline: Any,
    candidate: Any,
    *,
    dataset: str | None = None,
    metrics: Sequence[str] = (),
) -> Comparison:
    """Compare a candidate with a baseline on the same rows, from their evaluations.

    Parameters
    ----------
    stores : Stores
        The registry.
    baseline, candidate : str, Reference or Version
        The version in place, and the one offered, of one model.
    dataset : str, optional
        The name of the dataset; by default the newest that both were evaluated on.
    metrics : sequence of str, optional
        Which metrics; by default all that both have.

    Raises
    ------
    NotFoundError
        If a version does not exist, they share no evaluated dataset, or no such metric.
    InvalidError
        If the versions are of two models, or were evaluated on different rows.
    """
    metrics = tuple(metrics)
    with stores.metadata.read() as tables:
        old, new = resolve(tables, baseline), resolve(tables, candidate)
        if old.model != new.model:
            raise InvalidError(f"`{old}` and `{new}` are versions of two models")
        theirs, ours = _same_rows(tables, old, new, dataset)
        use = use_of(tables, ours, old, is_named=dataset is not None)
    found = _COMPARISONS.get(
        (theirs, ours, old.size_bytes, new.size_bytes, use, metrics),
        lambda: _compare(stores, (old, theirs), (new, ours), use=use, metrics=metrics),
    )
    if found is None:
        raise InvalidError(
            f"the two evaluations are of different rows of {ours.dataset} (digests"
            f" {theirs.dataset_digest[7:15]}…, {ours.dataset_digest[7:15]}…): not comparable",
            hint=f"evaluate `{old}` again on the rows of `{new}`, or both with row ids (`--id`)",
        )
    lacking = [name for name in metrics if name not in {d.metric for d in found.differences}]
    if lacking:
        raise NotFoundError(
            f"`{lacking[0]}` was not computed for both `{old}` and `{new}` on {ours.dataset}",
            hint="evaluate both with `--metrics` again",
        )
    return found


def _compare(
    stores: Stores,
    before: tuple[Version, Evaluation],
    after: tuple[Version, Evaluation],
    *,
    use: int,
    metrics: tuple[str, ...],
) -> Comparison | None:
    """Return what the rows say; None when they cannot be matched."""
    from detent.comparison.compare import Side, compare_pair

    old, new = (Side(version=version, evaluation=one) for version, one in (before, after))
    pair = find_pair(OutcomesReader(stores), old.evaluation, new.evaluation)
    return None if pair is None else compare_pair(pair, old, new, use=use, metrics=metrics)


def rank(
    stores: Stores, baseline: Any, candidates: Sequence[Any], *, dataset: str | None = None
) -> Ranking:
    """Compare several candidates with one baseline, and order them.

    Raises
    ------
    InvalidError
        If no candidate is named, or as `compare`.
    NotFoundError
        As `compare`.
    """
    from detent.comparison import compare as comparing

    if not candidates:
        raise InvalidError("no candidate was named")
    return comparing.rank([compare(stores, baseline, one, dataset=dataset) for one in candidates])


def charts(stores: Stores, model: str, baseline: int, candidate: int) -> list[Chart]:
    """Return the charts of what two evaluations answered, laid over each other.

    Parameters
    ----------
    stores : Stores
        The registry.
    model : str
        The model that both are of.
    baseline, candidate : int
        The numbers of the evaluations, as `Comparison.evaluations` has them.

    Raises
    ------
    NotFoundError
        If the model has no such evaluation.
    CorruptError
        If the bytes are not those that were kept.
    InvalidError
        If they are of different rows.
    """
    with stores.metadata.read() as tables:
        theirs, ours = (_evaluation(tables, model, id) for id in (baseline, candidate))
    return list(_CHARTS.get((theirs, ours), lambda: _charts(stores, theirs, ours)))


def _evaluation(tables: Tables, model: str, id: int) -> Evaluation:
    found = tables.find_evaluation(id)
    if found is None or found.model != model:
        check_model(tables, model)
        raise NotFoundError(f"there is no evaluation {id} of `{model}`")
    return found


def _charts(stores: Stores, theirs: Evaluation, ours: Evaluation) -> list[Chart]:
    from detent.charts.overlays import overlays

    pair = find_pair(OutcomesReader(stores), theirs, ours)
    if pair is None:
        raise InvalidError(f"evaluations {theirs.id} and {ours.id} are of different rows")
    return overlays(pair, baseline=theirs.version, candidate=ours.version)


class HasBlobs(Protocol):
    """What has the bytes of a registry."""

    @property
    def blobs(self) -> Blobs:
        """The bytes."""
        ...


class OutcomesReader:
    """Reads the outcomes of evaluations, verified, and keeps those read last."""

    def __init__(self, owner: HasBlobs) -> None:
        self._owner = owner
        self._read = lru_cache(maxsize=8)(self._decode)

    def __call__(self, evaluation: Evaluation) -> Outcomes:
        """Return what a version answered.

        Raises
        ------
        CorruptError
            If the bytes are not those that were kept.
        """
        return self._read(evaluation.outcomes, f"{evaluation.model}/{evaluation.version}")

    def _decode(self, digest: str, version: str) -> Outcomes:
        from detent.comparison.outcomes import from_columns
        from detent.data.table import decode_table

        data = read_verified(self._owner.blobs, digest, what=f"the evaluation of `{version}`")
        columns = decode_table(data)
        assert isinstance(columns, dict)
        return from_columns(columns)


def find_pair(read: Any, theirs: Evaluation, ours: Evaluation) -> Pair | None:
    """Return what both answered on the same rows; None when the rows cannot be matched.

    Raises
    ------
    InvalidError
        If their ids match no row, or true values differ.
    """
    from detent.comparison.outcomes import Pair, pair_by_id

    if theirs.dataset_digest == ours.dataset_digest:
        return Pair(baseline=read(theirs), candidate=read(ours))
    return pair_by_id(read(theirs), read(ours))


def use_of(tables: Tables, ours: Evaluation, baseline: Version, *, is_named: bool) -> int:
    """Return the how-many-th use of these rows judging a candidate on them is.

    Counted by evaluations, since whoever evaluates has looked: other versions evaluated on the
    same rows before, and other rows that this candidate was evaluated on before (of the same name
    where the dataset was named beforehand).
    """
    return 1 + tables.count_uses_before(
        ours.model,
        ours.version,
        baseline=baseline.number,
        dataset_digest=ours.dataset_digest,
        dataset=ours.dataset if is_named else None,
    )


def _same_rows(
    tables: Tables, old: Version, new: Version, dataset: str | None
) -> tuple[Evaluation, Evaluation]:
    """Return the newest evaluations on the same rows, else those that row ids may match."""
    before = tables.list_evaluations(old.model, old.number, dataset=dataset)
    after = tables.list_evaluations(new.model, new.number, dataset=dataset)
    known = {e.dataset_digest: e for e in reversed(before)}
    for evaluation in after:
        if evaluation.dataset_digest in known:
            return known[evaluation.dataset_digest], evaluation
    named = {e.dataset: e for e in reversed(before)}
    for evaluation in after:
        if evaluation.dataset in named:  # other rows of one name: row ids may match them
            return named[evaluation.dataset], evaluation
    on = f" named {dataset}" if dataset else ""
    lacking, known_on = (new, before) if not after else (old, after)
    data = known_on[0].dataset if known_on else "FILE"
    raise NotFoundError(
        f"`{old}` and `{new}` share no evaluated dataset{on}",
        hint=f"detent evaluate {lacking} --data {data} --target COLUMN",
    )
