"""The Open Inference Protocol, as its standard clients speak it, and as it must not be spoken."""

import json
import socket
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.conftest import (
    Server,
    Starter,
    add_shop,
    free_port,
    make_registry,
    rows,
    starting,
    tensor,
)

import detent

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, modules: Path) -> detent.Registry:
    """Return a registry with a model of arrays, one of columns, and one that can raise."""
    import broken  # type: ignore[import-not-found]  # written by the fixture

    registry = make_registry(tmp_path_factory.mktemp("shop") / "registry")
    add_shop(registry)
    registry.register("thirteen", broken.raises, sample=rows()[0][:5], code="/")
    registry.activate("thirteen/1", "production")
    return registry


@pytest.fixture(scope="module")
def grpc_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, shop: detent.Registry, grpc_port: int
) -> Iterator[Server]:
    with starting(tmp_path_factory.mktemp("log")) as start:
        yield start(
            shop,
            *("churn", "shop", "thirteen", "--trusted"),
            *("--limit-mb", "1", "--grpc-port", str(grpc_port)),
        )


def check_clients(client: Any, kinds: Any, registry: detent.Registry) -> None:
    X = rows()[0][:4]
    expected = registry.load("churn/2")
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("churn")
    assert client.is_model_ready("churn", "2")
    given = kinds.InferInput("X", list(X.shape), "FP64")
    given.set_data_from_numpy(X)
    answer = client.infer("churn", [given], request_id="mine")
    np.testing.assert_array_equal(answer.as_numpy("predict"), expected.predict(X))
    wanted = [kinds.InferRequestedOutput(name) for name in ("predict_proba", "predict")]
    answer = client.infer("churn@production", [given], model_version="2", outputs=wanted)
    np.testing.assert_array_equal(answer.as_numpy("predict_proba"), expected.predict_proba(X))
    np.testing.assert_array_equal(answer.as_numpy("predict"), expected.predict(X))
    answer = client.infer("churn", [given], parameters={"method": "decision_function"})
    np.testing.assert_array_equal(
        answer.as_numpy("decision_function"), expected.decision_function(X)
    )
    age = kinds.InferInput("age", [2], "FP64")
    age.set_data_from_numpy(np.array([30.0, 50.0]))
    city = kinds.InferInput("city", [2, 1], "BYTES")
    city.set_data_from_numpy(np.array([["bonn"], ["bern"]], dtype=object))
    answer = client.infer("shop", [city, age])
    assert answer.as_numpy("predict").shape == (2,)
    with pytest.raises(Exception, match=r"version 9 of `churn` .* newest in the registry is 2"):
        client.infer("churn", [given], model_version="9")
    with pytest.raises(Exception, match="no model `nothing` is served here"):
        client.infer("nothing", [given])
    with pytest.raises(Exception, match="missing: `age`"):
        client.infer("shop", [city])


def test_the_standard_client_over_http(served: Server, shop: detent.Registry) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tritonclient.http as kinds

    with kinds.InferenceServerClient(f"127.0.0.1:{served.port}") as client:
        check_clients(client, kinds, shop)
        assert client.get_server_metadata()["name"] == "detent"
        assert client.get_model_metadata("shop")["inputs"] == [
            {"name": "age", "datatype": "FP64", "shape": [-1]},
            {"name": "city", "datatype": "BYTES", "shape": [-1]},
        ]


def test_the_standard_client_over_grpc(
    served: Server, shop: detent.Registry, grpc_port: int
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tritonclient.grpc as kinds

    with kinds.InferenceServerClient(f"127.0.0.1:{grpc_port}") as client:
        check_clients(client, kinds, shop)
        assert client.get_server_metadata().name == "detent"
        metadata = client.get_model_metadata("churn")
        assert (metadata.platform, list(metadata.inputs[0].shape)) == ("detent_skops", [-1, 3])


def test_an_answer_names_its_version_and_its_request(served: Server) -> None:
    answer = served.infer(tensor() | {"id": "r-7"})
    assert answer.json["model_version"] == answer.headers["detent-version"] == "2"
    assert answer.json["id"] == answer.headers["detent-request-id"] == "r-7"
    made = [served.infer(tensor()).json["id"] for _ in range(2)]
    assert len({*made, ""}) == 3
    assert served.infer(tensor(), **{"x-request-id": "theirs"}).json["id"] == "theirs"


def test_values_may_lie_in_lists_in_a_list(served: Server) -> None:
    X = rows()[0][:5]
    flat = served.infer(tensor(X)).json["outputs"]
    assert served.infer(tensor(X, data=X.tolist())).json["outputs"] == flat


def test_a_signature_is_met_by_numbers_that_fit(served: Server) -> None:
    whole = served.infer(tensor([[1, 2, 3]], data=[1, 2, 3], datatype="INT64"))
    assert whole.json["outputs"] == served.infer(tensor([[1, 2, 3]])).json["outputs"]


def _raw(shape: list[int], size: object) -> bytes:
    given = {
        "name": "X",
        "shape": shape,
        "datatype": "FP64",
        "parameters": {"binary_data_size": size},
    }
    return json.dumps({"inputs": [given]}).encode()


LENGTH = "Inference-Header-Content-Length"
BINARY = _raw([1, 3], 24)
DATA = struct.pack("<3d", 0.1, 0.2, 0.3)

WRONG: dict[str, tuple[Any, dict[str, str], int, str]] = {
    "not JSON": ("{", {}, 422, "body"),
    "not UTF-8": (b'{"inputs": "\xff"}', {}, 422, "inputs"),
    "empty": ("", {}, 422, "body"),
    "no object": ("[]", {}, 422, "body"),
    "no inputs": ({}, {}, 422, "body"),
    "inputs of a wrong kind": ({"inputs": 1}, {}, 422, "inputs"),
    "none": ({"inputs": []}, {}, 422, "inputs"),
    "a shape of texts": (tensor(shape=["1", "3"]), {}, 422, "inputs[0].shape[0]"),
    "a shape that does not fit": (tensor([[1, 2]]), {}, 422, "inputs[0].shape"),
    "one dimension": (tensor([1, 2, 3]), {}, 422, "inputs[0].shape"),
    "no row": (tensor(shape=[0, 3], data=[]), {}, 422, "inputs[0].shape"),
    "a negative shape": (tensor(shape=[-1, -3]), {}, 422, "inputs[0].shape"),
    "a huge shape": (tensor(shape=[10**12, 3]), {}, 422, "inputs[0].data"),
    "no shape": (tensor(shape=[]), {}, 422, "inputs[0].shape"),
    "too few values": (tensor(data=[1.0]), {}, 422, "inputs[0].data"),
    "no values": ({"inputs": [{"name": "X", "shape": [1, 3], "datatype": "FP64"}]}, {}, 422, ""),
    "texts": (tensor(data=["1", "2", "3"]), {}, 422, "inputs[0].data"),
    "lists that do not fit": (tensor(data=[[1, 2], [3]]), {}, 422, "inputs[0].data"),
    "an unknown datatype": (tensor(datatype="FP128"), {}, 422, "inputs[0].datatype"),
    "another datatype": (
        tensor(datatype="BYTES", data=["a", "b", "c"]),
        {},
        422,
        "inputs[0].datatype",
    ),
    "a value that does not fit": (
        tensor(datatype="INT8", data=[1, 2, 300]),
        {},
        422,
        "inputs[0].data",
    ),
    "another name": (tensor(name="Y"), {}, 422, "inputs[0]"),
    "a missing value": (tensor(data=[1.0, None, 3.0]), {}, 422, "inputs[0].data"),
    "NaN": ('{"inputs": [{"name": "X", "data": [NaN]}]}', {}, 422, "body"),
    "an infinite value": (
        BINARY + struct.pack("<3d", 1, float("inf"), 2),
        {LENGTH: str(len(BINARY))},
        422,
        "inputs[0].data",
    ),
    "an unknown method": (
        tensor() | {"parameters": {"method": "fit"}},
        {},
        422,
        "parameters.method",
    ),
    "an unknown output": (tensor() | {"outputs": [{"name": "x"}]}, {}, 422, "outputs[0]"),
    "a header that is no number": (BINARY + DATA, {LENGTH: "many"}, 422, f"header {LENGTH}"),
    "a header beyond the body": (BINARY + DATA, {LENGTH: "100000"}, 422, f"header {LENGTH}"),
    "a negative header": (BINARY + DATA, {LENGTH: "-1"}, 422, f"header {LENGTH}"),
    "binary without the header": (BINARY, {}, 422, "inputs[0].parameters.binary_data_size"),
    "fewer bytes than said": (
        BINARY + DATA[:-1],
        {LENGTH: str(len(BINARY))},
        422,
        "inputs[0].parameters.binary_data_size",
    ),
    "more bytes than said": (
        BINARY + DATA + b"!",
        {LENGTH: str(len(BINARY))},
        422,
        f"header {LENGTH}",
    ),
    "a size that is a text": (
        _raw([1, 3], "24") + DATA,
        {LENGTH: str(len(_raw([1, 3], "24")))},
        422,
        "inputs[0].parameters.binary_data_size",
    ),
    "bytes that are not of the shape": (
        _raw([2, 3], 24) + DATA,
        {LENGTH: str(len(BINARY))},
        422,
        "inputs[0].parameters.binary_data_size",
    ),
    "too large": (b" " * (1024 * 1024 + 1), {}, 413, "body"),
    "compressed": (b"{}", {"Content-Encoding": "gzip"}, 415, "header Content-Encoding"),
}


def test_what_is_wrong_is_said_with_the_field_at_fault(served: Server) -> None:
    for name, (body, headers, status, field) in WRONG.items():
        answer = served.infer(body, **headers)
        assert answer.status == status, (name, answer.body)
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json
        assert problem["field"] == (field or "inputs[0].data"), (name, problem)
        assert problem["error"] == problem["detail"]
        assert problem["request_id"] == answer.headers["detent-request-id"]
        assert served.infer(tensor()).status == 200, name


def test_columns_that_are_missing_or_too_many_are_named(served: Server) -> None:
    body = tensor([1.0, 2.0], name="age")
    body["inputs"].append(body["inputs"][0] | {"name": "town"})
    problem = served.infer(body, "shop").json
    assert problem["field"] == "inputs[1]"
    assert (problem["details"]["missing"], problem["details"]["unknown"]) == (["city"], ["town"])


def test_what_is_not_there_is_named_with_what_is(served: Server) -> None:
    unknown = served.infer(tensor(), "chrun")
    assert unknown.status == 404
    assert "`churn`" in unknown.json["detail"]
    for path in ("/v2/models/churn/versions/7", "/v2/models/churn/versions/1/ready"):
        other = served.ask("GET", path)
        assert other.status == 404
        assert "version 2 answers; the newest in the registry is 2" in other.json["detail"]
    assert served.ask("GET", "/v2/models/churn/infer").status == 405
    assert served.ask("GET", "/v2/nothing").status == 404


def test_a_model_that_raises_is_counted_and_answers_on(served: Server) -> None:
    fine = tensor([[1.0, 0.0, 0.0]])
    failed = served.infer(tensor([[13.0, 0.0, 0.0]]) | {"id": "bad"}, "thirteen")
    assert failed.status == 500
    assert failed.json["request_id"] == "bad"
    assert "RuntimeError: thirteen" in failed.json["detail"]
    assert served.infer(fine, "thirteen").json["outputs"][0]["data"] == [1.0]
    metrics = served.ask("GET", "/metrics").body.decode()
    labels = '{alias="production",model="thirteen",role="active",version="1"}'
    assert f"detent_prediction_errors_total{labels} 1.0" in metrics
    assert f"detent_predictions_total{labels} 1.0" in metrics
    assert 'detent_active_version{alias="production",model="churn"} 2.0' in metrics


def test_a_client_that_leaves_is_not_missed(served: Server) -> None:
    head = b"POST /v2/models/churn/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n"
    for sent in (b"POST /v2", head, head + b'{"inputs"'):
        with socket.create_connection(("127.0.0.1", served.port)) as client:
            client.sendall(sent)
        assert served.infer(tensor()).status == 200


def test_requests_in_one_batch_get_their_own_answers(
    registry: detent.Registry, start: Starter
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    server = start(registry, "churn", "--batch-ms", "20")
    X = rows()[0][:24]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda row: server.infer(tensor(row.reshape(1, 3))).json, X))
    found = [answer["outputs"][0]["data"][0] for answer in answers]
    assert found == registry.load("churn/2").predict(X).tolist()
