"""The pages, each a function from a visit to what it shows."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute
from starlette.routing import Route as Path

from detent.charts.chart import Chart
from detent.charts.over_time import metric_over_versions, timeline
from detent.charts.sparkline import Sparkline, sparkline
from detent.domain.access import Role
from detent.domain.alias import Activation
from detent.domain.clock import utc_now
from detent.domain.digest import digest_of
from detent.domain.evidence import Evaluation, Measured
from detent.domain.server import Server as Follower
from detent.domain.version import newest_of_each
from detent.errors import (
    ConflictError,
    InconclusiveError,
    InvalidError,
    NotFoundError,
    RefusedError,
)
from detent.registry.stores import Stores
from detent.server import auth
from detent.server.app import Server, make_app
from detent.web import rollouts
from detent.web.audit import Log
from detent.web.comparing import compare
from detent.web.site import HEADERS, Answer, Handler, Page, Site, Visit, local_path, static
from detent.web.told import alert, meanwhile, not_activated
from detent.web.words import count_servers, following, last_held, trying

SHOWN_MODELS = 200
SHOWN_VERSIONS = 500
SHOWN_ENTRIES = 50
SHOWN_POINTS = 12  # evaluations of a line on the first screen


def make_site(stores: Stores, *, hosts: frozenset[str] | None = None) -> Starlette:
    """Return the application that serves a registry's API and its pages."""
    return make_app(stores, hosts=hosts, more=routes)


def routes(server: Server) -> list[BaseRoute]:
    """Return the routes of the pages."""
    site = Site(server)
    log = Log(server.stores)

    def show(path: str, handler: Handler) -> list[BaseRoute]:
        return [Path(path + end, site.page(handler)) for end in (".json", "")]

    def form(path: str, ask: Handler, do: Handler) -> list[BaseRoute]:
        done = site.page(do, Role.MAINTAINER)
        return [Path(path, site.page(ask)), Path(path, done, methods=["POST"])]

    return [
        Path("/", site.page(models)),
        *show("/index", models),
        Path("/changes.json", site.page(changes)),
        *show("/audit", log.audit),
        Path("/audit/events.csv", site.page(log.download_csv)),
        Path("/audit/events.json", site.page(log.download_json)),
        Path("/sign-in", _signing(site), methods=["GET", "POST"]),
        Path("/static/{name}", static),
        *form("/models/{model}/{number:int}/activate", ask_activate, do_activate),
        *form("/models/{model}/aliases/{alias}/rollback", ask_rollback, do_rollback),
        *form("/models/{model}/aliases/{alias}/rollout", rollouts.ask_start, rollouts.do_start),
        *(
            route
            for action in rollouts.ACTIONS
            for route in form(
                f"/models/{{model}}/rollouts/{{number:int}}/{action}",
                partial(rollouts.ask, action=action),
                partial(rollouts.do, action=action),
            )
        ),
        Path("/models/{model}/rollouts/{number:int}/now", site.page(rollouts.rollout_now)),
        *show("/models/{model}/rollouts/{number:int}", rollouts.rollout),
        *show("/models/{model}/decisions/{number:int}", decision),
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
    shown = found[:SHOWN_MODELS]
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
            "metrics": _sparklines(visit, [m.name for m in shown]),
            "rollouts": {r.name: rollouts.banner(r) for r in visit.registry.rollouts(running=True)},
            "n_found": len(found),
            "search": search,
        },
    )


def _sparklines(visit: Visit, models: list[str]) -> dict[str, Sparkline | None]:
    """Return of each model that was evaluated the first metric of its newest evaluation."""
    measured: dict[str, list[Measured]] = {}
    tables = visit.stores.metadata.current
    for one in tables.list_last_measured(models, each=SHOWN_POINTS):
        measured.setdefault(one.model, []).append(one)
    return {model: sparkline(of_model) for model, of_model in measured.items()}


def _of(servers: list[Follower] | None, alias: str) -> list[Follower] | None:
    return servers and [server for server in servers if f"{server.model}@{server.alias}" == alias]


def model(visit: Visit) -> Answer:
    """Show what a model's aliases hold and held, and its versions."""
    name, registry = visit.path["model"], visit.registry
    search, at = visit.asked("search"), visit.asked("at")
    versions = registry.versions(name, search=search, limit=SHOWN_VERSIONS)
    now, aliases = utc_now(), []
    servers, _ = trying(lambda: registry.servers(name))
    tried = registry.rollouts(name, limit=SHOWN_ENTRIES)
    # A drawing is kept while its numbers stay the same: the last bar grows once a minute.
    soon = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    for status in registry.list_status(name):
        history = registry.history(status.name, limit=SHOWN_ENTRIES)
        back, _ = trying(lambda name=status.name: registry.rollback(name, dry_run=True))
        then, _ = trying(lambda name=status.name: registry.status(name, at=at) if at else None)
        of_alias = [r for r in tried if r.alias == status.alias]
        aliases.append(
            {
                "status": status,
                "history": history,
                "back": back.version if back else None,
                "then": then,
                "policy": registry.policy(status.name),
                "rollout": next((rollouts.banner(r) for r in of_alias if not r.has_ended), None),
                "rollouts": of_alias,
                "chart": timeline(history, now=soon),
                "follows": following(_of(servers, status.name), status.activation, now),
            }
        )
    evaluations = registry.evaluations(name)
    measured = newest_of_each(evaluations)
    values = {"model": name, "aliases": aliases, "versions": versions, "at": at}
    values |= {"search": search, "measured": {str(n): e for n, e in measured.items()}}
    values |= {"metrics": _metrics(evaluations, aliases), "done": visit.asked("done")}
    values |= {"took": visit.asked("took")}
    return Page(template="model", values=values)


def _metrics(evaluations: list[Evaluation], aliases: list[dict[str, Any]]) -> Chart | None:
    """Return the first metric of the newest evaluation, over the versions."""
    if not evaluations or not evaluations[0].metrics:
        return None
    held = [alias["status"].version for alias in aliases]
    active = {version.number for version in held if version}
    return metric_over_versions(evaluations, evaluations[0].metrics[0].name, active=active)


def version(visit: Visit) -> Answer:
    """Show all that is known of a version."""
    model, number = visit.path["model"], visit.path["number"]
    card, error = trying(lambda: visit.registry.show(f"{model}/{number}"))
    if isinstance(error, NotFoundError):
        return _no_version(visit, error)
    if error is not None:
        raise error
    places = visit.registry.list_status(model)
    return Page(template="version", values={"card": card, "model": model, "places": places})


def _no_version(visit: Visit, error: NotFoundError) -> Page:
    """Say which version is the newest, with a link to it."""
    model, number = visit.path["model"], visit.path["number"]
    newest, _ = trying(lambda: visit.registry.versions(model, limit=1))
    values: dict[str, Any] = {"problem": error.to_problem(), "is_database": False}
    if newest:
        text = f"{model} has no v{number}; the newest is v{newest[0].number}"
        there = f"/models/{model}/{newest[0].number}"
        values["problem"] |= {"detail": text, "hint": None}
        values["see"] = {"href": there, "text": f"v{newest[0].number}"}
    return Page(template="problem", values=values, status=error.http_status)


def decision(visit: Visit) -> Answer:
    """Show what a gate answered, rule by rule."""
    model, number = visit.path["model"], visit.path["number"]
    found, _ = trying(lambda: visit.registry.decision(number))
    if found is None or found.model != model:
        raise NotFoundError(f"{model} has no decision {number}")
    return Page(template="decision", values={"model": model, "decision": found})


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
    history = visit.registry.history(alias, limit=SHOWN_ENTRIES)
    values = {"model": visit.path["model"], "status": status, "back": back}
    values |= {"since": last_held(history, back.version)}
    values |= {"servers": count_servers(visit.registry, alias)}
    return Page(template="rollback", values=values)


def do_rollback(visit: Visit) -> Answer:
    """Roll back, and show what the registry holds then."""
    alias = f"{visit.path['model']}@{visit.path['alias']}"
    try:
        entry = visit.registry.rollback(
            alias,
            reason=visit.form.get("reason"),
            hold="hold" in visit.form,
            expected=visit.expected,
        )
    except ConflictError as error:
        return alert(_shown(visit), error, meanwhile(visit, alias, error))
    return _back_to(visit, entry)


def ask_activate(visit: Visit) -> Answer:
    """Show what the gate says to an activation, and ask whether to make it."""
    reference = f"{visit.path['model']}/{visit.path['number']}"
    named = visit.registry.version(reference)
    alias = visit.asked("alias") or "production"
    status, _ = trying(lambda: visit.registry.status(f"{named.model}@{alias}"))
    names = visit.registry._operations.alias_names(named.model) or ["production"]
    policy = visit.registry.policy(f"{named.model}@{alias}")
    values = {
        "model": named.model,
        "version": named,
        "alias": alias,
        "names": sorted({alias, *names}),
        "status": status,
        "decision": visit.registry.gate(reference, alias),
        "reason_required": policy is not None and policy.reason_required,
    }
    return Page(template="activate", values=values)


def do_activate(visit: Visit) -> Answer:
    """Activate, and show what the registry holds then."""
    model, alias = visit.path["model"], visit.form.get("alias", "")
    override = None
    if "override" in visit.form:
        if visit.form.get("typed") != alias:
            raise InvalidError(
                f"to go past the gate, the alias is typed: `{alias}`; nothing was changed"
            )
        override = visit.form.get("reason") or ""
    try:
        entry = visit.registry.activate(
            f"{model}/{visit.path['number']}",
            alias,
            reason=visit.form.get("reason"),
            override=override,
            expected=visit.expected,
        )
    except ConflictError as error:
        return alert(_shown(visit), error, meanwhile(visit, f"{model}@{alias}", error))
    except (RefusedError, InconclusiveError) as error:
        if error.decision is None:
            raise
        status, _ = trying(lambda: visit.registry.status(f"{model}@{alias}"))
        values = not_activated(error.decision, error, status.activation if status else None)
        return Page(template="decision", values=values | {"model": model}, status=error.http_status)
    return _back_to(visit, entry)


def _shown(visit: Visit) -> Page:
    page = model(visit)
    assert isinstance(page, Page)
    return page


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
