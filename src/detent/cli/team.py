"""A registry for a team: the server, and the tokens that it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detent.cli.output import when
from detent.cli.running import Call, Command
from detent.errors import InvalidError, RefusedError

if TYPE_CHECKING:
    import argparse

ROLES = ("reader", "contributor", "maintainer", "admin")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _web_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=8787, help="default 8787")
    parser.add_argument(
        "--listen", default="127.0.0.1", metavar="ADDRESS", help="default: this machine only"
    )
    parser.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name that it answers under, besides the address it listens on",
    )
    parser.add_argument(
        "--open", action="store_true", help="listen beyond this machine though no token was made"
    )


def _web(call: Call) -> None:
    registry = call.registry
    if registry.location.startswith(("http:", "https:")):
        raise InvalidError(f"{registry.location} is a server already; name a folder")
    registry.create()
    is_open = not registry.tokens()
    if is_open and call.listen not in _LOOPBACK and not call.open:
        raise RefusedError(
            f"no token was made, so that everybody who reaches {call.listen} could change"
            " everything; the server was not started",
            hint="make one: `detent token create NAME --role admin`; or add --open",
        )
    import threading

    try:
        import uvicorn

        from detent.server.logs import log_config
        from detent.server.patience import patient_protocol
        from detent.web.pages import make_site
        from detent.web.words import warm_up
    except ImportError as error:
        raise InvalidError(
            f"the server needs other packages ({error})", hint="pip install 'detent[web]'"
        ) from error
    hosts = frozenset({*_LOOPBACK, call.listen, *call.host})
    shown = f"[{call.listen}]" if ":" in call.listen else call.listen
    call.output.line(f"http://{shown}:{call.port} serves {registry.location}")
    if is_open:
        call.output.warn("no token was made: whoever reaches this address may change everything")
    # The first drawing takes a second: it is not to be that of somebody's page.
    threading.Thread(target=warm_up, daemon=True).start()
    # A wildcard address is reached under names that are not known here: then --host tells them.
    is_any = call.listen in ("0.0.0.0", "::") and not call.host
    app = make_site(registry._stores, hosts=None if is_any else hosts)
    uvicorn.run(
        app,
        host=call.listen,
        port=call.port,
        http=patient_protocol(),
        log_config=log_config("detent.access"),
        access_log=False,
        limit_concurrency=1000,
        timeout_graceful_shutdown=5,
    )


def _token_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("create", "list", "revoke"))
    parser.add_argument("name", nargs="?", metavar="NAME", help="whose; for revoke: its number")
    parser.add_argument("--role", choices=ROLES, default="reader", help="default: reader")
    parser.add_argument(
        "--model", action="append", default=[], metavar="MODEL", help="may change this one only"
    )


def _token(call: Call) -> None:
    if call.action == "list":
        tokens = call.registry.tokens()
        call.output.fields(tokens=tokens)
        call.output.table(
            ("TOKEN", "NAME", "ROLE", "MODELS", "MADE (UTC)", "BY", "REVOKED"),
            [
                (
                    str(token.id),
                    token.name,
                    str(token.role),
                    ", ".join(token.models) or "all",
                    when(token.created_at),
                    token.created_by,
                    when(token.revoked_at) if token.revoked_at else "-",
                )
                for token in tokens
            ],
        )
        return
    if call.name is None:
        raise InvalidError(f"detent token {call.action} needs a name; nothing was changed")
    if call.action == "revoke":
        if not (call.name.isascii() and call.name.isdigit()):
            raise InvalidError(
                "a token is revoked by its number; nothing was changed", hint="detent token list"
            )
        token = call.registry.revoke_token(int(call.name))
        call.output.fields(token=token)
        call.output.good(f"token {token.id} of {token.name} is accepted no more")
        return
    call.registry.create()
    made = call.registry.create_token(call.name, role=call.role, models=call.model)
    call.output.fields(token=made.token, secret=made.secret)
    call.output.line(made.secret)
    call.output.aside(
        f"  token {made.token.id} of {made.token.name}, {made.token.role}: it is not shown again;"
        " set it as DETENT_TOKEN"
    )


COMMANDS = {
    "web": Command(
        _web,
        arguments=_web_arguments,
        examples="detent web\ndetent web --listen 0.0.0.0 --host models.example",
    ),
    "token": Command(
        _token,
        arguments=_token_arguments,
        examples="""
detent token create ana --role maintainer --model churn
detent token list
detent token revoke 3
""",
    ),
}
