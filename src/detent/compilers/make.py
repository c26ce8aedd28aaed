"""Making a compiled form that has been seen to agree with its original."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from detent.compilers.agreement import TOLERANCE, Difference, find_difference, show_rows
from detent.compilers.base import Compiler, Methods
from detent.compilers.lookup import AUTO, compilers_for, get_compiler
from detent.compilers.probe import make_tables
from detent.data.table import head, n_rows
from detent.errors import DetentError, InvalidError, RefusedError

_MAX_SAMPLE_ROWS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A compiled form that agreed with its original on ``n_checked`` rows."""

    compiler: str
    data: bytes
    n_checked: int
    tolerance: float


def compile_model(model: Any, sample: Any, *, name: str) -> tuple[Form | None, str | None]:
    """Compile a model, and check that the form answers as the model does.

    Parameters
    ----------
    model : estimator
        A fitted model.
    sample : table-like of shape (n_samples, n_features)
        Rows as it takes them. Up to 10,000 of them are compared, and more that are made of them.
    name : str
        A compiler, or ``auto``: the first that has a form of it which agrees.

    Returns
    -------
    form : Form or None
        None when ``auto`` has found none.
    remark : str or None
        Why ``auto`` has found none.

    Raises
    ------
    NotFoundError
        If there is no such compiler.
    InvalidError
        If the compiler has no form for the model, or is not installed; or there is no sample.
    RefusedError
        If the form answers otherwise than the model; the message names rows.
    """
    if sample is None or not n_rows(sample):
        raise InvalidError(
            f'compile="{name}" needs rows to compare answers on; nothing was registered',
            hint="pass some as sample=",
        )
    if name != AUTO:
        return _compiled(get_compiler(name), model, sample), None
    reasons = []
    for compiler in compilers_for(model):
        try:
            return _compiled(compiler, model, sample), None
        except (InvalidError, RefusedError) as error:
            reasons.append(f"{compiler.name}: {error.message}")
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    return None, "it has no compiled form: " + (
        "; ".join(reasons) if reasons else f"no compiler takes a `{kind}`"
    )


def load_form(compiler: str, data: bytes, model: Any, *, what: str) -> Methods:
    """Return the methods that a compiled form answers in the place of its original's.

    Raises
    ------
    NotFoundError
        If its compiler is not known here.
    InvalidError
        If its runtime is not installed here.
    CorruptError
        If the bytes are no form of that model.
    """
    try:
        return get_compiler(compiler).load(data, model)
    except DetentError as error:
        raise type(error)(
            f"the compiled form of {what} was not loaded: {error.message}",
            hint=error.hint,
            details=error.details,
        ) from error


def check_form(
    model: Any,
    methods: Methods,
    tables: Sequence[Any],
    *,
    compiler: str,
    what: str,
    done: str,
    first_row: int = 0,
) -> int:
    """Check that a form answers as its original, and return on how many rows.

    The tables are of rows from ``first_row`` on, for an error that names them.

    Raises
    ------
    RefusedError
        If it does not. The message ends with ``done``: what was not.
    """
    n = 0
    for table in tables:
        difference = find_difference(model, methods, table, tolerance=TOLERANCE)
        if difference is not None:
            named = replace(difference, rows=tuple(first_row + row for row in difference.rows))
            raise _refused(named, n_rows(table), compiler, what, done)
        n += n_rows(table)
    return n


def _compiled(compiler: Compiler, model: Any, sample: Any) -> Form:
    data = compiler.compile(model, sample)
    methods = compiler.load(data, model)
    sample = head(sample, _MAX_SAMPLE_ROWS)
    # The same rows each time: whether a form is taken must not be a matter of luck.
    made = list(make_tables(model, sample, np.random.default_rng(0)))
    n = check_form(
        model,
        methods,
        [sample],
        compiler=compiler.name,
        what="of the sample",
        done="nothing was registered",
    )
    n += check_form(
        model,
        methods,
        made,
        compiler=compiler.name,
        what="made of the sample",
        done="nothing was registered",
    )
    return Form(compiler=compiler.name, data=data, n_checked=n, tolerance=TOLERANCE)


def _refused(difference: Difference, n: int, compiler: str, what: str, done: str) -> RefusedError:
    which = (
        f"`{difference.method}` differs in {len(difference.rows):,} of {n:,} rows {what}"
        f" ({show_rows(difference.rows)})"
        if difference.rows
        else f"`{difference.method}` differs for a table {what}"
    )
    return RefusedError(
        f"the form that `{compiler}` compiled does not answer as the model does: {which}:"
        f" {difference.text}; {done}",
        hint="register the model without compile=, or with another compiler",
        details={
            "compiler": compiler,
            "method": difference.method,
            "rows": list(difference.rows),
            "tolerance": TOLERANCE,
        },
    )
