"""One process that answers: it follows, ticks, serves, and leaves in good order."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from detent.domain.reference import parse_reference
from detent.inference.engine import Engine
from detent.inference.feedback import add_feedback
from detent.inference.health import Health
from detent.inference.http import Application, make_routes
from detent.inference.logs import log
from detent.inference.metrics import FOLDER_VARIABLE, Metrics
from detent.inference.options import ServeOptions
from detent.inference.tracing import find_tracer
from detent.opening import open_stores
from detent.rollout.trial import Trials
from detent.runtime.follower import TICK_S, Follower
from detent.settings import read_settings

# A version being loaded is Python code beside the event loop. How long it may keep the loop from
# running is this; by default 5 ms, which each answer would have to wait meanwhile.
_SWITCH_S = 0.0005


def make_application(options: ServeOptions) -> Application:
    """Return the ASGI application of this process."""
    sys.setswitchinterval(_SWITCH_S)
    stores = open_stores(read_settings(url=options.url, user=options.user))
    metrics = Metrics()
    folder = os.environ.get(FOLDER_VARIABLE)
    health = Health(Path(folder) if folder else None)

    def tell(event: str, fields: dict[str, Any]) -> None:
        if event == "switched":
            metrics.switched(fields["alias"], fields["to"], fields.pop("at").timestamp())
        log(event, is_problem=event not in ("switched", "can_again", "rollout"), **fields)

    follower = Follower(
        stores,
        [parse_reference(name) for name in options.aliases],
        trusted=options.trusted,
        lease_s=options.lease_s,
        is_strict=options.is_strict,
        tell=tell,
        loading=health.loading,
    )
    trials = Trials(stores, follower, trusted=options.trusted, tell=tell)
    metrics.trials = trials
    engine = Engine(
        stores,
        follower,
        batch_s=options.batch_s,
        observers=[metrics, trials],
        n_workers=options.workers,
    )
    tracer = find_tracer()
    if tracer is not None:
        engine.observers.append(tracer)
    routes = make_routes(engine, metrics.show)
    add_feedback(routes, engine, stores, trials)
    routes.router.lifespan_context = lambda _: _living(options, engine, health, trials)
    return Application(engine, options, routes)


@asynccontextmanager
async def _living(
    options: ServeOptions, engine: Engine, health: Health, trials: Trials
) -> AsyncIterator[None]:
    follower = engine.follower
    loop = asyncio.get_running_loop()
    follower.start()  # nothing is answered before, so nothing waits
    ticking = loop.create_task(_tick(follower))
    trials.start()
    grpc = None
    if options.grpc_port is not None:
        from detent.inference.grpc_server import start_grpc

        grpc = await start_grpc(engine, options)
    # What is there now stays. Looking through all of it for garbage again and again would take
    # longer than many an answer.
    gc.collect()
    gc.freeze()
    health.started()
    log("serving", aliases=list(options.aliases))
    try:
        yield
    finally:
        if grpc is not None:
            await grpc.stop(options.drain_s)
        ticking.cancel()
        with suppress(asyncio.CancelledError):
            await ticking
        await loop.run_in_executor(None, trials.close)
        follower.close()
        engine.close()
        log("left", aliases=list(options.aliases))


async def _tick(follower: Follower) -> None:
    while True:
        follower.tick()
        await asyncio.sleep(TICK_S)
