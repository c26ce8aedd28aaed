"""What asks versions: this process, or an engine with processes of its own."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Protocol, cast

from detent.blobs.base import Blobs
from detent.domain.version import Version
from detent.errors import InvalidError, NotFoundError
from detent.evaluation.evaluate import Score, score_here

GROUP = "detent.engines"  # the entry points of packages that add an engine

# Found without reading what is installed, like the formats.
_OURS = {"ray": ("detent.integrations.ray", "RayEngine")}


class Engine(Protocol):
    """Asks versions about rows, block by block.

    It answers as one process does, to the bit: blocks begin where `detent.data.blocks` says, and
    each is answered as a whole.

    Attributes
    ----------
    name : str or None
        What an evaluation says it was computed on; None says nothing.
    """

    name: str | None

    def score(
        self, blobs: Blobs, versions: Sequence[Version], *, trusted: bool | Sequence[str]
    ) -> Score:
        """Return what asks these versions.

        Raises
        ------
        RefusedError
            If loading one needs trust that was not given.
        CorruptError
            If its bytes are not those that were registered.
        """
        ...


class Here:
    """Asks in this process."""

    name: str | None = None

    def score(
        self, blobs: Blobs, versions: Sequence[Version], *, trusted: bool | Sequence[str]
    ) -> Score:
        """Return what asks these versions, which are loaded now."""
        from detent.registry.files import load_compiled, load_version

        models = [load_version(blobs, version, trusted=trusted) for version in versions]
        return score_here(
            [
                (model, load_compiled(blobs, version, model))
                for version, model in zip(versions, models, strict=True)
            ]
        )


def find_engine(name: str | None) -> Engine:
    """Return an engine by its name; None is this process.

    Raises
    ------
    NotFoundError
        If no installed package has an engine of that name.
    InvalidError
        If what it needs is not installed.
    """
    if name is None:
        return Here()
    if name in _OURS:
        module, kind = _OURS[name]
        try:
            return cast(Engine, getattr(importlib.import_module(module), kind)())
        except ImportError as error:
            raise InvalidError(
                f"`{name}` cannot be used: {error}; nothing was recorded",
                hint=f'pip install "detent[{name}]"',
            ) from error
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP, name=name):
        return cast(Engine, entry.load()())
    known = sorted({*_OURS, *entry_points(group=GROUP).names})
    raise NotFoundError(
        f"there is no engine `{name}`; there are {', '.join(f'`{item}`' for item in known)};"
        " nothing was recorded",
        hint="leave it out to evaluate in this process",
    )
