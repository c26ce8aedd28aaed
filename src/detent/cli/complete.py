"""Completion: the shells call ``detent __complete WORD…`` and get one candidate per line."""

from __future__ import annotations

import argparse

from detent.cli.table import COMMANDS

SCRIPTS = {
    "bash": """\
_detent() {
    local IFS=$'\\n'
    COMPREPLY=($(detent __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
    [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
}
COMP_WORDBREAKS=${COMP_WORDBREAKS//@/}
complete -o nosort -F _detent detent
""",
    "zsh": """\
#compdef detent
_detent() {
    local -a found
    found=("${(@f)$(detent __complete "${(@)words[2,$CURRENT]}" 2>/dev/null)}")
    if [ -n "${found[1]}" ]; then compadd -Q -- "${found[@]}"; else _files; fi
}
compdef _detent detent
""",
    "fish": """\
complete -c detent -a '(detent __complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
""",
}

_MODELS = ("versions", "register")
_ALIAS_ONLY = ("history", "rollback", "deactivate", "hold", "release", "policy")
NEWEST = 20  # versions of a model that are offered


def print_candidates(words: list[str]) -> int:
    """Print what the last word may become. Never fails loudly: a shell is waiting."""
    try:
        for candidate in candidates(words):
            print(candidate)
    except Exception:
        return 0
    return 0


def candidates(words: list[str]) -> list[str]:
    """Return what the last of the words may become."""
    *before, last = words or [""]
    names = [word for word in before if not word.startswith("-")]
    if not names:
        return [name for name in COMMANDS if name.startswith(last)]
    command = names[0]
    if command not in COMMANDS:
        return []
    if last.startswith("-"):
        found = _options(command)
    elif command in ("activate", "promote", "gate") and len(names) == 2:
        found = _aliases_of(names[1], before)
    elif command == "completion":
        found = ["bash", "zsh", "fish"]
    elif command == "policy" and len(names) == 1:
        found = ["show", "set"]
    elif command == "rollout" and len(names) == 1:
        found = ["start", "status", "advance", "pause", "resume", "stop", "labels-wanted"]
    elif command == "rollout" and names[1] == "start" and len(names) == 3:
        found = _aliases_of(names[2], before)
    else:
        found = _references(command, last, before)
    return [candidate for candidate in found if candidate.startswith(last)]


def _options(command: str) -> list[str]:
    from detent.cli.running import load, make_parser

    parser = make_parser(command, load(command))
    return [
        option
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--")
    ]


def _references(command: str, last: str, before: list[str]) -> list[str]:
    registry = _registry(before)
    model = last.partition("/")[0].partition("@")[0]
    if "/" in last:
        return [version.name for version in registry.versions(model, limit=NEWEST)]
    if "@" in last:
        return [f"{model}@{alias}" for alias in registry._operations.alias_names(model)]
    names = [model.name for model in registry.models() if model.name.startswith(last)]
    if command in _MODELS:
        return names
    found = [
        f"{name}@{alias}" for name in names for alias in registry._operations.alias_names(name)
    ]
    return found if command in _ALIAS_ONLY else found + [f"{name}/" for name in names]


def _aliases_of(reference: str, before: list[str]) -> list[str]:
    model = reference.partition("/")[0].partition("@")[0]
    names: list[str] = _registry(before)._operations.alias_names(model)
    return names or ["production"]


def _registry(before: list[str]):  # type: ignore[no-untyped-def]  # Registry, not imported for this
    from detent.opening import connect

    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--url")
    return connect(parser.parse_known_args(before)[0].url)
