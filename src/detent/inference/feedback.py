"""The route for labels: what was true, sent when it is known."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from detent.errors import InvalidError
from detent.inference.engine import Engine
from detent.registry.stores import Stores
from detent.rollout.feedback import Label
from detent.rollout.machines import accept_label
from detent.rollout.trial import Trials

_LIMIT = 1024 * 1024


class Feedback(msgspec.Struct, forbid_unknown_fields=True):
    """The label of one row of a request."""

    id: str
    label: bool | int | float | str | list[Any]
    row: int = 0


_decoder = msgspec.json.Decoder(Feedback)


def add_feedback(api: FastAPI, engine: Engine, stores: Stores, trials: Trials) -> None:
    """Add the route to the application of a worker."""

    @api.post("/v2/models/{name}/feedback")
    async def feedback(name: str, request: Request) -> JSONResponse:
        model = engine.find(name).model
        given = _read(await request.body())

        def join() -> bool:
            try:
                trials.recorder.flush()  # what this process answered a moment ago
                return accept_label(stores, model, given)
            finally:
                stores.predictions.close()
                stores.metadata.release()

        is_joined = await run_in_threadpool(join)
        said = {"id": given.request_id, "row": given.row, "joined": is_joined}
        # Another machine has made the answer: it joins the label within seconds.
        return JSONResponse(said, 200 if is_joined else 202)


def _read(body: bytes) -> Label:
    if len(body) > _LIMIT:
        raise InvalidError("the body is larger than one label", details={"field": "body"})
    try:
        given = _decoder.decode(body)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        field = path.rstrip("`").lstrip(".") or "body"
        raise InvalidError(
            f"the feedback is not `id`, `label` and perhaps `row`: {text}",
            details={"field": field},
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidError(f"the body is not JSON: {error}", details={"field": "body"}) from None
    return Label(request_id=given.id, label=given.label, row=given.row)
