"""Evaluating on Ray Data: pieces of Parquet files are scored by actors, where these run.

The driver sends each actor the verified bytes of the versions, once, and after that only where a
piece begins and ends. So actors need the files of rows, and neither the registry nor its
credentials. They ask the versions about the blocks that one process would ask about, by the same
function, and answer with the answers; metrics are the driver's.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
import ray.data
from ray.exceptions import RayError

from detent.blobs.base import Blobs, put, read_verified
from detent.blobs.memory import MemoryBlobs
from detent.data.parquet import ParquetRows
from detent.data.table import n_rows
from detent.domain.version import Version
from detent.errors import DetentError, InvalidError, UnavailableError
from detent.evaluation.evaluate import Chosen, Job, Score
from detent.evaluation.predict import Answers, Subject, answer
from detent.registry.files import load_compiled, load_version
from detent.registry.manifest import read_manifest

_LEVEL = "RAY_BACKEND_LOG_LEVEL"
_MOST_RESTARTS = 2
_PIECES_PER_ACTOR = 8  # so that one that is slow does not keep the others waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What an actor needs: versions with their bytes, and where the rows are."""

    chosen: tuple[Chosen, ...]
    files: tuple[bytes, ...]
    trusted: bool | Sequence[str]
    rows: ParquetRows
    dataset: str


class RayEngine:
    """Asks versions about Parquet files on the Ray cluster there is, or on one of this machine.

    ``RAY_ADDRESS`` names a cluster. Its workers need this release of detent, the packages that the
    models need, and to reach the files under the same name.
    """

    def __init__(self) -> None:
        self.name: str | None = f"ray {ray.__version__}"

    def score(
        self, blobs: Blobs, versions: Sequence[Version], *, trusted: bool | Sequence[str]
    ) -> Score:
        """Return what asks these versions, which each actor loads once.

        Raises
        ------
        CorruptError
            If the bytes of one are not those that were registered.
        """
        files = tuple(data for version in versions for data in _files_of(blobs, version))

        def score(job: Job) -> Iterator[tuple[int, Sequence[Answers]]]:
            rows = job.data.rows
            if not isinstance(rows, ParquetRows):
                raise InvalidError(
                    "on Ray the workers read the rows, from Parquet files; nothing was recorded",
                    hint='pass data="rows.parquet", or evaluate in this process',
                )
            work = _Work(
                chosen=job.chosen,
                files=files,
                trusted=trusted,
                rows=rows,
                dataset=job.data.name,
            )
            with _cluster(), _quiet(), _errors():
                yield from _run(work)

        return score


def _files_of(blobs: Blobs, version: Version) -> Iterator[bytes]:
    what = f"`{version}`"
    manifest = read_manifest(blobs, version.digest, what=what)
    digests = [version.digest, *(file.digest for file in manifest.files)]
    if manifest.compiled is not None:
        digests.append(manifest.compiled.file.digest)
    for digest in digests:
        yield read_verified(blobs, digest, what=what)


def _run(work: _Work) -> Iterator[tuple[int, Sequence[Answers]]]:
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray's
    n_actors = max(1, int(resources.get("CPU", 1)))
    least = work.rows.n_rows // (n_actors * _PIECES_PER_ACTOR)
    pieces = [{"start": start, "stop": stop} for start, stop in work.rows.pieces(least_rows=least)]
    answered = ray.data.from_items(pieces, override_num_blocks=len(pieces)).map_batches(
        _Scorer,
        fn_constructor_args=(ray.put(work),),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(n_actors, len(pieces))),
        num_cpus=1,
        # By default Ray begins anew for ever, also with rows that end the process of a model.
        ray_remote_args_fn=lambda: {
            "max_restarts": _MOST_RESTARTS,
            "max_task_retries": _MOST_RESTARTS,
        },
    )
    for row in answered.iter_rows():
        found = pickle.loads(row["answers"])  # an actor of ours made it
        if isinstance(found, DetentError):
            raise found
        yield row["start"], found


class _Scorer:
    """An actor: it loads the versions once, and scores one piece after another."""

    def __init__(self, work: Any) -> None:
        self._work: _Work = ray.get(work) if isinstance(work, ray.ObjectRef) else work
        self._subjects: list[Subject] = []
        self._problem: DetentError | None = None
        try:
            self._load()
        except DetentError as error:
            self._problem = error

    def _load(self) -> None:
        blobs = MemoryBlobs()
        for data in self._work.files:
            put(blobs, data)
        for one in self._work.chosen:
            model = load_version(blobs, one.version, trusted=self._work.trusted)
            form = load_compiled(blobs, one.version, model)
            self._subjects.append(
                Subject(version=one.version, model=model, columns=one.columns, form=form)
            )

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield what the versions answer to each block of a piece; an error of ours as itself."""
        try:
            if self._problem is not None:
                raise self._problem
            start, stop = int(batch["start"][0]), int(batch["stop"][0])
            for block in self._work.rows.blocks(start, stop):
                answers = answer(self._subjects, block, start=start, dataset=self._work.dataset)
                yield _row(start, answers)
                start += n_rows(block)
        except DetentError as error:
            yield _row(0, error)


def _row(start: int, found: Any) -> dict[str, Any]:
    # As bytes: the arrays of a block come back as they are, of whatever type.
    answers = np.empty(1, dtype=object)
    answers[0] = pickle.dumps(found)
    return {"start": np.array([start]), "answers": answers}


@contextmanager
def _cluster() -> Iterator[None]:
    """Use the cluster that this process knows, or that is named or runs here; or start one."""
    if ray.is_initialized():
        yield
        return
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        ray.init(address="auto", **options)
    except ConnectionError as error:
        if "RAY_ADDRESS" in os.environ:
            raise UnavailableError(
                f"the Ray cluster at {os.environ['RAY_ADDRESS']} did not answer; nothing was"
                " recorded"
            ) from error
        with _silent_start():
            # On the loopback: nobody else has to reach it, and nobody else can.
            ray.init(
                address="local", include_dashboard=False, _node_ip_address="127.0.0.1", **options
            )
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _silent_start() -> Iterator[None]:
    """Leave out what Ray's core writes past Python: it warns of what Ray Data itself does."""
    before = os.environ.get(_LEVEL)
    os.environ[_LEVEL] = before or "fatal"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_LEVEL]


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave Ray's progress and remarks out: progress is told as it is in one process."""
    context = ray.data.DataContext.get_current()
    before = context.enable_progress_bars, context.print_on_execution_start
    logger = logging.getLogger("ray.data")
    level = logger.level
    context.enable_progress_bars, context.print_on_execution_start = False, False
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        context.enable_progress_bars, context.print_on_execution_start = before
        logger.setLevel(level)


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except RayError as error:
        text = str(error).strip().split("\n")[-1][:300]
        raise UnavailableError(
            f"Ray did not answer all rows: {type(error).__name__}: {text}; nothing was recorded"
        ) from error
