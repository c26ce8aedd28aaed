"""The command line. No rule lives here: each command asks the registry and prints its answer.

Starting is quick on purpose: the table of commands serves ``--help``, and only the module of the
command that was typed is imported, and only its parser built.
"""

import sys
from collections.abc import Sequence

from detent.cli.table import COMMANDS, GROUPS
from detent.errors import DetentError, InvalidError

GLOBAL_HELP = """\
options that every command takes
  --url URL       the registry (default: DETENT_URL, detent.toml, the nearest .detent/)
  --user NAME     who acts (default: DETENT_USER, detent.toml, the login name)
  --json          one JSON object on stdout
  --no-color      plain text, as NO_COLOR=1
  -h, --help      examples and options of a command
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(arguments)
    except DetentError as error:
        return _report(error, as_json="--json" in arguments)
    except KeyboardInterrupt:
        print(
            "stopped: a change that was being made is whole or not there at all"
            " (`detent audit --limit 1` shows the newest)",
            file=sys.stderr,
        )
        return 130
    except BrokenPipeError:
        # Whoever read the answer has seen enough. Nothing is left to write, not even at exit.
        import os

        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception:
        import traceback

        traceback.print_exc()
        print(
            "error: this is a defect in detent, not in what you typed: report the lines above",
            file=sys.stderr,
        )
        return 1


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        if len(arguments) > 1 and arguments[1] in COMMANDS:
            return _run([arguments[1], "--help"])
        print(_overview(), end="")
        return 0
    if arguments[0] in ("--version", "version"):
        import detent

        print(f"detent {detent.__version__}")
        return 0
    if arguments[0] == "__complete":
        from detent.cli.complete import print_candidates

        return print_candidates(arguments[1:])
    name, rest = _split(arguments)
    if name not in COMMANDS:
        raise _unknown(name)
    from detent.cli.running import run

    return run(name, rest)


def _split(arguments: list[str]) -> tuple[str, list[str]]:
    """Return the command and everything else: global options may stand before it."""
    i = 0
    while i < len(arguments) and arguments[i].startswith("-"):
        i += 2 if arguments[i] in ("--url", "--user") else 1
    if i >= len(arguments):
        raise InvalidError("no command was given", hint="detent --help")
    return arguments[i], arguments[:i] + arguments[i + 1 :]


def _unknown(name: str) -> InvalidError:
    import difflib

    near = difflib.get_close_matches(name, COMMANDS, n=1)
    question = f"; did you mean `{near[0]}`?" if near else ""
    return InvalidError(f"there is no command `{name}`{question}", hint="detent --help")


def _report(error: DetentError, *, as_json: bool) -> int:
    if as_json:
        import json

        print(json.dumps(error.to_problem(), ensure_ascii=False), file=sys.stderr)
    else:
        print(f"error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
    return error.exit_code


def _overview() -> str:
    lines = [
        "detent: change a machine-learning model safely, and go back",
        "",
        "  detent demo                          the whole job, in a temporary registry",
        "  detent register churn model.skops    keep a version",
        "  detent activate churn/8 production   make it the active one",
        "  detent status                        what is active, since when, by whom, why",
        "  detent rollback churn@production     go back",
        "",
    ]
    for group in GROUPS:
        lines.append(group)
        for name, command in COMMANDS.items():
            if command[1] == group:
                lines.append(f"  {name:<12} {command[2]}")
        lines.append("")
    return "\n".join(lines) + GLOBAL_HELP + "\n`detent COMMAND --help` shows examples first.\n"
