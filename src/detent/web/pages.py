"""The pages, each a function from a visit to what it shows."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute
from starlette.routing import Route as Path

from detent.charts.differences import forest
from detent.charts.over_time import metric_over_versions, timeline
from detent.domain.access import Role
from detent.domain.alias import Activation
from detent.domain.clock import utc_now
from detent.domain.digest import digest_of
from detent.domain.evidence import Evaluation
from detent.domain.reference import parse_number
from detent.domain.server import Server as Follower
from detent.errors import InvalidError
from detent.registry.stores import Stores
from detent.server import auth
from detent.server.app import Server, make_app
from detent.web.site import HEADERS, Answer, Handler, Page, Site, Visit, local_path, static
from detent.web.words import drawn, following, trying

SHOWN_VERSIONS = 500
SHOWN_ENTRIES = 50
SHOWN_EVENTS = 200


def make_site(stores: Stores, *, hosts: frozenset[str] | None = None) -> Starlette:
    """Return the application that serves a registry's API and its pages."""
    return make_app(stores, hosts=hosts, more=routes)


def routes(server: Server) -> list[BaseRoute]:
    """Return the routes of the pages."""
    site = Site(server)

    def show(path: str, handler: Handler) -> list[BaseRoute]:
        return [Path(path + end, site.page(handler)) for end in (".json", "")]

    def form(path: str, ask: Handler, do: Handler) -> list[BaseRoute]:
        done = site.page(do, Role.MAINTAINER)
        return [Path(path, site.page(ask)), Path(path, done, methods=["POST"])]

    return [
        Path("/", site.page(models)),
        *show("/index", models),
        Path("/changes.json", site.page(changes)),
        *show("/audit", audit),
        Path("/sign-in", _signing(site), methods=["GET", "POST"]),
        Path("/static/{name}", static),
        *form("/models/{model}/{number:int}/activate", ask_activate, do_activate),
        *form("/models/{model}/aliases/{alias}/rollback", ask_rollback, do_rollback),
        *show("/models/{model}/compare", compare),
        *show("/models/{model}/{number:int}", version),
        *show("/models/{model}", model),
    ]


def models(visit: Visit) -> Answer:
    """Show one row per model, with what each alias holds."""
    search = visit.asked("search")
    words = (search or "").lower().split()
    held: dict[str, list[Any]] = {}
    for status in visit.registry.list_status():
        held.setdefault(status.model, []).append(status)
    found = [m for m in visit.registry.models() if all(word in m.name.lower() for word in words)]
    # What is in use stands first: on a long list it is what people came for.
    found.sort(key=lambda m: (m.name not in held, m.name))
    shown = found[:SHOWN_VERSIONS]
    (servers, _), now = trying(lambda: visit.registry.servers()), utc_now()
    follows = {
        status.name: following(_of(servers, status.name), status.activation, now)
        for of_model in held.values()
        for status in of_model
    }
    return Page(
        template="models",
        values={
            "rows": [{"model": m, "aliases": held.get(m.name, [])} for m in shown],
            "follows": follows,
            "n_found": len(found),
            "search": search,
        },
    )


def _of(servers: list[Follower] | None, alias: str) -> list[Follower] | None:
    return servers and [server for server in servers if f"{server.model}@{server.alias}" == alias]


def model(visit: Visit) -> Answer:
    """Show what a model's aliases hold and held, and its versions."""
    name, registry = visit.path["model"], visit.registry
    search, at = visit.asked("search"), visit.asked("at")
    versions = registry.versions(name, search=search, limit=SHOWN_VERSIONS)
    now, aliases = utc_now(), []
    servers, _ = trying(lambda: registry.servers(name))
    # A drawing is kept while its numbers stay the same: the last bar grows once a minute.
    soon = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    for status in registry.list_status(name):
        history = registry.history(status.name, limit=SHOWN_ENTRIES)
        back, _ = trying(lambda name=status.name: registry.rollback(name, dry_run=True))
        then, _ = trying(lambda name=status.name: registry.status(name, at=at) if at else None)
        aliases.append(
            {
                "status": status,
                "history": history,
                "back": back.version if back else None,
                "then": then,
                "policy": registry.policy(status.name),
                "chart": drawn(timeline(history, now=soon)),
                "follows": following(_of(servers, status.name), status.activation, now),
            }
        )
    measured: dict[int, Any] = {}
    evaluations = registry.evaluations(name)
    for evaluation in reversed(evaluations):
        measured[evaluation.version] = evaluation
    values = {"model": name, "aliases": aliases, "versions": versions, "at": at}
    values |= {"search": search, "measured": {str(n): e for n, e in measured.items()}}
    values |= {"metrics": _metrics(evaluations, aliases), "done": visit.asked("done")}
    values |= {"took": visit.asked("took")}
    return Page(template="model", values=values)


def _metrics(evaluations: list[Evaluation], aliases: list[dict[str, Any]]) -> Any:
    """Return the first metric of the newest evaluation, over the versions."""
    if not evaluations or not evaluations[0].metrics:
        return None
    held = [alias["status"].version for alias in aliases]
    active = {version.number for version in held if version}
    return drawn(metric_over_versions(evaluations, evaluations[0].metrics[0].name, active=active))


def version(visit: Visit) -> Answer:
    """Show all that is known of a version."""
    card = visit.registry.show(f"{visit.path['model']}/{visit.path['number']}")
    return Page(template="version", values={"card": card, "model": visit.path["model"]})


def compare(visit: Visit) -> Answer:
    """Show two versions on the same rows, and what went into them differently."""
    name = visit.path["model"]
    numbers = [visit.asked("baseline"), visit.asked("candidate")]
    picked = visit.request.query_params.getlist("version")[:2]  # two check boxes, newest first
    if len(picked) == 2:
        numbers = [picked[1], picked[0]]
    if None in numbers:
        raise InvalidError("two versions are compared: check two of them")
    old, new = (f"{name}/{parse_number(number or '')}" for number in numbers)
    changes = visit.registry.diff(old, new)
    found, error = trying(lambda: visit.registry.compare(old, new, dataset=visit.asked("dataset")))
    values = {"model": name, "old": old, "new": new, "comparison": found, "changes": changes}
    values["problem"] = error.to_problem() if error else None
    values["chart"] = drawn(forest(found)) if found else None
    return Page(template="compare", values=values)


def audit(visit: Visit) -> Answer:
    """Show the events of the journal, newest first."""
    by, since, until = visit.asked("by"), visit.asked("since"), visit.asked("until")
    events = visit.registry.audit(by=by, since=since, until=until, limit=SHOWN_EVENTS)
    values = {"events": events, "by": by, "since": since, "until": until}
    return Page(template="audit", values=values | {"most": SHOWN_EVENTS})


def changes(visit: Visit) -> Answer:
    """Say in a few bytes which event is the newest: a page asks this again and again."""
    newest = visit.registry.audit(limit=1)
    tag = f'"{newest[0].seq if newest else 0}"'
    headers = HEADERS | {"ETag": tag}
    if visit.request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(msgspec.json.encode({"newest": newest}), headers=headers)


# Forms ----------------------------------------------------------------------------------------


def ask_rollback(visit: Visit) -> Answer:
    """Say what a rollback would do, and ask whether to."""
    alias = f"{visit.path['model']}@{visit.path['alias']}"
    status = visit.registry.status(alias)
    back = visit.registry.rollback(alias, dry_run=True)
    values = {"model": visit.path["model"], "status": status, "back": back}
    return Page(template="rollback", values=values)


def do_rollback(visit: Visit) -> Answer:
    """Roll back, and show what the registry holds then."""
    alias = f"{visit.path['model']}@{visit.path['alias']}"
    entry = visit.registry.rollback(
        alias,
        reason=visit.form.get("reason"),
        hold="hold" in visit.form,
        expected=_expected(visit),
    )
    return _back_to(visit, entry)


def ask_activate(visit: Visit) -> Answer:
    """Show what the gate says to an activation, and ask whether to make it."""
    reference = f"{visit.path['model']}/{visit.path['number']}"
    named = visit.registry.version(reference)
    alias = visit.asked("alias") or "production"
    status, _ = trying(lambda: visit.registry.status(f"{named.model}@{alias}"))
    names = visit.registry._operations.alias_names(named.model) or ["production"]
    values = {
        "model": named.model,
        "version": named,
        "alias": alias,
        "names": sorted({alias, *names}),
        "status": status,
        "decision": visit.registry.gate(reference, alias),
    }
    return Page(template="activate", values=values)


def do_activate(visit: Visit) -> Answer:
    """Activate, and show what the registry holds then."""
    alias = visit.form.get("alias", "")
    override = None
    if "override" in visit.form:
        if visit.form.get("typed") != alias:
            raise InvalidError(
                f"to go past the gate, the alias is typed: `{alias}`; nothing was changed"
            )
        override = visit.form.get("reason") or ""
    entry = visit.registry.activate(
        f"{visit.path['model']}/{visit.path['number']}",
        alias,
        reason=visit.form.get("reason"),
        override=override,
        expected=_expected(visit),
    )
    return _back_to(visit, entry)


def _expected(visit: Visit) -> int | None:
    text = visit.form.get("expected", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _back_to(visit: Visit, entry: Activation) -> Response:
    # The page says what the registry holds then, read anew, and how long its servers took.
    found = entry.confirmation
    took = f"&took={found.seconds:.1f}" if found and found.servers and found.is_complete else ""
    there = f"/models/{visit.path['model']}?done={entry.entry}{took}"
    return RedirectResponse(there, 303, headers=HEADERS)


def _signing(site: Site) -> Callable[..., Any]:
    """Return the page that takes a token once, and keeps it in a cookie that no script reads."""

    async def endpoint(request: Any) -> Response:
        site.server.check_source(request)
        goes_to = local_path(request.query_params.get("next", "/"))
        if request.method == "GET":
            return site.render(request, Page(template="sign_in", values={"wrong": False}), None)
        form = await site._form(request)
        secret = form.get("token", "").strip()
        tables = site.server.stores.metadata.current
        response = RedirectResponse(goes_to, 303, headers=HEADERS)
        if "out" in form:
            response.delete_cookie(auth.COOKIE)
            return response
        if tables.find_token_by_digest(digest_of(secret.encode())) is None:
            wrong = Page(template="sign_in", values={"wrong": True}, status=403)
            return site.render(request, wrong, None)
        response.set_cookie(
            auth.COOKIE,
            secret,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    return endpoint
