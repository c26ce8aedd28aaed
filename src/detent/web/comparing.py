"""The page of a comparison: the gate's verdict first, then the evidence, then where it is from."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from detent.charts.differences import forest, slices
from detent.comparison.words import method_facts, slices_text
from detent.domain.evidence import Decision, Evaluation
from detent.domain.reference import parse_number
from detent.errors import InvalidError, NotFoundError
from detent.facade import Registry
from detent.web.site import Page, Visit
from detent.web.words import trying


def compare(visit: Visit) -> Page:
    """Show two versions on the same rows, and what went into them differently."""
    registry, model, dataset = visit.registry, visit.path["model"], visit.asked("dataset")
    old, new = _chosen(visit)
    names = f"{model}/{old}", f"{model}/{new}"
    values = {
        "model": model,
        "old": old,
        "new": new,
        "changes": registry.diff(*names),
        "comparison": None,
        "problem": None,
        "missing": None,
        "gates": _gates(registry, model, old, new),
    }
    evaluations = [registry.evaluations(name) for name in names]
    values["datasets"] = _shared(*evaluations)
    found, error = trying(lambda: registry.compare(*names, dataset=dataset))
    if isinstance(error, NotFoundError):
        text = missing_text(f"v{old}", f"v{new}", *evaluations, dataset=dataset)
        values["missing"] = {"text": text, "command": error.hint}
    elif error is not None:
        values["problem"] = error.to_problem()
    else:
        query = {"baseline": old, "candidate": new} | ({"dataset": dataset} if dataset else {})
        values |= {
            "comparison": found,
            "forest": forest(found),
            "by_slice": slices(found),
            "slices_text": slices_text(found),
            "overlays": registry.report(found).charts,
            "method": method_facts(found),
            "query": urlencode(query) + "&",
        }
    return Page(template="compare", values=values)


def _chosen(visit: Visit) -> tuple[int, int]:
    """Return the numbers of the baseline and the candidate."""
    numbers = [visit.asked("baseline"), visit.asked("candidate")]
    picked = visit.request.query_params.getlist("version")[:2]  # two check boxes, newest first
    if len(picked) == 2:
        numbers = [picked[1], picked[0]]
    if None in numbers:
        raise InvalidError("two versions are compared: check two of them")
    baseline, candidate = (parse_number(number or "") for number in numbers)
    return baseline, candidate


def _gates(registry: Registry, model: str, old: int, new: int) -> list[Decision]:
    """Ask the gate of each alias that the baseline is active in; those that demand more first."""
    held = [one for one in registry.list_status(model) if one.version and one.version.number == old]
    asked = [registry.gate(f"{model}/{new}", one.alias) for one in held]
    return sorted(asked, key=lambda decision: -len(decision.results))


def _shared(before: Sequence[Evaluation], after: Sequence[Evaluation]) -> list[str]:
    """Return the names of the datasets that both were evaluated on, the newest first."""
    known = {one.dataset for one in before}
    return list(dict.fromkeys(one.dataset for one in after if one.dataset in known))


def missing_text(
    old: str,
    new: str,
    before: Sequence[Evaluation],
    after: Sequence[Evaluation],
    *,
    dataset: str | None = None,
) -> str:
    """Return which of two versions was not evaluated, and on what.

    Examples
    --------
    >>> missing_text("v7", "v8", [], [])
    'Neither v7 nor v8 is evaluated yet'
    >>> missing_text("v7", "v8", [], [], dataset="holdout")
    'Neither v7 nor v8 was evaluated on holdout'
    """
    if not before and not after and dataset is None:
        return f"Neither {old} nor {new} is evaluated yet"
    wanted = dataset or (before or after)[0].dataset
    lack = [
        version
        for version, found in ((old, before), (new, after))
        if wanted not in {one.dataset for one in found}
    ]
    if len(lack) == 2:
        return f"Neither {old} nor {new} was evaluated on {wanted}"
    return f"{lack[0]} was not evaluated on {wanted}" if lack else f"No rows of {wanted} are shared"
