"""How long a client may take to say what it wants: one that never ends must not keep a place."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

HEADERS_S = 10.0  # for the head of a request, from its first byte, or from the connection, on
BODY_S = 60.0  # for a body that is read whole, and between two parts of one that is a stream


async def body_of(request: Request, most: int) -> bytes:
    """Return the body of a request.

    Raises
    ------
    HTTPException
        413 if it is too large, 408 if it does not come.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise HTTPException(
                        413, f"the body has more than {most:,} bytes; nothing was changed"
                    )
    except TimeoutError:
        raise _too_slow() from None
    return bytes(body)


async def parts_of(request: Request) -> AsyncIterator[bytes]:
    """Yield the parts of a body as they come.

    Raises
    ------
    HTTPException
        408 if the next one does not come.
    """
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(BODY_S):
                part = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise _too_slow() from None
        yield part


def _too_slow() -> HTTPException:
    return HTTPException(408, f"the rest of the body did not come in {BODY_S:g} s")


def patient_protocol(headers_s: float = HEADERS_S) -> type[asyncio.Protocol]:
    """Return what uvicorn reads requests with, and gives up on heads that do not come.

    uvicorn itself waits for them for ever, and each counts among the connections that it allows.
    """
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    base: Any = AutoHTTPProtocol

    class Patient(base):  # type: ignore[misc]  # which one it is depends on what is installed
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self._begin()

        def data_received(self, data: bytes) -> None:
            before = self.cycle  # of the newest request whose head is whole
            super().data_received(data)
            if self.cycle is not before:
                self._end()
            elif self._timer is None and before is not None and before.response_complete:
                self._begin()

        def connection_lost(self, exc: Exception | None) -> None:
            self._end()
            super().connection_lost(exc)

        def _begin(self) -> None:
            self._timer = asyncio.get_running_loop().call_later(headers_s, self._give_up)

        def _end(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _give_up(self) -> None:
            self.transport.abort()

    return Patient
