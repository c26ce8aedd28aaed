"""The whole job as one story: `detent demo`.

What is printed is what is run: each line of Python below is shown and then executed, each command
is shown and then given to the command line, all in a registry of their own.
"""

import ast
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from detent.errors import ConflictError

# Text, then lines of Python (">>> ") or commands ("$ "), as a user would type them.
STORY = """
Two versions are trained on the same data, and each is registered with one line.

>>> import detent
>>> from sklearn.datasets import load_wine
>>> from sklearn.ensemble import RandomForestClassifier
>>> from sklearn.model_selection import train_test_split
>>> X, y = load_wine(return_X_y=True, as_frame=has_pandas)
>>> X_train, X_test, y_train, y_test = train_test_split(
...     X, y, test_size=0.3, random_state=42, stratify=y)
>>> registry = detent.connect()
>>> train = {"wine-train": X_train}
>>> small = RandomForestClassifier(n_estimators=100, max_depth=4, random_state=42)
>>> small.fit(X_train, y_train);
>>> registry.register("wine", small, sample=X_train[:20], data=train, note="100 trees, depth 4")
>>> large = RandomForestClassifier(n_estimators=200, max_depth=6, random_state=42)
>>> large.fit(X_train, y_train);
>>> registry.register("wine", large, sample=X_train[:20], data=train, note="200 trees, depth 6")

Version 1 goes live. Both are evaluated on the same 54 rows.

>>> registry.activate("wine/1", "production", reason="the first one")
>>> registry.evaluate("wine/1", X_test, y_test, dataset="wine-test")
>>> registry.evaluate("wine/2", X_test, y_test, dataset="wine-test")

A gate that asks for evidence says "not yet", and how many rows would decide.

$ detent policy set wine@production
$ detent gate wine/2 production

The usual rule does not ask: the candidate goes live if its accuracy is at least the active one's.

>>> rule = {"name": "at_least_as_good", "metric": "accuracy"}
>>> registry.set_policy("wine@production", {"rule": [rule]}).rules
>>> registry.activate("wine/2", "production", reason="retrained")

That was a tie, and the rule takes a tie for an improvement. What it cannot know:

$ detent compare wine/1 wine/2

Nothing on these rows tells the two apart, and the new one costs more. Then it fails in
production. The way back is one command; it needs no gate, no file of the bad version, no restart.

$ detent rollback wine@production --reason "error rate doubled after 13:40"

>>> model = registry.load("wine@production")
>>> print("accuracy of what is active:", model.score(X_test, y_test))

A third version is visibly worse. The gate refuses it, and says why; nothing changes.

>>> from sklearn.tree import DecisionTreeClassifier
>>> worse = DecisionTreeClassifier(max_depth=1, random_state=42).fit(X_train, y_train)
>>> registry.register("wine", worse, sample=X_train[:20], data=train, note="one question only")
>>> registry.evaluate("wine/3", X_test, y_test, dataset="wine-test")

$ detent activate wine/3 production

Afterwards all of it can be told: what is active, what was when, who changed it and why.

$ detent status
$ detent history wine@production
$ detent diff wine/1 wine/2
$ detent audit --verify
"""


def main(keep: Path | None = None) -> int:
    """Tell the story in a temporary registry, or in the folder `keep`; return the exit code.

    Raises
    ------
    ConflictError
        If `keep` is there and not empty.
    """
    if keep is not None:
        if keep.exists() and any(keep.iterdir()):
            raise ConflictError(
                f"{keep} is there already and not empty; the demo was not run",
                hint="name a new folder",
            )
        keep.mkdir(parents=True, exist_ok=True)
        keep = keep.absolute()
    with contextlib.ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="detent-")))
        stack.enter_context(_inside(folder))
        _tell(STORY)
    if keep is not None:
        print(f"\nThe registry was kept: detent --url {keep / '.detent'} status")
    return 0


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Work in a folder, with the registry that is in it."""
    before = os.environ.pop("DETENT_URL", None)
    here = Path.cwd()
    os.chdir(folder)
    (folder / ".detent").mkdir(exist_ok=True)
    try:
        yield
    finally:
        os.chdir(here)
        if before is not None:
            os.environ["DETENT_URL"] = before


def _tell(story: str) -> None:
    names: dict[str, Any] = {"has_pandas": _has_pandas()}
    blocks: list[list[str]] = []
    for line in story.strip().splitlines():
        if line.startswith("... "):
            blocks[-1].append(line)
        else:
            blocks.append([line])
    for block in blocks:
        shown = "\n".join(block).replace("has_pandas", str(names["has_pandas"]))
        if block[0].startswith(">>> "):
            print(_tint(shown.removesuffix(";")), flush=True)
            _run_python("\n".join(line[4:] for line in block), names)
        elif block[0].startswith("$ "):
            print(_tint(shown), flush=True)
            _run_command(block[0][2:])
        else:
            print(shown, flush=True)


def _run_python(source: str, names: dict[str, Any]) -> None:
    # As a prompt does: the value of an expression is shown, unless a semicolon ends the line.
    body = ast.parse(source).body[0]
    if isinstance(body, ast.Expr) and not source.endswith(";"):
        value = eval(compile(ast.Expression(body.value), "<demo>", "eval"), names)
        if value is not None:
            print(repr(value))
    else:
        exec(compile(source, "<demo>", "exec"), names)


def _run_command(command: str) -> None:
    import shlex

    from detent.cli import main

    with contextlib.redirect_stderr(sys.stdout):  # in the order in which a terminal shows them
        code = main(shlex.split(command)[1:])
    if code:
        print(f"(exit code {code})")


def _tint(text: str) -> str:
    bold = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return f"\x1b[1m{text}\x1b[0m" if bold and os.environ.get("TERM") != "dumb" else text


def _has_pandas() -> bool:
    from importlib.util import find_spec

    return find_spec("pandas") is not None
