"""The API described: OpenAPI 3.1, made from the same table and the same values as the routes."""

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
            "200": {"description": "done", "content": {"application/json": {"schema": answer}}},
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


def _parameter(route: Route, name: str, place: str) -> dict[str, Any]:
    is_needed = route.parameters[name].default is inspect.Parameter.empty
    schema = msgspec.json.schema(route.hints[name])
    return {"name": name, "in": place, "required": is_needed, "schema": schema}


def _header(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
