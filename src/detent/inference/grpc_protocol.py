"""The messages of the Open Inference Protocol, version 2, for gRPC.

The protocol's definition is public. It is written here as a table and becomes classes when gRPC
is asked for, so that no generated file has to fit the installed release of protobuf. It lives in a
pool of its own: a client of the protocol in the same process brings the same names.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"

_F = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "bool": _F.TYPE_BOOL,
    "bytes": _F.TYPE_BYTES,
    "double": _F.TYPE_DOUBLE,
    "float": _F.TYPE_FLOAT,
    "int32": _F.TYPE_INT32,
    "int64": _F.TYPE_INT64,
    "string": _F.TYPE_STRING,
    "uint32": _F.TYPE_UINT32,
    "uint64": _F.TYPE_UINT64,
}

# Message: its fields, numbered from 1. `*` is repeated, `%` a map from text, `|` one of several;
# a type that begins with a capital is a message.
_PARAMETERS = "%InferParameter parameters"
_MESSAGES = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "bool live",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "bool ready",
    "ModelReadyRequest": "string name, string version",
    "ModelReadyResponse": "bool ready",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": "string name, string version, *string extensions",
    "ModelMetadataRequest": "string name, string version",
    "ModelMetadataResponse.TensorMetadata": "string name, string datatype, *int64 shape",
    "ModelMetadataResponse": (
        "string name, *string versions, string platform,"
        " *ModelMetadataResponse.TensorMetadata inputs,"
        " *ModelMetadataResponse.TensorMetadata outputs"
    ),
    "InferParameter": (
        "|bool bool_param, |int64 int64_param, |string string_param, |double double_param,"
        " |uint64 uint64_param"
    ),
    "InferTensorContents": (
        "*bool bool_contents, *int32 int_contents, *int64 int64_contents, *uint32 uint_contents,"
        " *uint64 uint64_contents, *float fp32_contents, *double fp64_contents,"
        " *bytes bytes_contents"
    ),
    "ModelInferRequest.InferInputTensor": (
        f"string name, string datatype, *int64 shape, {_PARAMETERS}, InferTensorContents contents"
    ),
    "ModelInferRequest.InferRequestedOutputTensor": f"string name, {_PARAMETERS}",
    "ModelInferRequest": (
        f"string model_name, string model_version, string id, {_PARAMETERS},"
        " *ModelInferRequest.InferInputTensor inputs,"
        " *ModelInferRequest.InferRequestedOutputTensor outputs, *bytes raw_input_contents"
    ),
    "ModelInferResponse.InferOutputTensor": (
        f"string name, string datatype, *int64 shape, {_PARAMETERS}, InferTensorContents contents"
    ),
    "ModelInferResponse": (
        f"string model_name, string model_version, string id, {_PARAMETERS},"
        " *ModelInferResponse.InferOutputTensor outputs, *bytes raw_output_contents"
    ),
}
CALLS = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="open_inference_v2.proto", package=PACKAGE, syntax="proto3"
    )
    made: dict[str, descriptor_pb2.DescriptorProto] = {}
    for path in sorted(_MESSAGES, key=lambda path: path.count(".")):
        outer, _, name = path.rpartition(".")
        where = made[outer].nested_type if outer else file.message_type
        made[path] = message = where.add(name=name)
        fields = [field.strip() for field in _MESSAGES[path].split(",") if field]
        for number, field in enumerate(fields, start=1):
            _add_field(message, path, field, number)
    return file


def _add_field(message: Any, path: str, text: str, number: int) -> None:
    mark = text[0] if text[0] in "*%|" else ""
    kind, name = text[len(mark) :].split()
    field = message.field.add(name=name, number=number, label=_F.LABEL_OPTIONAL)
    if mark in ("*", "%"):
        field.label = _F.LABEL_REPEATED
    if mark == "%":  # on the wire a map is a list of pairs
        pair = message.nested_type.add(name="ParametersEntry")
        pair.options.map_entry = True
        _add_field(pair, "", "string key", 1)
        _add_field(pair, "", f"{kind} value", 2)
        kind = f"{path}.ParametersEntry"
    if mark == "|":
        if not message.oneof_decl:
            message.oneof_decl.add(name="parameter_choice")
        field.oneof_index = 0
    if kind in _TYPES:
        field.type = _TYPES[kind]
    else:
        field.type, field.type_name = _F.TYPE_MESSAGE, f".{PACKAGE}.{kind}"


def _make_classes() -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in _MESSAGES
    }


MESSAGES = _make_classes()
