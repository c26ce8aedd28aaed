"""The API described: OpenAPI 3.1, made from the same table and the same values as the routes.

*Links* say which requests an answer leads to: where the name of what was made goes next.
"""

import inspect
from functools import cache
from typing import Any

import msgspec

from detent.api import PREFIX, ROUTES, Route
from detent.operations import Operations

_REF = "#/components/schemas/{name}"
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "hint": {"type": "string"},
        "details": {"type": "object"},
        "decision": {},
    },
}

# Names of things, as the fields of an answer give them.
_VERSION = "{$response.body#/model}/{$response.body#/number}"
_NEW = "{$response.body#/version/model}/{$response.body#/version/number}"
_ALIAS = "{$response.body#/model}@{$response.body#/alias}"
_MEASURED = "{$response.body#/model}/{$response.body#/version}"
_ON_ALIAS = ("rollback", "deactivate", "hold", "release", "history", "policy", "labels_wanted")
_ON_ROLLOUT = ("advance_rollout", "pause_rollout", "resume_rollout", "stop_rollout")
_ON_WEBHOOK = ("test_webhook", "deliveries", "delete_webhook")

# By operation: where its answer leads, and from what the parameters there are made. `body` holds
# those that stand in a body.
_LINKS: dict[str, dict[str, dict[str, Any]]] = {
    "models": {"versions": {"model": "$response.body#/items/0/name"}},
    "status": {
        "history": {
            "alias": "{$response.body#/items/0/model}@{$response.body#/items/0/alias}",
        }
    },
    "register_manifest": {
        "version": {"reference": _NEW},
        "card": {"reference": _NEW},
        "withdraw": {"reference": _NEW},
        "delete": {"reference": _NEW},
        "gate": {"alias": "{$response.body#/version/model}@production", "reference": _NEW},
        "activate": {
            "alias": "{$response.body#/version/model}@production",
            "body": {"reference": _NEW},
        },
        "start_rollout": {
            "alias": "{$response.body#/version/model}@production",
            "body": {"reference": _NEW},
        },
    },
    "version": {"card": {"reference": _VERSION}, "evaluations": {"name": _VERSION}},
    "activate": {
        **{name: {"alias": _ALIAS} for name in _ON_ALIAS},
        "status": {"name": _ALIAS},
        "decision": {"id": "$response.body#/decision"},
    },
    "rollback": {name: {"alias": _ALIAS} for name in _ON_ALIAS},
    "start_rollout": {
        "rollout": {"name": "$response.body#/id"},
        "rollouts": {"name": "$response.body#/model"},
        "labels_wanted": {"alias": _ALIAS},
        **{name: {"alias": _ALIAS} for name in _ON_ROLLOUT},
    },
    "record_evaluation": {
        "evaluations": {"name": _MEASURED},
        "charts": {
            "model": "$response.body#/model",
            "baseline": "$response.body#/id",
            "candidate": "$response.body#/id",
        },
    },
    "create_token": {"revoke_token": {"id": "$response.body#/token/id"}},
    "create_webhook": {name: {"id": "$response.body#/webhook/id"} for name in _ON_WEBHOOK},
}


@cache
def openapi() -> dict[str, Any]:
    """Return the document."""
    from importlib.metadata import version

    types = [t for route in ROUTES.values() for t in (route.input, route.output)]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    paths: dict[str, Any] = {}
    for i, route in enumerate(ROUTES.values()):
        path = paths.setdefault(PREFIX + route.path, {})
        path[route.method.lower()] = _describe(route, schemas[2 * i + 1])
    components["Problem"] = _PROBLEM
    return {
        "openapi": "3.1.0",
        "info": {"title": "detent registry", "version": version("detent")},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def _describe(route: Route, answer: dict[str, Any]) -> dict[str, Any]:
    parameters = [_parameter(route, name, "path") for name in route.in_path]
    if not route.has_body:
        names = route.input.__struct_fields__
        parameters += [_parameter(route, name, "query") for name in names]
    if route.takes_expected:
        parameters.append(_header("If-Match", "the entry expected to be the newest, as its ETag"))
    if route.takes_key:
        parameters.append(_header("Idempotency-Key", "the change is made once under one key"))
    found: dict[str, Any] = {
        "operationId": route.name,
        "summary": (inspect.getdoc(getattr(Operations, route.name)) or "").split("\n")[0],
        "description": f"Needs the role {route.role}.",
        "parameters": parameters,
        "responses": {
            "200": {
                "description": "done",
                "content": {"application/json": {"schema": answer}},
                **_links(route),
            },
            "default": {
                "description": "a problem: what is wrong, and what to do next",
                "content": {
                    "application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}
                },
            },
        },
    }
    if route.has_body:
        name = route.input.__name__
        schema = {"schema": {"$ref": _REF.format(name=name)}}
        found["requestBody"] = {"required": True, "content": {"application/json": schema}}
    return found


def _links(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, given in _LINKS.get(route.name, {}).items():
        parameters = {key: text for key, text in given.items() if key != "body"}
        found[name] = {"operationId": name, "parameters": parameters}
        if "body" in given:
            found[name]["requestBody"] = given["body"]
    return {"links": found} if found else {}


def _parameter(route: Route, name: str, place: str) -> dict[str, Any]:
    is_needed = route.parameters[name].default is inspect.Parameter.empty
    schema = msgspec.json.schema(route.hints[name])
    return {"name": name, "in": place, "required": is_needed, "schema": schema}


def _header(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
