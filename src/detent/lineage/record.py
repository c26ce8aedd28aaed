"""All that is recorded of a version, put together."""

import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from detent.data.source import describe_data
from detent.domain.digest import digest_of
from detent.domain.manifest import Data, Lineage
from detent.lineage.code import record_code
from detent.lineage.environment import platform_name, python_version, record_packages
from detent.lineage.model import estimator_name, find_seed, record_parameters
from detent.lineage.recipe import recipe

MAX_SAMPLE_ROWS = 100


def record_lineage(
    model: Any,
    *,
    data: Any = None,
    sample: Any = None,
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
    sample : table, optional
        Rows to keep, the first 100. They are among the data under the name ``sample``, and their
        digest there is that of the blob.
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
        What is to be stored with it, by digest: sample, patch, cells.

    Raises
    ------
    DetentError
        If `data` or `sample` cannot be read, as `describe_data` and `encode_table` say. Nothing
        else fails.

    Examples
    --------
    >>> lineage, blobs = record_lineage(sum, data=[1, 2, 3], sample=[1])
    >>> [item.name for item in lineage.data], lineage.data[1].digest in blobs
    (['data', 'sample'], True)
    """
    described = describe_data(data)
    blobs: dict[str, bytes] = {}
    if sample is not None:
        rows, encoded = _record_sample(sample)
        described += (rows,)
        blobs[rows.digest] = encoded
    recorded = record_code(code_folder)
    blobs |= {digest_of(blob): blob for blob in recorded.blobs}
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
    return lineage, blobs


def _record_sample(sample: Any) -> tuple[Data, bytes]:
    from detent.data.table import column_names, encode_table, head, n_rows

    rows = head(sample, MAX_SAMPLE_ROWS)
    encoded = b"".join(encode_table(rows))
    described = Data(
        name="sample",
        digest=digest_of(encoded),
        kind="table",
        n_rows=n_rows(rows),
        columns=column_names(rows),
    )
    return described, encoded


class Recording:
    """A block in which a model is trained: set ``model`` in it; duration and seed are recorded.

    ``duration_s`` is in seconds, None until the block has ended without an error; so is ``seed``
    unless it was set in the block. Not to be shared between threads.

    Warns
    -----
    UserWarning
        If the block ends without an error and no model was set.

    Examples
    --------
    >>> with Recording() as recorded:
    ...     recorded.model = sum
    >>> recorded.duration_s >= 0
    True
    """

    def __init__(self) -> None:
        self.model: Any = None
        self.seed: int | None = None
        self.duration_s: float | None = None
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
        """Stop the clock and look for the seed; an error passes through."""
        if kind is not None:
            return
        self.duration_s = time.perf_counter() - self._started_s
        if self.model is None:
            warnings.warn(
                "the recording ended without a model, so none is registered: set `.model` in it",
                stacklevel=2,
            )
        elif self.seed is None:
            self.seed = find_seed(record_parameters(self.model))
