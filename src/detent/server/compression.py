"""Answers sent compressed: a page on a bad link is mostly the time to send it."""

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Receive, Scope, Send

from detent.api import PREFIX

# Blobs are asked for by ranges of their own bytes, and events come one by one.
_AS_THEY_ARE = (f"{PREFIX}/blobs/", "/events")


class Compressed(GZipMiddleware):
    """Compresses answers for those who take them so, except streams."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, compressed where that helps."""
        if scope["type"] != "http" or scope["path"].startswith(_AS_THEY_ARE):
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)
