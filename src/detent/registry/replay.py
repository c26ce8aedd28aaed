"""What the rows of a registry have to be, told by its journal alone.

Each event tells of the rows that were written with it. `replay` turns a journal into rows, and
`compare` names each row that is not what the journal tells. Both are pure.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from detent.domain.digest import canonical_json, digest_of
from detent.domain.events import EventType, Link
from detent.metadata.copying import TOLD

Body = dict[str, Any]
Row = dict[str, Any]  # column → value
Rows = Mapping[str, dict[tuple[Any, ...], Row]]  # table → key → row

_MOVES = {
    EventType.ALIAS_ACTIVATED: "activate",
    EventType.ALIAS_ROLLED_BACK: "rollback",
    EventType.ALIAS_DEACTIVATED: "deactivate",
}


def replay(events: Iterable[tuple[Link, Body]]) -> Rows:
    """Return the rows of the tables in `TOLD` as the events tell of them.

    An event that was altered, so that it tells of no row, is passed over: the chain names it.
    """
    rows: Rows = {table: {} for table in TOLD}
    for link, body in events:
        teller = _TELLERS.get(link.type)
        if teller is not None:
            try:
                teller(rows, link, body)
            except (AttributeError, KeyError, TypeError, ValueError):
                continue
    return rows


def compare(table: str, told: dict[tuple[Any, ...], Row], kept: Mapping[Any, Row]) -> Iterator[str]:
    """Yield a sentence for each row of a table that is not what the journal tells."""
    for key in sorted(told.keys() | kept.keys(), key=str):
        name = f"the row of {_name(table, key)}"
        if key not in kept:
            yield f"{name} was removed: the journal tells of it"
        elif key not in told:
            yield f"{name} was inserted: the journal does not tell of it"
        else:
            other = [c for c, value in told[key].items() if not _is_same(value, kept[key][c])]
            if other:
                yield f"{name} was altered ({', '.join(other)}): the journal tells otherwise"


def _name(table: str, key: tuple[Any, ...]) -> str:
    parts = ("@" if table == "alias" else "/").join(str(part) for part in key)
    return f"{table.replace('_', ' ')} {parts}".strip()


def _is_same(told: Any, kept: Any) -> bool:
    return type(told) is type(kept) and bool(told == kept)  # 1 and 1.0 are not


def _registry(rows: Rows, link: Link, body: Body) -> None:
    rows["registry"][()] = {"schema_version": body["schema_version"], "created_at": link.at_us}


def _registered(rows: Rows, link: Link, body: Body) -> None:
    by = {"created_at": link.at_us, "created_by": link.actor}
    model = rows["model"].setdefault((body["model"],), {"last_number": 0, **by})
    model["last_number"] += 1
    rows["version"][body["model"], body["version"]] = {
        **{name: body[name] for name in ("digest", "format", "size_bytes", "code", "data", "note")},
        **by,
        "duration_s": _float(body["duration_s"]),
        "withdrawn": None,
        "deleted_at": None,
    }


def _withdrawn(rows: Rows, link: Link, body: Body) -> None:
    rows["version"][body["model"], body["version"]]["withdrawn"] = body["reason"]


def _deleted(rows: Rows, link: Link, body: Body) -> None:
    rows["version"][body["model"], body["version"]]["deleted_at"] = link.at_us


def _noted(rows: Rows, link: Link, body: Body) -> None:
    if "entry" in body:
        notes = rows["activation_note"]
        notes[(len(notes) + 1,)] = {"entry": body["entry"], "note": body["note"]}
    else:
        rows["version"][body["model"], body["version"]]["note"] = body["note"]


def _moved(rows: Rows, link: Link, body: Body) -> None:
    same = ("model", "alias", "version", "previous", "below", "reason", "decision")
    _alias(rows, body)
    rows["activation"][(body["entry"],)] = {
        **{name: body[name] for name in same},
        "kind": _MOVES[EventType(link.type)],
        "override": int(body["override"]),
        "created_at": link.at_us,
        "created_by": link.actor,
    }
    if "answer" in body:
        _decided(rows, link, body["answer"], is_refusal=0)


def _refused(rows: Rows, link: Link, body: Body) -> None:
    _decided(rows, link, body, is_refusal=1)


def _decided(rows: Rows, link: Link, body: Body, *, is_refusal: int) -> None:
    same = ("model", "alias", "candidate", "baseline", "outcome", "override")
    rows["decision"][(body["decision"],)] = {
        **{name: body[name] for name in same},
        "is_refusal": is_refusal,
        "results_json": _json(body["results"]),
        "policy_digest": body["policy"],
        "created_at": link.at_us,
        "created_by": link.actor,
    }


def _held(rows: Rows, link: Link, body: Body) -> None:
    held = {"held_at": link.at_us, "held_by": link.actor, "held_reason": body["reason"]}
    _alias(rows, body).update(held)


def _released(rows: Rows, link: Link, body: Body) -> None:
    _alias(rows, body).update(_NOT_HELD)


def _policy(rows: Rows, link: Link, body: Body) -> None:
    policy = {name: body[name] for name in ("rules", "reason_required", "approvals")}
    _alias(rows, body)
    rows["policy"][(body["policy"],)] = {
        "model": body["model"],
        "alias": body["alias"],
        "rules_json": _json(body["rules"]),
        "reason_required": int(body["reason_required"]),
        "approvals": body["approvals"],
        "digest": digest_of(canonical_json(policy)),
        "created_at": link.at_us,
        "created_by": link.actor,
    }


def _approved(rows: Rows, link: Link, body: Body) -> None:
    rows["approval"][(body["approval"],)] = {
        **{name: body[name] for name in ("model", "alias", "version", "reason")},
        "created_at": link.at_us,
        "created_by": link.actor,
    }


def _evaluated(rows: Rows, link: Link, body: Body) -> None:
    same = ("model", "version", "dataset", "dataset_digest", "n_rows", "outcomes")
    rows["evaluation"][(body["evaluation"],)] = {
        **{name: body[name] for name in same},
        "metrics_json": _json(body["metrics"]),
        "inputs": body.get("inputs"),  # events of the first days do not name them
        "one_row_s": _float(body["one_row_s"]),
        "computed_on": body.get("computed_on"),
        "created_at": link.at_us,
        "created_by": link.actor,
    }


def _token_made(rows: Rows, link: Link, body: Body) -> None:
    rows["token"][(body["token"],)] = {
        **{name: body[name] for name in ("name", "role", "digest")},
        "models_json": _json(body["models"]),
        "created_at": link.at_us,
        "created_by": link.actor,
        "revoked_at": None,
    }


def _token_revoked(rows: Rows, link: Link, body: Body) -> None:
    rows["token"][(body["token"],)]["revoked_at"] = link.at_us


def _rollout_started(rows: Rows, link: Link, body: Body) -> None:
    same = ("model", "alias", "candidate", "baseline", "entry", "phase", "step")
    rows["rollout"][(body["rollout"],)] = {
        **{name: body[name] for name in same},
        "plan_json": _json(body["plan"]),
        "status": "running",
        "created_at": link.at_us,
        "created_by": link.actor,
        "phase_at": link.at_us,
        "ended_at": None,
        "why": None,
        "decision": None,
    }


def _rollout_changed(rows: Rows, link: Link, body: Body) -> None:
    same = ("status", "phase", "step", "entry", "why", "decision")
    told = {name: body[name] for name in same} | {"phase_at": link.at_us}
    if link.type == EventType.ROLLOUT_ENDED:
        told["ended_at"] = link.at_us
    rows["rollout"][(body["rollout"],)].update(told)


_NOT_HELD: Row = {"held_at": None, "held_by": None, "held_reason": None}


def _alias(rows: Rows, body: Body) -> Row:
    return rows["alias"].setdefault((body["model"], body["alias"]), dict(_NOT_HELD))


def _json(value: Any) -> str:
    return canonical_json(value).decode()


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


_TELLERS: Mapping[str, Callable[[Rows, Link, Body], None]] = {
    EventType.REGISTRY_CREATED: _registry,
    EventType.VERSION_REGISTERED: _registered,
    EventType.VERSION_WITHDRAWN: _withdrawn,
    EventType.VERSION_DELETED: _deleted,
    EventType.NOTE_CHANGED: _noted,
    EventType.ALIAS_ACTIVATED: _moved,
    EventType.ALIAS_ROLLED_BACK: _moved,
    EventType.ALIAS_DEACTIVATED: _moved,
    EventType.ACTIVATION_REFUSED: _refused,
    EventType.ALIAS_HELD: _held,
    EventType.ALIAS_RELEASED: _released,
    EventType.POLICY_SET: _policy,
    EventType.VERSION_APPROVED: _approved,
    EventType.VERSION_EVALUATED: _evaluated,
    EventType.TOKEN_CREATED: _token_made,
    EventType.TOKEN_REVOKED: _token_revoked,
    EventType.ROLLOUT_STARTED: _rollout_started,
    EventType.ROLLOUT_PHASE_CHANGED: _rollout_changed,
    EventType.ROLLOUT_ENDED: _rollout_changed,
}
