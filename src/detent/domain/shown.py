"""How values show themselves in a notebook, and how they leave it.

The vocabulary knows no tables, charts or JSON. Values ask for them from a room above, which the
package names when it is imported (`show_by`): so imports still go down only, and drawing is loaded
when the first value is shown.
"""

from collections.abc import Callable
from typing import Any, Protocol


class Views(Protocol):
    """What a room has to offer that shows values."""

    def to_html(self, value: Any) -> str:
        """Return a small table, with a chart where there is one to draw."""
        ...

    def to_chart(self, value: Any) -> dict[str, Any]:
        """Return the Vega-Lite specification of a value's chart."""
        ...

    def to_frame(self, value: Any) -> Any:
        """Return a pandas data frame."""
        ...

    def to_json(self, value: Any) -> str:
        """Return JSON."""
        ...


class Shown:
    """A value that a notebook shows as a table."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return _views().to_html(self)

    def to_frame(self) -> Any:
        """Return a pandas data frame: one row for each thing in it, in full precision.

        Raises
        ------
        InvalidError
            If pandas is not installed.
        """
        return _views().to_frame(self)

    def to_json(self) -> str:
        """Return JSON, with the names and numbers that ``--json`` prints."""
        return _views().to_json(self)


class Charted(Shown):
    """A value that a notebook shows as a table with a chart."""

    __slots__ = ()

    def chart(self) -> dict[str, Any]:
        """Return its chart as a Vega-Lite specification, data included.

        Raises
        ------
        InvalidError
            If there is nothing to draw, such as no interval.
        """
        return _views().to_chart(self)


_load: Callable[[], Views]


def show_by(load: Callable[[], Views]) -> None:
    """Name what shows values: `load` is called when the first one is to be shown."""
    global _load
    _load = load


def _views() -> Views:
    return _load()
