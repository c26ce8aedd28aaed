"""All that is recorded of a version, put together."""

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from detent.data.source import describe_data
from detent.domain.digest import digest_of
from detent.domain.manifest import Lineage
from detent.domain.version import Version
from detent.lineage.code import record_code
from detent.lineage.environment import platform_name, python_version, record_packages
from detent.lineage.model import estimator_name, find_seed, record_parameters
from detent.lineage.recipe import recipe


def record_lineage(
    model: Any,
    *,
    data: Any = None,
    parents: Sequence[str] = (),
    code_folder: Path | None = None,
) -> tuple[Lineage, dict[str, bytes]]:
    """Record where a model came from.

    Parameters
    ----------
    model : estimator or callable
        What is to be registered.
    data : None, path, address, table, pair, dict or list, optional
        What it was trained on, as `describe_data` takes it. Only digests are kept.
    parents : sequence of str, optional
        The versions it was made from, as digests or references.
    code_folder : Path, optional
        A folder of the repository that holds the training code, where it is not that of the
        script which runs or the current folder.

    Returns
    -------
    lineage : Lineage
        What was recorded.
    blobs : dict of str to bytes
        What is to be stored with it, by digest: a patch, or cells.

    Raises
    ------
    DetentError
        If `data` cannot be read, as `describe_data` says. Nothing else fails.

    Examples
    --------
    >>> lineage, blobs = record_lineage(sum, data=[1, 2, 3])
    >>> lineage.estimator, lineage.data[0].n_rows
    ('builtins.sum', 3)
    """
    described = describe_data(data)
    recorded = record_code(code_folder)
    parameters = record_parameters(model)
    lineage = Lineage(
        estimator=estimator_name(model),
        parameters=parameters,
        seed=find_seed(parameters),
        code=recorded.code,
        data=described,
        packages=record_packages(),
        python=python_version(),
        platform=platform_name(),
        parents=tuple(parents),
        recipe=recipe(),
    )
    return lineage, {digest_of(blob): blob for blob in recorded.blobs}


class Recording:
    """A block in which a model is trained: set ``model`` in it, and its duration is measured.

    ``duration_s`` is in seconds, None until the block has ended without an error. ``version`` is
    set when the model has been registered. Not to be shared between threads.

    Examples
    --------
    >>> with Recording() as recorded:
    ...     recorded.model = sum
    >>> recorded.duration_s >= 0
    True
    """

    def __init__(self) -> None:
        self.model: Any = None
        self.duration_s: float | None = None
        self.version: Version | None = None
        self._started_s = 0.0

    def __enter__(self) -> Self:
        """Start the clock."""
        self._started_s = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the clock; an error passes through."""
        if kind is None:
            self.duration_s = time.perf_counter() - self._started_s
