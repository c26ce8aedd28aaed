"""Webhooks: made, listed, tried, deleted, and how the tries to tell them went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detent.cli.output import when
from detent.cli.running import Call, Command
from detent.errors import InvalidError

if TYPE_CHECKING:
    import argparse

    from detent.domain.webhook import Delivery, Webhook

_NOT_TOLD = 8  # the exit code: the receiver did not accept the test


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("create", "list", "test", "delete", "log"))
    parser.add_argument("name", nargs="?", metavar="URL|NUMBER", help="where to; then: which one")
    parser.add_argument(
        "--type",
        action="append",
        default=[],
        metavar="TYPE",
        help="such as detent.alias.rolled_back or detent.alias.*; again for each",
    )
    parser.add_argument(
        "--model", action="append", default=[], metavar="MODEL", help="tell of this one only"
    )
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="of the log; default 20")


def _webhook(call: Call) -> int | None:
    if call.action == "list":
        _list(call)
        return None
    if call.name is None:
        raise InvalidError(
            f"detent webhook {call.action} needs a URL or a number; nothing was changed"
        )
    if call.action == "create":
        call.registry.create()
        made = call.registry.create_webhook(call.name, types=call.type, models=call.model)
        call.output.fields(webhook=made.webhook, secret=made.secret)
        call.output.line(made.secret)
        call.output.aside(
            f"  webhook {made.webhook.id} to {made.webhook.place}: the secret is not shown again;"
            " a running `detent web` sends the events"
        )
        return None
    if not (call.name.isascii() and call.name.isdigit() and len(call.name) < 19):
        raise InvalidError(
            "a webhook is named by its number; nothing was changed", hint="detent webhook list"
        )
    if call.action == "test":
        return _test(call, int(call.name))
    if call.action == "log":
        _log(call, call.registry.deliveries(int(call.name), limit=max(0, call.limit)))
        return None
    webhook = call.registry.delete_webhook(int(call.name))
    call.output.fields(webhook=webhook)
    call.output.good(f"webhook {webhook.id} to {webhook.place} is told nothing more")
    return None


def _list(call: Call) -> None:
    webhooks = call.registry.webhooks()
    call.output.fields(webhooks=webhooks)
    call.output.table(
        ("WEBHOOK", "URL", "TYPES", "MODELS", "TOLD", "MADE (UTC)", "BY", "STATE"),
        [
            (
                str(webhook.id),
                webhook.url,
                ", ".join(webhook.types),
                ", ".join(webhook.models) or "all",
                str(webhook.told),
                when(webhook.created_at),
                webhook.created_by,
                _state(webhook),
            )
            for webhook in webhooks
        ],
    )


def _state(webhook: Webhook) -> str:
    if not webhook.failures or webhook.next_at is None:
        return "waits for events"
    tries = "1 try" if webhook.failures == 1 else f"{webhook.failures} tries"
    return f"{tries} failed, again at {webhook.next_at:%Y-%m-%d %H:%M:%S}"


def _test(call: Call, id: int) -> int:
    delivery = call.registry.test_webhook(id)
    call.output.fields(delivery=delivery)
    if delivery.is_told:
        call.output.good(
            f"webhook {id} answered with status {delivery.status} after {delivery.seconds:.3g} s"
        )
        return 0
    call.output.line(f"webhook {id} was not told: {delivery.problem}")
    return _NOT_TOLD


def _log(call: Call, deliveries: list[Delivery]) -> None:
    call.output.fields(deliveries=deliveries)
    call.output.table(
        ("WHEN (UTC)", "EVENT", "TYPE", "TRY", "SECONDS", "ANSWER"),
        [
            (
                when(delivery.at),
                str(delivery.seq) if delivery.seq else "test",
                delivery.type,
                str(delivery.attempt),
                f"{delivery.seconds:.3f}",
                delivery.problem or f"told ({delivery.status})",
            )
            for delivery in deliveries
        ],
    )


COMMANDS = {
    "webhook": Command(
        _webhook,
        arguments=_arguments,
        examples="""
detent webhook create https://hooks.example/detent --type 'detent.alias.*' --model churn
detent webhook test 1
detent webhook log 1
detent webhook delete 1
""",
    ),
}
