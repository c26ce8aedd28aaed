"""The command that trained a version, without the secrets that stand in it."""

import os
import re
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

WITHHELD = "***"

_SECRET = re.compile(
    r"(?:password|passwd|passphrase|secret|token|credentials?"
    r"|(?:api|access|secret|private|account)[-_]?key|(?:^|[-_.])(?:pwd|auth))$",
    re.IGNORECASE,
)
_USER = re.compile(r"(?<=://)[^/?#@\s]+(?=@)")
_QUERY = re.compile(r"(?<=://)([^?#\s]*)[?#]\S+")


def is_secret_name(name: str) -> bool:
    """Say whether a value of this name is likely to be a secret, and so is not recorded.

    Examples
    --------
    >>> is_secret_name("--db-password"), is_secret_name("api_key"), is_secret_name("token_pattern")
    (True, True, False)
    """
    return _SECRET.search(name) is not None


def without_secrets(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return a command's arguments with ``***`` for the values of options that look secret.

    Also for user, password and query in an address. What does not look secret by its name is
    kept: pass secrets through the environment, which is never recorded.

    Examples
    --------
    >>> without_secrets(["--lr", "0.1", "--token", "s3cr3t", "db.password=s3cr3t"])
    ('--lr', '0.1', '--token', '***', 'db.password=***')
    """
    kept: list[str] = []
    is_value_secret = False
    for argument in arguments:
        if is_value_secret:
            kept.append(WITHHELD)
            is_value_secret = False
            continue
        name, equals, _ = argument.partition("=")
        is_secret = is_secret_name(name)
        if is_secret and equals:
            argument = f"{name}={WITHHELD}"
        is_value_secret = is_secret and not equals and name.startswith("-")
        kept.append(_QUERY.sub(rf"\1?{WITHHELD}", _USER.sub(WITHHELD, argument)))
    return tuple(kept)


def running_script() -> Path | None:
    """Return the script or module that a user runs; None in a notebook or an installed tool."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    if file is None or not os.path.isabs(file):  # Python makes it absolute
        return None
    path = Path(file)
    installed = [Path(sysconfig.get_path(name)) for name in ("scripts", "stdlib")]
    if any(folder in path.parents for folder in (*installed, Path(sys.executable).parent)):
        return None
    if {"site-packages", "dist-packages"} & set(path.parts) or not path.is_file():
        return None
    return path


def recipe() -> tuple[str, ...]:
    """Return the command that runs, beginning with ``python``; empty when no script of a user runs.

    Options of Python itself are kept (``-m``, ``-O``), the path of the interpreter is not.
    """
    if running_script() is None:
        return ()
    return ("python", *without_secrets(sys.orig_argv[1:]))
