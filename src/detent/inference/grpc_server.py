"""The protocol over gRPC: the same engine, other envelopes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import numpy as np

from detent.errors import DetentError, InvalidError, NotFoundError, UnavailableError
from detent.inference.engine import Engine
from detent.inference.grpc_protocol import CALLS, MESSAGES, SERVICE
from detent.inference.http import describe, is_ready
from detent.inference.options import ServeOptions
from detent.inference.protocol import Asked
from detent.inference.tensors import DTYPES, Tensor, count_of, from_bytes, to_bytes, wrong
from detent.runtime.slot import ORIGINAL

# Where the contents of a tensor lie that is not sent as bytes.
_CONTENTS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


async def start_grpc(engine: Engine, options: ServeOptions) -> Any:
    """Answer gRPC on this event loop; return the server, to stop it.

    Raises
    ------
    UnavailableError
        If the port is taken.
    """
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", options.limit_bytes),
            ("grpc.so_reuseport", 1),  # each worker listens at the same port
        ]
    )
    service = _Service(engine)
    handlers = {
        call: grpc.unary_unary_rpc_method_handler(
            _answering(getattr(service, call)),
            request_deserializer=MESSAGES[f"{call}Request"].FromString,
            response_serializer=MESSAGES[f"{call}Response"].SerializeToString,
        )
        for call in CALLS
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    host = f"[{options.host}]" if ":" in options.host else options.host
    try:
        server.add_insecure_port(f"{host}:{options.grpc_port}")
    except RuntimeError as error:
        raise UnavailableError(
            f"port {options.grpc_port} of {options.host} cannot be used for gRPC: {error}",
            hint="choose another with --grpc-port",
        ) from error
    await server.start()
    return server


_Call = Callable[[Any, Any], Awaitable[Any]]


def _answering(call: _Call) -> _Call:
    """Turn an error of ours into gRPC's."""

    async def answer(request: Any, context: Any) -> Any:
        try:
            return await call(request, context)
        except DetentError as error:
            codes = grpc.StatusCode
            code = codes.INTERNAL
            if isinstance(error, NotFoundError):
                code = codes.NOT_FOUND
            elif isinstance(error, InvalidError):
                code = codes.INVALID_ARGUMENT
            elif isinstance(error, UnavailableError):
                code = codes.UNAVAILABLE
            await context.abort(code, error.message)

    return answer


class _Service:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def ServerLive(self, request: Any, context: Any) -> Any:  # noqa: N802  the protocol's
        return MESSAGES["ServerLiveResponse"](live=True)

    async def ServerReady(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._engine.follower.look()
        return MESSAGES["ServerReadyResponse"](ready=is_ready(self._engine))

    async def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: N802
        deployment = self._find(request.name, request.version)
        ready = deployment.may_answer and self._engine.follower.may_answer
        return MESSAGES["ModelReadyResponse"](ready=ready)

    async def ServerMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        import detent

        return MESSAGES["ServerMetadataResponse"](
            name="detent", version=detent.__version__, extensions=["model_versions"]
        )

    async def ModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        found = describe(self._find(request.name, request.version))
        return MESSAGES["ModelMetadataResponse"](name=request.name, **found)

    async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        engine = self._engine
        request_id = request.id or engine.new_id()
        await context.send_initial_metadata((("detent-request-id", _ascii(request_id)),))
        deployment = engine.find(request.model_name)
        tensors, slot = await engine.answer(
            deployment,
            _asked(request),
            request_id,
            version=request.model_version,
        )
        context.add_done_callback(lambda _: engine.finish(deployment, slot))
        number = str(slot.version.number)
        context.set_trailing_metadata((("detent-version", number),))
        answer = MESSAGES["ModelInferResponse"](
            model_name=request.model_name, model_version=number, id=request_id
        )
        if slot.form != ORIGINAL:
            answer.parameters["form"].string_param = slot.form
        for tensor in tensors:
            answer.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.array.shape)
            answer.raw_output_contents.append(to_bytes(tensor.array, tensor.datatype))
        return answer

    def _find(self, name: str, version: str) -> Any:
        self._engine.follower.look()
        deployment = self._engine.find(name)
        if version:
            self._engine.check_version(deployment, deployment.active, version)
        return deployment


def _asked(request: Any) -> Asked:
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise wrong(
            f"the request has {len(request.inputs)} inputs and {len(raw)} raw contents",
            "raw_input_contents",
        )
    tensors = []
    for i, given in enumerate(request.inputs):
        place, shape = f"inputs[{i}]", list(given.shape)
        if raw:
            array = from_bytes(raw[i], given.datatype, shape, place)
        else:
            array = _contents(given, shape, place)
        tensors.append(Tensor(given.name, given.datatype, array, place))
    method = None
    if "method" in request.parameters:
        method = request.parameters["method"].string_param
    key = request.parameters["key"].string_param if "key" in request.parameters else None
    outputs = [output.name for output in request.outputs]
    return Asked(tensors, request.id, method, outputs, key=key or None)


def _contents(given: Any, shape: list[int], place: str) -> Any:
    name = _CONTENTS.get(given.datatype)
    if name is None:
        known = ", ".join(_CONTENTS)
        raise wrong(
            f"`{place}` has the datatype {given.datatype[:40]!a}: {known} are known here",
            f"{place}.datatype",
        )
    values, count = list(getattr(given.contents, name)), count_of(shape, place)
    if len(values) != count:
        raise wrong(
            f"`{place}` has {len(values):,} values in `{name}`, its shape {shape} says {count:,}",
            f"{place}.contents",
        )
    try:
        if given.datatype == "BYTES":
            values = [value.decode() for value in values]
        return np.array(values, dtype=DTYPES[given.datatype]).reshape(shape)
    except (OverflowError, ValueError) as error:
        raise wrong(
            f"a value of `{place}` is no {given.datatype}: {error}", f"{place}.contents"
        ) from None


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
