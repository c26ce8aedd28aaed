"""A served version with a compiled form answers with it, and says so."""

import warnings
from pathlib import Path

from sklearn.ensemble import RandomForestClassifier
from tests.serving.conftest import Starter, free_port, rows, tensor, wait_until

import detent


def test_answers_say_which_form_gave_them(start: Starter, tmp_path: Path) -> None:
    X, y = rows()
    registry = detent.connect(tmp_path / "registry", user="ana")
    forest = RandomForestClassifier(10, random_state=0).fit(X, y)
    registry.register("churn", forest, sample=X, compile="treelite", code="/")
    registry.register("churn", forest, sample=X, code="/")
    registry.activate("churn/1", "production")
    port = free_port()
    server = start(registry, "churn", "--grpc-port", str(port))
    answer = server.infer(tensor(X))
    assert answer.json["parameters"] == {"form": "treelite"}
    assert answer.json["outputs"][0]["data"] == forest.predict(X).tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the client's package
        import tritonclient.grpc as kinds

        asked = kinds.InferInput("X", X.shape, "FP64")
        asked.set_data_from_numpy(X)
        with kinds.InferenceServerClient(f"127.0.0.1:{port}") as client:
            response = client.infer("churn", [asked]).get_response()
    assert response.parameters["form"].string_param == "treelite"
    # What the model refuses is refused: the form has not answered it.
    assert server.infer(tensor([[0.1, float("inf"), 0.3]], data=[0.1, 1e300, 0.3])).status != 200
    registry.activate("churn/2", "production", wait_s=60)
    wait_until(lambda: server.infer(tensor(X)).json["model_version"] == "2")
    assert "parameters" not in server.infer(tensor(X)).json
