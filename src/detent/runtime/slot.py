"""A slot: one version, loaded from verified bytes, warmed, its answers checked.

A version with a compiled form answers with that, where its runtime is here and it agrees with the
original on the sample here as well. Where not, the original answers: no switch and no rollback
fails for want of a form.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from types import SimpleNamespace
from typing import Any

from detent.blobs.base import read_verified
from detent.data.table import decode_table, head, n_rows
from detent.domain.manifest import Field, Manifest, Signature
from detent.domain.version import Version
from detent.errors import DetentError, InvalidError
from detent.lineage.signature import infer_signature
from detent.registry.files import load, load_compiled
from detent.registry.manifest import read_manifest
from detent.registry.read import resolve
from detent.registry.stores import Stores

METHODS = ("predict", "predict_proba", "decision_function")
ORIGINAL = "original"
CALL = "return"  # how a signature names what a plain function gives back
_TIMED_CALLS = 3
Method = Callable[[Any], Any]


class Slot:
    """One version, ready to answer. May be shared between threads as far as its model may.

    Attributes
    ----------
    version : Version
        What answers.
    signature : Signature or None
        What it takes and gives, where that is known.
    form : str
        What answers: the name of the compiler of its form, or ``original``.
    form_problem : str or None
        Why its compiled form does not answer.
    methods : mapping of str to callable
        What can be asked of it; ``default`` names the one meant without a name.
    template : table-like or None
        No rows of the sample: the columns with their types, as the model takes them.
    n_running : int
        Requests in flight. Belongs to the deployment, and its lock guards it.
    """

    def __init__(
        self,
        version: Version,
        model: Any,
        *,
        signature: Signature | None = None,
    ) -> None:
        self.version = version
        self.signature = signature
        self.form = ORIGINAL
        self.form_problem: str | None = None
        self.methods: Mapping[str, Method] = _methods_of(model, version)
        self.default = next(iter(self.methods))
        self.template: Any = None
        self.n_running = 0
        self._call_s: float | None = None  # of a call, however few its rows
        self._row_s = 0.0  # more for each row

    def __repr__(self) -> str:
        """Return one line."""
        return f"<Slot {self.version.name}, {self.n_running} running>"

    def use(self, form: str, methods: Mapping[str, Method]) -> None:
        """Answer with a compiled form from now on, where it has the method. Before the first."""
        self.form = form
        self.methods = {name: methods.get(name, own) for name, own in self.methods.items()}

    def expected_s(self, n: int) -> float | None:
        """Return how long `n` rows are expected to take, in seconds; None before the first call."""
        return None if self._call_s is None else self._call_s + n * self._row_s

    def note_time(self, n: int, seconds: float) -> None:
        """Learn from a call that took so long."""
        expected = self.expected_s(n)
        if expected is None:
            self._call_s = seconds
        elif seconds > 2 * expected or seconds < expected / 2:
            # Slowly: one call that had to wait for a busy machine says little.
            self._call_s = max(0.0, (self._call_s or 0.0) + 0.1 * (seconds - expected))

    def warm(self, sample: Any) -> None:
        """Ask it for the rows of a sample, look at the answers, and learn how long they take.

        Raises
        ------
        InvalidError
            If it fails on them, or its answers are not as its signature says.
        """
        asked = next(iter(self.methods.values()))
        found = infer_signature(_as_model(self.methods), sample)
        if self.signature is not None and found is not None and self.signature.outputs:
            _check_outputs(self.signature.outputs, found.outputs, self.version)
        self.template = head(sample, 0)
        one, n = head(sample, 1), n_rows(sample)
        self._call_s = median(_time(asked, one) for _ in range(_TIMED_CALLS))
        self._row_s = max(0.0, _time(asked, sample) - self._call_s) / n if n > 1 else 0.0


def load_slot(
    stores: Stores, model: str, number: int, *, trusted: bool | Sequence[str] = False
) -> Slot:
    """Load a version, verify its bytes, and warm it on its sample.

    Parameters
    ----------
    stores : Stores
        The registry.
    model, number : str, int
        Which version.
    trusted : bool or sequence of str, default=False
        As for `Registry.load`.

    Raises
    ------
    NotFoundError
        If there is no such version.
    RefusedError
        If loading needs trust that was not given.
    CorruptError
        If the bytes are not those that were registered.
    InvalidError
        If nothing in it can be called, or its answers to the sample are not as its signature says.
    """
    version = resolve(stores.metadata.current, f"{model}/{number}")
    manifest = read_manifest(stores.blobs, version.digest, what=f"`{version}`")
    loaded = load(stores, version, trusted=trusted)
    slot = Slot(version, loaded, signature=manifest.signature)
    sample = _read_sample(stores, manifest, version) if manifest.sample is not None else None
    if manifest.compiled is not None:
        try:
            slot.use(*_load_form(stores, version, loaded, sample))
        except DetentError as error:
            slot.form_problem = error.message
    if sample is not None:
        slot.warm(sample)
    return slot


def _load_form(
    stores: Stores, version: Version, loaded: Any, sample: Any
) -> tuple[str, Mapping[str, Method]]:
    from detent.compilers.make import check_form

    form = load_compiled(stores.blobs, version, loaded)
    assert form is not None
    compiler, methods = form
    tables = [] if sample is None else [sample]
    what = "of the sample"
    check_form(loaded, methods, tables, compiler=compiler, what=what, done="the original answers")
    return compiler, methods


def _read_sample(stores: Stores, manifest: Manifest, version: Version) -> Any:
    assert manifest.sample is not None
    return decode_table(read_verified(stores.blobs, manifest.sample.digest, what=f"`{version}`"))


def _as_model(methods: Mapping[str, Method]) -> Any:
    """Return an object that has only the methods that are asked for."""
    return methods.get(CALL) or SimpleNamespace(**methods)


def _methods_of(model: Any, version: Version) -> dict[str, Method]:
    found = {name: getattr(model, name) for name in METHODS if callable(getattr(model, name, None))}
    if not found and callable(model):
        found = {CALL: model}
    if not found:
        raise InvalidError(
            f"`{version}` cannot be served: a `{type(model).__name__}` has no `predict`",
            hint="register an estimator, or a function that predicts",
        )
    return found


def _check_outputs(expected: Sequence[Field], found: Sequence[Field], version: Version) -> None:
    by_name = {field.name: field for field in found}
    for field in expected:
        other = by_name.get(field.name)
        if other is None:
            raise InvalidError(f"`{version}` has no `{field.name}`, which its signature names")
        if (field.dtype, field.shape) != (other.dtype, other.shape):
            raise InvalidError(
                f"`{version}` answers `{field.name}` with {other.dtype} {list(other.shape)}, its"
                f" signature says {field.dtype} {list(field.shape)}"
            )


def _time(method: Method, rows: Any) -> float:
    started = time.perf_counter()
    method(rows)
    return time.perf_counter() - started
