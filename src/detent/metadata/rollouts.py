"""The tables of rollouts: what the journal tells of them, and how far their counting is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from detent.domain.clock import from_us, to_us
from detent.domain.value import value
from detent.metadata.statements import END_OF_TIME, Statements, converter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detent.domain.rollout import Drift, Plan, Rollout

_ROLLOUT = """id, model, alias, candidate, baseline, entry, plan_json, status, phase, step,
    created_at, created_by, phase_at, ended_at, why, decision"""


@value
class Progress:
    """How far the counting of a rollout is, and who counts.

    ``revision`` counts every write. Whoever writes names the revision that it read: of two, one
    finds that it was not the newest any more.
    """

    rollout: int
    revision: int
    driver: str | None
    driven_until_us: int
    state: dict[str, Any]


@value
class Tally:
    """What one machine has counted of a rollout, and which of its processes counts.

    ``place`` names the store of predictions that was counted. ``revision`` is as in `Progress`.
    """

    rollout: int
    place: str
    revision: int
    teller: str | None
    told_until_us: int
    state: dict[str, Any]


@value
class WaitingLabel:
    """A label of an answer that another machine has made."""

    model: str
    request_id: str
    row: int
    label_json: str
    at_us: int


class RolloutTables(Statements):
    """Rollouts and their progress."""

    def next_rollout(self) -> int:
        """Return the number that the next rollout will have."""
        return self._next("rollout", "id")

    def insert_rollout(self, rollout: Rollout) -> None:
        """Add a rollout."""
        self._all(
            f"""INSERT INTO rollout ({_ROLLOUT})
            VALUES (:id, :model, :alias, :candidate, :baseline, :entry, :plan, :status, :phase,
                :step, :at, :by, :phase_at, NULL, NULL, NULL)""",
            id=rollout.id,
            model=rollout.model,
            alias=rollout.alias,
            candidate=rollout.candidate,
            baseline=rollout.baseline,
            entry=rollout.entry,
            plan=_to_json(plan_to_json(rollout.plan)),
            status=str(rollout.status),
            phase=str(rollout.phase),
            step=rollout.step,
            at=to_us(rollout.at),
            by=rollout.by,
            phase_at=to_us(rollout.phase_at),
        )

    def update_rollout(self, rollout: Rollout) -> None:
        """Write how far a rollout is; what it is never changes."""
        self._all(
            """UPDATE rollout SET status = :status, phase = :phase, step = :step, entry = :entry,
                phase_at = :phase_at, ended_at = :ended_at, why = :why, decision = :decision
            WHERE id = :id""",
            id=rollout.id,
            status=str(rollout.status),
            phase=str(rollout.phase),
            step=rollout.step,
            entry=rollout.entry,
            phase_at=to_us(rollout.phase_at),
            ended_at=None if rollout.ended_at is None else to_us(rollout.ended_at),
            why=rollout.why,
            decision=rollout.decision,
        )

    def find_rollout(self, id: int) -> Rollout | None:
        """Return a rollout by its number."""
        return self._rollout("r.id = :id", id=id)

    def find_running_rollout(self, model: str, alias: str) -> Rollout | None:
        """Return the rollout of an alias that has not ended: there is one at most."""
        return self._rollout(
            "r.model = :model AND r.alias = :alias AND r.ended_at IS NULL", model=model, alias=alias
        )

    def has_running_rollout(self, model: str, alias: str) -> bool:
        """Say whether there is one: the quick question of every change of an alias."""
        return bool(
            self._all(
                """SELECT 1 FROM rollout
                WHERE model = :model AND alias = :alias AND ended_at IS NULL""",
                model=model,
                alias=alias,
            )
        )

    def list_rollouts(
        self,
        model: str | None = None,
        alias: str | None = None,
        *,
        running: bool = False,
        below: int | None = None,
        limit: int | None = None,
    ) -> list[Rollout]:
        """Return rollouts, newest first: all, those of a model or an alias, those that go on.

        Those with a number below `below`.
        """
        conditions = [
            condition
            for condition, is_wanted in (
                ("r.model = :model", model is not None),
                ("r.alias = :alias", alias is not None),
                ("r.ended_at IS NULL", running),
                ("r.id < :below", below is not None),
            )
            if is_wanted
        ]
        return self._rollouts(
            " AND ".join(conditions) or "1 = 1",
            model=model,
            alias=alias,
            below=below,
            limit=limit,
        )

    def find_progress(self, rollout: int) -> Progress:
        """Return how far the counting is; revision 0 before anything was counted."""
        row = self._one(
            """SELECT rollout, revision, driver, driven_until, state_json FROM rollout_progress
            WHERE rollout = :rollout""",
            rollout=rollout,
        )
        if row is None:
            return Progress(rollout=rollout, revision=0, driver=None, driven_until_us=0, state={})
        return _to_progress(row)

    def put_progress(self, progress: Progress, *, expected: int) -> bool:
        """Write progress if the revision is still the expected one; return whether it was."""
        return bool(
            self._all(
                """INSERT INTO rollout_progress
                    (rollout, revision, driver, driven_until, state_json)
                VALUES (:rollout, :revision, :driver, :until, :state)
                ON CONFLICT (rollout) DO UPDATE SET revision = excluded.revision,
                    driver = excluded.driver, driven_until = excluded.driven_until,
                    state_json = excluded.state_json
                WHERE rollout_progress.revision = :expected RETURNING revision""",
                rollout=progress.rollout,
                revision=progress.revision,
                driver=progress.driver,
                until=progress.driven_until_us,
                state=_to_json(progress.state),
                expected=expected,
            )
        )

    def find_tally(self, rollout: int, place: str) -> Tally:
        """Return what a machine has counted; revision 0 before anything was."""
        found = [one for one in self.list_tallies(rollout) if one.place == place]
        if found:
            return found[0]
        return Tally(
            rollout=rollout, place=place, revision=0, teller=None, told_until_us=0, state={}
        )

    def list_tallies(self, rollout: int) -> list[Tally]:
        """Return what each machine has counted."""
        rows = self._all(
            """SELECT rollout, place, revision, teller, told_until, state_json FROM rollout_tally
            WHERE rollout = :rollout ORDER BY place""",
            rollout=rollout,
        )
        return [_to_tally(row) for row in rows]

    def put_tally(self, tally: Tally, *, expected: int) -> bool:
        """Write a tally if its revision is still the expected one; return whether it was."""
        return bool(
            self._all(
                """INSERT INTO rollout_tally
                    (rollout, place, revision, teller, told_until, state_json)
                VALUES (:rollout, :place, :revision, :teller, :until, :state)
                ON CONFLICT (rollout, place) DO UPDATE SET revision = excluded.revision,
                    teller = excluded.teller, told_until = excluded.told_until,
                    state_json = excluded.state_json
                WHERE rollout_tally.revision = :expected RETURNING revision""",
                rollout=tally.rollout,
                place=tally.place,
                revision=tally.revision,
                teller=tally.teller,
                until=tally.told_until_us,
                state=_to_json(tally.state),
                expected=expected,
            )
        )

    def list_waiting_labels(self, model: str, *, since_us: int) -> list[WaitingLabel]:
        """Return the labels of a model that wait, those that came since a time, oldest first."""
        rows = self._all(
            """SELECT model, request_id, row, label_json, created_at FROM waiting_label
            WHERE model = :model AND created_at >= :since ORDER BY created_at, request_id, row""",
            model=model,
            since=since_us,
        )
        return [_to_waiting(row) for row in rows]

    def put_waiting_labels(self, labels: Sequence[WaitingLabel]) -> None:
        """Keep labels; the first of a row stays."""
        self._connection.execute_many(
            """INSERT INTO waiting_label (model, request_id, row, label_json, created_at)
            VALUES (:model, :request, :row, :label, :at)
            ON CONFLICT (model, request_id, row) DO NOTHING""",
            [
                {
                    "model": one.model,
                    "request": one.request_id,
                    "row": one.row,
                    "label": one.label_json,
                    "at": one.at_us,
                }
                for one in labels
            ],
        )

    def remove_waiting_labels(self, labels: Sequence[WaitingLabel]) -> None:
        """Remove labels that were joined."""
        self._connection.execute_many(
            """DELETE FROM waiting_label
            WHERE model = :model AND request_id = :request AND row = :row""",
            [{"model": one.model, "request": one.request_id, "row": one.row} for one in labels],
        )

    def _rollout(self, condition: str, **parameters: Any) -> Rollout | None:
        found = self._rollouts(condition, limit=1, **parameters)
        return found[0] if found else None

    def _rollouts(
        self, condition: str, *, limit: int | None = None, **parameters: Any
    ) -> list[Rollout]:
        columns = ", ".join(f"r.{name.strip()}" for name in _ROLLOUT.split(","))
        rows = self._all(
            f"""SELECT {columns}, p.state_json FROM rollout r
            LEFT JOIN rollout_progress p ON p.rollout = r.id
            WHERE {condition} ORDER BY r.id DESC LIMIT :limit""",
            limit=END_OF_TIME if limit is None else limit,
            **parameters,
        )
        return [_to_rollout(row) for row in rows]


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """Return a plan as the journal tells it."""
    from dataclasses import asdict

    found = asdict(plan)
    found["canary"] = list(plan.canary)
    return {name: str(v) if isinstance(v, str) else v for name, v in found.items()}


def plan_from_json(found: dict[str, Any]) -> Plan:
    """Return the plan that the journal tells of."""
    from detent.domain.rollout import Labels, Plan, Unlabelled

    return Plan(
        **found
        | {
            "canary": tuple(found["canary"]),
            "labels": Labels(found["labels"]),
            "unlabelled": Unlabelled(found["unlabelled"]),
        }
    )


def _to_json(content: Any) -> str:
    from detent.domain.digest import canonical_json

    return canonical_json(content).decode()


@converter
def _to_progress(row: tuple[Any, ...]) -> Progress:
    import json

    return Progress(
        rollout=row[0],
        revision=row[1],
        driver=row[2],
        driven_until_us=row[3],
        state=json.loads(row[4]),
    )


@converter
def _to_tally(row: tuple[Any, ...]) -> Tally:
    import json

    return Tally(
        rollout=row[0],
        place=row[1],
        revision=row[2],
        teller=row[3],
        told_until_us=row[4],
        state=json.loads(row[5]),
    )


@converter
def _to_waiting(row: tuple[Any, ...]) -> WaitingLabel:
    return WaitingLabel(
        model=row[0], request_id=row[1], row=row[2], label_json=row[3], at_us=row[4]
    )


def _numbers(counts: dict[str, Any]) -> dict[str, int]:
    return {name: number for name, number in counts.items() if isinstance(number, int)}


def _to_drift(found: dict[str, Any]) -> Drift:
    from detent.domain.rollout import Drift, FeatureDrift

    lists = ("cells", "before", "now")
    features = tuple(
        FeatureDrift(**one | {name: tuple(one[name]) for name in lists})
        for one in found["features"]
    )
    return Drift(**found | {"features": features})


@converter
def _to_rollout(row: tuple[Any, ...]) -> Rollout:
    import json

    from detent.domain.rollout import Phase, Rollout, RolloutStatus, Signal

    state = json.loads(row[16] or "{}")
    return Rollout(
        id=row[0],
        model=row[1],
        alias=row[2],
        candidate=row[3],
        baseline=row[4],
        entry=row[5],
        plan=plan_from_json(json.loads(row[6])),
        status=RolloutStatus(row[7]),
        phase=Phase(row[8]),
        step=row[9],
        at=from_us(row[10]),
        by=row[11],
        phase_at=from_us(row[12]),
        ended_at=None if row[13] is None else from_us(row[13]),
        why=row[14],
        decision=row[15],
        signals=tuple(
            Signal(**signal | {"phase": Phase(signal["phase"])})
            for signal in state.get("signals", ())
        ),
        waits_for=tuple(state.get("waits_for", ())),
        counts=_numbers(state["counts"]) if state.get("counts") else None,
        drift=_to_drift(state["drift"]) if state.get("drift") else None,
    )
