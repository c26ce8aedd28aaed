"""``GET /events?after=SEQ``: the journal as JSON lines, from a durable cursor on."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from detent.domain.events import Event
from detent.errors import InvalidError
from detent.registry.stores import Stores

PAGE = 500
LOOK_S = 0.25  # between two looks at the change counter, while somebody watches


async def stream_events(stores: Stores, request: Request) -> StreamingResponse:
    """Return the events behind ``after``, oldest first; with ``watch=1`` also those to come.

    Raises
    ------
    InvalidError
        If the cursor is no number.
    """
    text = request.query_params.get("after", "0")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidError("`after` is the number of an event, and 0 before the first")
    watches = request.query_params.get("watch", "") in ("1", "true")

    async def lines() -> AsyncIterator[bytes]:
        after = int(text)
        while True:
            page = await run_in_threadpool(_page, stores, after)
            for event in page:
                yield msgspec.json.encode(event) + b"\n"
                after = event.seq
            if len(page) == PAGE:
                continue
            if not watches or await request.is_disconnected():
                return
            await asyncio.sleep(LOOK_S)

    return StreamingResponse(
        lines(), media_type="application/jsonl", headers={"Cache-Control": "no-store"}
    )


def _page(stores: Stores, after: int) -> list[Event]:
    return stores.metadata.current.events_after(after, limit=PAGE)
