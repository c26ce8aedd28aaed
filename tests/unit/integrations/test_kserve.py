"""What is written for KServe: names that its models know, and no secret."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

import detent
from detent.cli import main
from detent.integrations.kserve import inference_service, to_yaml, without_secrets

URL = "postgresql://ana:geheim@db.example:5432/detent?sslmode=require&password=geheim"
BLOBS = "s3://models/prod?endpoint=https://s3.example&aws_secret_access_key=geheim"

# The names that KServe 0.21 has for the fields used here (V1beta1InferenceService and its parts).
FIELDS = {
    "": {"apiVersion", "kind", "metadata", "spec", "status"},
    "spec": {"explainer", "predictor", "transformer"},
    "predictor": {
        *("minReplicas", "maxReplicas", "terminationGracePeriodSeconds", "containers"),
        *("serviceAccountName", "volumes"),
    },
    "container": {
        *("name", "image", "command", "args", "env", "envFrom", "ports"),
        *("readinessProbe", "livenessProbe", "resources", "volumeMounts"),
    },
}


def service(**changes: Any) -> dict[str, Any]:
    given = {"url": URL, "blobs": BLOBS, "image": "registry.example/churn:1"} | changes
    return inference_service(given.pop("alias", "churn@production"), **given)


def test_it_has_the_fields_that_kserve_knows() -> None:
    made = service(secret="churn-registry", replicas=2)
    (container,) = made["spec"]["predictor"]["containers"]
    assert made["apiVersion"] == "serving.kserve.io/v1beta1"
    assert made["kind"] == "InferenceService"
    assert made.keys() <= FIELDS[""]
    assert made["spec"].keys() <= FIELDS["spec"]
    assert made["spec"]["predictor"].keys() <= FIELDS["predictor"]
    assert container.keys() <= FIELDS["container"]
    assert container["name"] == "kserve-container"  # KServe looks for it by this name
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    assert environment["PROTOCOL"] == "v2"
    assert environment["DETENT_URL"] == "postgresql://ana@db.example:5432/detent?sslmode=require"
    assert environment["DETENT_BLOBS"] == "s3://models/prod?endpoint=https://s3.example"
    assert container["args"][0] == "churn@production"
    ports = {str(port["containerPort"]) for port in container["ports"]}
    assert container["args"][-1] in ports


def test_no_secret_is_written() -> None:
    assert "geheim" not in to_yaml(service())
    token = "s3://b/p?endpoint=https://h&token=geheim&sas_signature=geheim"
    assert without_secrets(token) == "s3://b/p?endpoint=https://h"


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}", fullmatch=True))
def test_the_name_is_one_that_kubernetes_takes(model: str) -> None:
    name = service(alias=model)["metadata"]["name"]
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)
    assert len(name) <= 63


TEXTS = st.one_of(
    st.text(st.characters(categories=["L", "N", "P", "Sc", "Zs"]), max_size=8),
    st.sampled_from(["on", "No", "null", "~", "2026-01-01", "1e3", "0x1f", "a: b", "# c"]),
)
VALUES = st.recursive(
    st.one_of(TEXTS, st.integers(), st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)


@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=3))
def test_the_yaml_is_what_was_meant(value: dict[str, Any]) -> None:
    assert yaml.safe_load(to_yaml(value)) == value


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"url": "/srv/models"}, "pods cannot reach the registry"),
        ({"url": "memory:"}, "pods cannot reach the registry"),
        ({"alias": "churn/7"}, "names a version"),
        ({"image": " "}, "an image, and 1 pod or more"),
        ({"replicas": 0}, "an image, and 1 pod or more"),
    ],
)
def test_what_cannot_work_is_refused(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(detent.InvalidError, match=match):
        service(**changes)


@pytest.mark.integration
def test_the_command_writes_it(
    postgres_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = detent.connect(postgres_url, user="ana", blobs=tmp_path / "blobs")
    X = np.arange(6.0).reshape(-1, 1)
    model = LogisticRegression().fit(X, X[:, 0] > 2)
    registry.register("churn", model, sample=X, code="/")
    registry.activate("churn/1", "production")
    separator = "&" if "?" in postgres_url else "?"
    url = f"{postgres_url}{separator}blobs={tmp_path / 'blobs'}"
    asked = ["export", "--kserve", "churn", "--image", "churn:1", "--url", url]
    assert main(asked) == 0
    shown = capsys.readouterr()
    assert yaml.safe_load(shown.out)["metadata"]["name"] == "churn-production"
    assert "--secret" in shown.err
    assert main([*asked[:3], str(tmp_path / "it.yaml"), *asked[3:]]) == 0
    assert (tmp_path / "it.yaml").read_text() == shown.out
    assert main([*asked[:3], str(tmp_path / "it.yaml"), *asked[3:]]) == 2
    assert main(["export", "--kserve", "shop", "--image", "x", "--url", url]) == 4
    assert main(["export", "churn/1", "--url", url]) == 2
