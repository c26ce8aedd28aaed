"""Running one command: its parser, its registry, its output, its warnings."""

import argparse
import importlib
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

from detent.cli.output import Output
from detent.cli.table import COMMANDS
from detent.errors import InvalidError


class Command:
    """One command: how its arguments are declared, what it does, and how it is used.

    ``changes`` adds ``--dry-run``; ``reason`` adds ``--reason``; ``final`` says that it cannot be
    undone, and adds ``--yes``.
    """

    def __init__(
        self,
        run: Callable[["Call"], int | None],
        *,
        examples: str,
        arguments: Callable[[argparse.ArgumentParser], None] | None = None,
        changes: bool = False,
        reason: bool = False,
        final: bool = False,
    ) -> None:
        self.run = run
        self.examples = examples
        self.arguments = arguments
        self.changes = changes
        self.reason = reason
        self.final = final


class Call:
    """A command being run: its arguments, its registry (opened when asked for), its output."""

    def __init__(self, arguments: argparse.Namespace, output: Output) -> None:
        self.arguments = arguments
        self.output = output

    def __getattr__(self, name: str) -> Any:
        """Return an argument, or the registry."""
        if name == "registry":
            from detent.opening import connect

            self.registry = connect(self.arguments.url, user=self.arguments.user)
            return self.registry
        return getattr(self.arguments, name)

    def confirm(self, word: str, question: str) -> None:
        """Ask to type a word before something that cannot be undone.

        Raises
        ------
        InvalidError
            If the answer is another one, or nobody is there to answer and --yes was not given.
        """
        if self.arguments.yes or self.arguments.dry_run:
            return
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise InvalidError(
                f"{question} Nobody is there to confirm it; nothing was changed",
                hint="add --yes to confirm",
            )
        print(f"{question} Type `{word}` to go on: ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip() != word:
            raise InvalidError("it was not confirmed; nothing was changed")


class _Parser(argparse.ArgumentParser):
    """Help that begins with examples, and errors in our words."""

    examples = ""

    def format_help(self) -> str:
        return f"{self.examples}\n\n{super().format_help()}"

    def error(self, message: str) -> NoReturn:
        raise InvalidError(f"{self.prog}: {message}", hint=f"{self.prog} --help")


def run(name: str, arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    command = load(name)
    parsed = make_parser(name, command).parse_args(arguments)
    output = Output(as_json=parsed.json, color=not parsed.no_color)
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *_, **__: output.warn(str(message))
        code = command.run(Call(parsed, output))
    output.finish(name)
    return code or 0


def load(name: str) -> Command:
    """Return a command, importing its module."""
    module = importlib.import_module(f"detent.cli.{COMMANDS[name][0]}")
    command: Command = module.COMMANDS[name]
    return command


def make_parser(name: str, command: Command) -> argparse.ArgumentParser:
    """Return the parser of one command."""
    parser = _Parser(
        prog=f"detent {name}",
        description=COMMANDS[name][2],
        allow_abbrev=False,
        formatter_class=_formatter,
    )
    parser.examples = "\n".join(f"  {line}" for line in command.examples.strip().splitlines())
    if command.arguments:
        command.arguments(parser)
    if command.reason:
        parser.add_argument("-m", "--reason", metavar="TEXT", help="why; kept in the history")
    if command.changes:
        parser.add_argument("--dry-run", action="store_true", help="say what would happen")
    if command.final:
        parser.add_argument("--yes", action="store_true", help="do not ask")
    every = parser.add_argument_group("options that every command takes")
    every.add_argument("--url", metavar="URL", help="the registry")
    every.add_argument("--user", metavar="NAME", help="who acts")
    every.add_argument("--json", action="store_true", help="one JSON object on stdout")
    every.add_argument("--no-color", action="store_true", help="plain text")
    return parser


def _formatter(prog: str) -> argparse.HelpFormatter:
    # Left to itself it asks shutil for the width, whose import takes as long as the rest of it.
    return argparse.HelpFormatter(prog, width=int(os.environ.get("COLUMNS") or 0) or 90)
