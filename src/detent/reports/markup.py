"""HTML by construction: text is escaped unless it is markup that was built here."""

from __future__ import annotations

import html
from collections.abc import Sequence

_VOID = frozenset({"br", "hr", "meta"})


class Markup(str):
    """HTML that is safe to put into a page as it is."""

    __slots__ = ()


Cell = str | Markup


def element(name: str, *children: str | None, **attributes: str | None) -> Markup:
    """Return an element. Children that are not `Markup` are escaped, those that are None left out.

    Underscores in the names of attributes become hyphens; one at the end is dropped.

    Examples
    --------
    >>> element("td", "<b>", element("br"), class_="number")
    '<td class="number">&lt;b&gt;<br></td>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{join(*children)}</{name}>")


def join(*parts: str | None) -> Markup:
    """Return parts one after the other, escaped as those of `element`."""
    return Markup(
        "".join(
            part if isinstance(part, Markup) else html.escape(part)
            for part in parts
            if part is not None
        )
    )


def table(
    header: Sequence[str], rows: Sequence[Sequence[Cell]], *, style: str | None = None
) -> Markup:
    """Return a table. The first cell of a row is its heading; `style` is that of each cell."""
    head = [element("th", cell, scope="col", style=style) for cell in header]
    body = [
        element(
            "tr",
            element("th", first, scope="row", style=style),
            *(element("td", cell, style=style) for cell in rest),
        )
        for first, *rest in rows
    ]
    return element(
        "table",
        element("thead", element("tr", *head)) if any(header) else None,
        element("tbody", *body),
    )
