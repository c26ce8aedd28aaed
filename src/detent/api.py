"""The HTTP API as one table: what the server answers, what the document says, what a client asks.

Each row gives an operation its method, its path and the role it needs. Parameters and answers are
those of the method of `Operations` with that name, so that there is no second list of them:

- a parameter in the path is part of the path; ``expected`` is the header ``If-Match``;
- other parameters stand in the query of a ``GET`` or ``DELETE``, and in the JSON body otherwise;
- lists are answered in pages: ``{"items": […], "next": …}``.
"""

import inspect
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec

from detent.charts import chart
from detent.domain import (
    access,
    alias,
    events,
    evidence,
    manifest,
    report,
    rollout,
    server,
    version,
    webhook,
)
from detent.domain.access import Role
from detent.operations import Operations

PREFIX = "/api/v1"
PAGE = 100  # items of a page, unless the request says otherwise
LARGEST_PAGE = 1000

_NAMES: dict[str, Any] = {"Any": Any, "Mapping": Mapping, "Sequence": Sequence}
_NAMES |= {"datetime": datetime, "Progress": Any}
for _module in (
    access,
    alias,
    chart,
    events,
    evidence,
    manifest,
    report,
    rollout,
    server,
    version,
    webhook,
):
    _NAMES |= vars(_module)


@dataclass(frozen=True, kw_only=True)
class Route:
    """One operation over HTTP. ``about`` is the parameter that names the model it is about."""

    name: str
    method: str
    path: str
    role: Role
    about: str | None = None
    is_question: bool = False  # changes nothing, though it is sent as a POST
    cursor: str | None = None  # the parameter that begins the next page …
    cursor_of: str = ""  # … and the field of an item that it is

    @cached_property
    def hints(self) -> dict[str, Any]:
        """The types of the parameters, and of the answer (``return``)."""
        return typing.get_type_hints(getattr(Operations, self.name), _NAMES)

    @cached_property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The parameters that travel."""
        signature = inspect.signature(getattr(Operations, self.name))
        left_out = ("self", "progress")  # progress is told where the work is done
        return {n: p for n, p in signature.parameters.items() if n not in left_out}

    @property
    def in_path(self) -> list[str]:
        """Names of the parameters in the path."""
        return [name for name in self.parameters if f"{{{name}}}" in self.path]

    @property
    def takes_expected(self) -> bool:
        """Whether ``If-Match`` says which entry is expected to be the newest."""
        return "expected" in self.parameters

    @property
    def takes_key(self) -> bool:
        """Whether ``Idempotency-Key`` makes it happen once."""
        return self.method == "POST" and not self.is_question

    @property
    def has_body(self) -> bool:
        """Whether parameters stand in a JSON body."""
        return self.method in ("POST", "PUT")

    @cached_property
    def input(self) -> type[msgspec.Struct]:
        """The parameters in the query or the body, as one type."""
        fields: list[Any] = []
        for name, parameter in self.parameters.items():
            if name in self.in_path or name == "expected":
                continue
            if parameter.default is inspect.Parameter.empty:
                fields.append((name, self.hints[name]))
            else:
                fields.append((name, self.hints[name], parameter.default))
        return msgspec.defstruct(
            f"{self.title}Request", fields, forbid_unknown_fields=True, kw_only=True
        )

    @cached_property
    def output(self) -> Any:
        """The type of the answer: a page where the operation returns a list."""
        answer = self.hints["return"]
        if not self.is_list:
            return answer
        cursor = self.hints[self.cursor] | None if self.cursor else None
        return msgspec.defstruct(
            f"{self.title}Page", [("items", answer), ("next", cursor, None)], kw_only=True
        )

    @property
    def is_list(self) -> bool:
        """Whether the answer is a list."""
        return typing.get_origin(self.hints["return"]) is list

    @property
    def title(self) -> str:
        """The name in the style of a type."""
        return "".join(part.capitalize() for part in self.name.split("_"))


def _get(name: str, path: str, **more: Any) -> Route:
    return Route(name=name, method="GET", path=path, role=Role.READER, **more)


def _post(name: str, path: str, role: Role, about: str | None = None) -> Route:
    return Route(name=name, method="POST", path=path, role=role, about=about)


def _question(name: str, path: str, role: Role = Role.READER) -> Route:
    return Route(name=name, method="POST", path=path, role=role, is_question=True)


_ALIAS, _VERSION = "/aliases/{alias}", "/versions/{reference}"
_CHANGES = (Role.MAINTAINER, "alias")

ROUTES: dict[str, Route] = {
    route.name: route
    for route in (
        _get("models", "/models", cursor="after", cursor_of="name"),
        _get("versions", "/models/{model}/versions", cursor="below", cursor_of="number"),
        _get("alias_names", "/models/{model}/aliases"),
        _post("register_manifest", "/models/{model}/versions", Role.CONTRIBUTOR, "model"),
        # Longer paths first: a reference may hold a slash.
        _get("card", f"{_VERSION}/card"),
        _post("withdraw", f"{_VERSION}/withdraw", Role.MAINTAINER, "reference"),
        _get("version", _VERSION),
        Route(name="delete", method="DELETE", path=_VERSION, role=Role.ADMIN, about="reference"),
        _get("status", "/status", cursor="after", cursor_of="name"),
        _get("servers", "/servers"),
        _question("confirm", "/confirm"),
        _get("history", f"{_ALIAS}/history", cursor="before", cursor_of="at"),
        _get("gate", f"{_ALIAS}/gate"),
        _get("policy", f"{_ALIAS}/policy"),
        Route(
            name="set_policy",
            method="PUT",
            path=f"{_ALIAS}/policy",
            role=Role.MAINTAINER,
            about="alias",
        ),
        _post("activate", f"{_ALIAS}/activate", *_CHANGES),
        _post("rollback", f"{_ALIAS}/rollback", *_CHANGES),
        _post("deactivate", f"{_ALIAS}/deactivate", *_CHANGES),
        _post("hold", f"{_ALIAS}/hold", *_CHANGES),
        _post("release", f"{_ALIAS}/release", *_CHANGES),
        _get("rollouts", "/rollouts", cursor="below", cursor_of="id"),
        _get("rollout", "/rollout"),
        _get("rollout_course", "/rollout/course"),
        _post("start_rollout", f"{_ALIAS}/rollout", *_CHANGES),
        _post("advance_rollout", f"{_ALIAS}/rollout/advance", *_CHANGES),
        _post("pause_rollout", f"{_ALIAS}/rollout/pause", *_CHANGES),
        _post("resume_rollout", f"{_ALIAS}/rollout/resume", *_CHANGES),
        _post("stop_rollout", f"{_ALIAS}/rollout/stop", *_CHANGES),
        _get("labels_wanted", f"{_ALIAS}/labels-wanted"),
        _post("feedback", "/models/{model}/feedback", Role.CONTRIBUTOR, "model"),
        _post("note", "/notes/{name}", Role.CONTRIBUTOR, "name"),
        _get("evaluations", "/evaluations/{name}", cursor="below", cursor_of="id"),
        _post("record_evaluation", "/evaluations", Role.CONTRIBUTOR, "evaluation"),
        _question("compare", "/compare"),
        _get("charts", "/models/{model}/charts"),
        _question("rank", "/rank"),
        _question("try_policy", f"{_ALIAS}/policy/try"),
        _post("approve", f"{_ALIAS}/approve", *_CHANGES),
        _get("decision", "/decisions/{id}"),
        _get("events", "/journal", cursor="below", cursor_of="seq"),
        _get("verify_journal", "/journal/check"),
        _question("verify", "/verify", Role.CONTRIBUTOR),
        _post("record_repair", "/repairs", Role.ADMIN),
        _post("prune", "/prune", Role.ADMIN),
        # A copy to or from another place. The journal holds what only admins may see of tokens.
        Route(
            name="links",
            method="GET",
            path="/copy/journal",
            role=Role.ADMIN,
            cursor="after",
            cursor_of="seq",
        ),
        _post("receive", "/copy/journal", Role.ADMIN),
        Route(name="needed_blobs", method="GET", path="/copy/blobs", role=Role.ADMIN),
        _question("stored_blobs", "/copy/stored", Role.ADMIN),
        Route(name="tokens", method="GET", path="/tokens", role=Role.ADMIN),
        _post("create_token", "/tokens", Role.ADMIN),
        Route(name="revoke_token", method="DELETE", path="/tokens/{id}", role=Role.ADMIN),
        Route(name="webhooks", method="GET", path="/webhooks", role=Role.ADMIN),
        _post("create_webhook", "/webhooks", Role.ADMIN),
        Route(name="delete_webhook", method="DELETE", path="/webhooks/{id}", role=Role.ADMIN),
        _question("test_webhook", "/webhooks/{id}/test", Role.ADMIN),
        Route(
            name="deliveries",
            method="GET",
            path="/webhooks/{id}/deliveries",
            role=Role.ADMIN,
            cursor="below",
            cursor_of="id",
        ),
    )
}


def model_of(about: Any) -> str:
    """Return the model that a reference, an alias or an evaluation is of."""
    from detent.domain.reference import parse_reference

    return about.model if isinstance(about, evidence.Evaluation) else parse_reference(about).model
