"""What a person does to a rollout: start, advance, pause, resume, stop, and ask for labels."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from detent.domain.clock import format_time, from_us, to_us
from detent.domain.reference import Reference
from detent.domain.rollout import (
    Labels,
    LabelWanted,
    Phase,
    Plan,
    Rollout,
    RolloutStatus,
)
from detent.domain.version import Version
from detent.errors import ConflictError, InvalidError
from detent.registry.activate import take_back
from detent.registry.manifest import read_manifest
from detent.registry.read import resolve
from detent.registry.rollout import get_rollout, move_rollout, pause_rollout, start_rollout
from detent.registry.stores import Stores
from detent.rollout.driver import go_full
from detent.rollout.plan import NOTHING
from detent.rollout.state import Complete, Enter, after

if TYPE_CHECKING:
    from detent.domain.alias import Activation


def start(
    stores: Stores,
    reference: str | Reference | Version,
    alias: str,
    plan: Plan,
    *,
    expected: int | None = None,
    dry_run: bool = False,
) -> Rollout:
    """Start a rollout, if its plan suits what the version answers.

    Raises
    ------
    InvalidError
        If labels are to be compared with numbers, and the plan names no bound of the loss.
    DetentError
        As `detent.registry.rollout.start_rollout`.
    """
    version = resolve(stores.metadata.current, reference)
    if plan.labels is not Labels.NONE and plan.loss_bound is None:
        signature = read_manifest(stores.blobs, version.digest, what=f"`{version}`").signature
        outputs = signature.outputs if signature else ()
        if outputs and outputs[0].dtype.startswith("float"):
            raise InvalidError(
                f"`{version}` answers with numbers: a label is hardly ever equal to one{NOTHING}",
                hint="say which absolute error counts as the worst: --loss-bound NUMBER; or do"
                " without labels: --labels none",
            )
    return start_rollout(stores, version, alias, plan, expected=expected, dry_run=dry_run)


def advance(stores: Stores, name: str | int, *, expected: int | None = None) -> Rollout:
    """Go on to the next phase or step now, without waiting; `full` asks the gate all the same.

    Parameters
    ----------
    stores : Stores
        The registry, and who acts.
    name : str or int
        The rollout's number, or its alias.
    expected : int, optional
        The `phase_us` of the rollout that the caller saw: whoever sees 10 % and goes on is not to
        go from 50 % to all, because somebody else went on at the same time.

    Raises
    ------
    NotFoundError
        If there is no such rollout.
    ConflictError
        If it has ended, there is nothing to advance to, or it moved on from `expected`.
    RefusedError
        If the gate of the alias said no.
    InconclusiveError
        If its evidence decides neither way.
    """
    rollout = _get(stores, name, expected)
    onward = after(rollout)
    if isinstance(onward, Complete) and not rollout.has_ended:
        raise ConflictError(
            f"rollout {rollout.id} is in its last phase: v{rollout.candidate} is active; nothing"
            " was changed",
            hint=f"to go back: `detent rollback {rollout.name}`",
        )
    if isinstance(onward, Enter) and onward.phase is Phase.FULL and not rollout.has_ended:
        go_full(stores, rollout)
    else:
        phase, step = (
            (onward.phase, onward.step)
            if isinstance(onward, Enter)
            else (rollout.phase, rollout.step)
        )
        move_rollout(stores, rollout.id, phase=phase, step=step, expected=rollout)
    return get_rollout(stores, rollout.id)


def pause(
    stores: Stores, name: str | int, reason: str | None, *, expected: int | None = None
) -> Rollout:
    """Stay where it is until `resume`: shares stay as they are, harm still rolls back.

    Raises
    ------
    NotFoundError
        If there is no such rollout.
    ConflictError
        If it has ended, or moved on from `expected`.
    """
    seen = _get(stores, name, expected)
    return pause_rollout(stores, seen.id, reason, expected=seen if expected is not None else None)


def resume(stores: Stores, name: str | int, *, expected: int | None = None) -> Rollout:
    """Go on with a paused rollout; the time of its phase begins anew.

    Raises
    ------
    NotFoundError
        If there is no such rollout.
    ConflictError
        If it has ended, is not paused, or moved on from `expected`.
    """
    rollout = _get(stores, name, expected)
    if rollout.status is RolloutStatus.RUNNING:
        raise ConflictError(f"rollout {rollout.id} is not paused; nothing was changed")
    return move_rollout(
        stores, rollout.id, phase=rollout.phase, step=rollout.step, expected=rollout
    )


def stop(
    stores: Stores, name: str | int, reason: str | None, *, expected: int | None = None
) -> tuple[Rollout, Activation | None]:
    """End a rollout: the version before answers every request again.

    Returns
    -------
    rollout : Rollout
        As it ended.
    entry : Activation or None
        The entry of the history that servers have to follow; None when the candidate answered
        nobody.

    Raises
    ------
    NotFoundError
        If there is no such rollout.
    ConflictError
        If it has ended already, or moved on from `expected`.
    """
    seen = _get(stores, name, expected)
    return take_back(
        stores,
        seen.id,
        reason=reason,
        status=RolloutStatus.STOPPED,
        expected=seen if expected is not None else None,
    )


def labels_wanted(stores: Stores, name: str | int, *, limit: int) -> list[LabelWanted]:
    """Return rows that the two versions answer differently and that have no label, oldest first.

    Raises
    ------
    NotFoundError
        If there is no such rollout.
    """
    rollout = get_rollout(stores, name)
    window_us = int(rollout.plan.label_window_s * 1e6)
    since_us = to_us(stores.clock()) - window_us if window_us else 0
    rows = stores.predictions.list_disagreements(rollout.id, since_us=since_us, limit=limit)
    return [
        LabelWanted(
            model=rollout.model,
            request_id=row.request_id,
            row=row.row,
            at=from_us(row.at_us),
            answers={
                row.version: _plain(row.answer),
                row.shadow_version or 0: _plain(row.shadow_answer),
            },
        )
        for row in rows
    ]


def _get(stores: Stores, name: str | int, expected: int | None) -> Rollout:
    rollout = get_rollout(stores, name)
    if expected is not None and rollout.phase_us != expected:
        raise ConflictError(
            f"rollout {rollout.id} moved to {rollout.where} at {format_time(rollout.phase_at)} UTC"
            ", after this change was prepared; nothing was changed",
            hint=f"look at `detent rollout status {rollout.name}`, then repeat the command",
        )
    return rollout


def _plain(text: str | None) -> Any:
    return None if text is None else json.loads(text)
