"""The least that could answer the same requests: an ASGI application around one `predict`.

`python minimal.py REGISTRY REFERENCE PORT WORKERS` serves it with the settings of `detent serve`.
"""

import sys
from functools import partial

import msgspec
import numpy as np
import uvicorn
from uvicorn.supervisors import Multiprocess

import detent


class Input(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: list[float]


class Request(msgspec.Struct):
    inputs: list[Input]


def make_application(url, reference):  # type: ignore[no-untyped-def]
    model = detent.connect(url).load(reference)
    decode = msgspec.json.Decoder(Request).decode
    encode = msgspec.json.Encoder().encode

    async def application(scope, receive, send):  # type: ignore[no-untyped-def]
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        (given,) = decode(body).inputs
        answer = model.predict(np.array(given.data).reshape(given.shape))
        output = {
            "name": "predict",
            "datatype": "INT64",
            "shape": answer.shape,
            "data": answer.tolist(),
        }
        body = encode({"model_name": "m", "outputs": [output]})
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return application


def main(url: str, reference: str, port: str, workers: str) -> None:
    from detent.inference.serve import _listen

    config = uvicorn.Config(
        partial(make_application, url, reference),
        factory=True,
        workers=int(workers),
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
    )
    with _listen("127.0.0.1", int(port)) as listening:
        print(listening.getsockname()[1], flush=True)
        if config.workers == 1:
            uvicorn.Server(config).run(sockets=[listening])
        else:
            Multiprocess(config, sockets=[listening]).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
