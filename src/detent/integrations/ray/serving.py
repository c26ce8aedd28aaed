"""Serving on Ray Serve: each replica is a worker of ``detent serve`` behind Ray's proxy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ray import serve

from detent.errors import InvalidError
from detent.inference.engine import parse_aliases
from detent.inference.options import ServeOptions
from detent.settings import read_settings

Scope = MutableMapping[str, Any]
ASGI = Callable[[Scope, Any, Any], Awaitable[None]]


def deployment(
    *aliases: str,
    url: str | None = None,
    user: str | None = None,
    trusted: bool = False,
    strict: bool = False,
    lease_s: float = 10.0,
    **options: Any,
) -> serve.Application:
    """Return a Ray Serve application that answers with what aliases hold.

    Each replica follows the aliases as a worker of ``detent serve`` does: it holds the active
    version and the one that a rollback would return to, speaks the Open Inference Protocol below
    its route (``POST …/v2/models/churn/infer``), names the version in each answer, takes part in
    rollouts, and acknowledges changes. `Registry.rollback` returns when every replica has stopped
    answering with the version that was withdrawn.

    Parameters
    ----------
    *aliases : str
        What to serve: ``churn@production``; ``churn`` means the same.
    url : str, optional
        The registry, as the replicas reach it: a folder that all of them have, or PostgreSQL. By
        default that of this process. Passwords and keys are found in the replicas' environment.
    user : str, optional
        Who acts.
    trusted : bool, default=False
        Load versions whose files can run code.
    strict : bool, default=False
        Stop answering when the lease has ended and cannot be renewed.
    lease_s : float, default=10
        For how long a change waits for a replica that is not heard of, in seconds.
    **options
        Handed to ``serve.deployment``: ``num_replicas=4``, ``ray_actor_options={…}``.

    Returns
    -------
    serve.Application
        For ``serve.run(…)``, or as part of a Serve configuration.

    Raises
    ------
    InvalidError
        If no alias is named, or a version in the place of one; or if the registry can only be
        reached from this process, or through a server.

    Examples
    --------
    >>> deployment("churn@production", url="memory:")
    Traceback (most recent call last):
    detent.errors.InvalidError: replicas cannot reach the registry `memory:`
    """
    if not aliases:
        raise InvalidError("no alias was named", hint='deployment("churn@production")')
    settings = read_settings(url=url, user=user)
    if settings.url.startswith(("memory:", "http:", "https:")):
        raise InvalidError(
            f"replicas cannot reach the registry `{settings.url}`",
            hint="name a folder that all of them have, or `postgresql://…`",
        )
    names = parse_aliases(aliases)
    serving = ServeOptions(
        url=settings.url,
        user=settings.user,
        aliases=names,
        is_strict=strict,
        lease_s=lease_s,
        trusted=trusted,
    )

    def build() -> ASGI:  # in the replica
        from detent.inference.worker import make_application

        return _BelowRoute(make_application(serving))

    name = options.pop("name", "-".join(name.replace("@", "-") for name in names))
    replica: Any = serve.deployment(serve.ingress(build)(), name=name, **options)
    app: serve.Application = replica.bind()
    return app


class _BelowRoute:
    """Takes away the route under which Ray Serve answers, which the protocol knows nothing of."""

    def __init__(self, application: ASGI) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer one request, or take part in the life of the replica."""
        route = scope.get("root_path", "")
        if route and scope.get("path", "").startswith(route):
            scope = {**scope, "path": scope["path"].removeprefix(route), "root_path": ""}
        await self._application(scope, receive, send)
