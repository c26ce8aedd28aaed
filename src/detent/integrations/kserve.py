"""KServe: an ``InferenceService`` whose pods run ``detent serve``.

The pods follow the alias by the registry, so that a change of version is no change of this file: a
rollback takes as long as it does anywhere, and waits for the pods. What is written here was checked
against KServe's own models, and has never been applied to a cluster.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from detent.errors import InvalidError
from detent.inference.engine import parse_aliases

PORT = 8080
_SECRET = re.compile(r"secret|passw|passfile|token|key|sas|sig|credential", re.IGNORECASE)
_WORD = re.compile(r"y|n|yes|no|on|off|true|false|null", re.IGNORECASE)  # no texts in YAML
_REACHABLE = ("postgresql:", "postgres:")


def inference_service(
    alias: str,
    *,
    url: str,
    image: str,
    blobs: str | None = None,
    secret: str | None = None,
    replicas: int = 1,
) -> dict[str, Any]:
    """Return an ``InferenceService`` (``serving.kserve.io/v1beta1``) that serves an alias.

    Parameters
    ----------
    alias : str
        ``churn@production``; ``churn`` means the same.
    url : str
        The registry, as the pods reach it: ``postgresql://…``. Passwords are left out.
    image : str
        A container image with ``detent[grpc,postgres,s3]`` and what the models need.
    blobs : str, optional
        Where the registry keeps its bytes, unless ``url`` says it: ``s3://bucket/prefix``. Keys
        are left out.
    secret : str, optional
        The name of a Kubernetes secret whose entries become environment variables
        (``PGPASSWORD``, ``AWS_ACCESS_KEY_ID``, …).
    replicas : int, default=1
        The fewest pods, 1 or more: with none, nothing is loaded when a rollback has to be quick.

    Raises
    ------
    InvalidError
        If an argument is out of its range, or pods could not reach the registry.

    Examples
    --------
    >>> made = inference_service("churn", url="postgresql://db/d", blobs="s3://b", image="churn:1")
    >>> made["kind"], made["metadata"]["name"]
    ('InferenceService', 'churn-production')
    """
    (name,) = parse_aliases([alias])
    if not url.startswith(_REACHABLE):
        raise InvalidError(
            f"pods cannot reach the registry `{without_secrets(url)}`; nothing was written",
            hint="copy it to PostgreSQL and an object store (`detent copy`), and name that: --url",
        )
    if not image.strip() or replicas < 1:
        raise InvalidError(
            "an image, and 1 pod or more, are expected; nothing was written",
            hint="--image registry.example/churn-server:1",
        )
    environment = {"DETENT_URL": without_secrets(url), "PROTOCOL": "v2"}
    if blobs is not None:
        environment["DETENT_BLOBS"] = without_secrets(blobs)
    container: dict[str, Any] = {
        "name": "kserve-container",
        "image": image,
        "command": ["detent", "serve"],
        "args": [name, "--host", "0.0.0.0", "--port", str(PORT)],
        "env": [{"name": key, "value": value} for key, value in environment.items()],
        "ports": [{"containerPort": PORT, "protocol": "TCP"}],
        # A version that does not load is no reason to start the pod again: it keeps the one before.
        "readinessProbe": _probe("/v2/health/ready"),
        "livenessProbe": {**_probe("/v2/health/live"), "failureThreshold": 6},
    }
    if secret is not None:
        container["envFrom"] = [{"secretRef": {"name": secret}}]
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": _dns_name(name),
            "annotations": {"detent/alias": name},
        },
        "spec": {
            "predictor": {
                "minReplicas": replicas,
                # Requests in flight are finished: `detent serve` waits 30 s for them.
                "terminationGracePeriodSeconds": 60,
                "containers": [container],
            }
        },
    }


def _probe(path: str) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": PORT}, "periodSeconds": 5, "timeoutSeconds": 5}


def _dns_name(alias: str) -> str:
    """Return a name that Kubernetes takes: small letters, digits and hyphens, 63 at most."""
    name = re.sub(r"[^a-z0-9]+", "-", alias.lower()).strip("-")[:63].strip("-")
    return name if name[:1].isalpha() else f"m-{name}"[:63].strip("-")


def without_secrets(url: str) -> str:
    """Return a URL without password, and without parameters that are named like secrets.

    Examples
    --------
    >>> without_secrets("postgresql://ana:geheim@db/detent?sslmode=require&password=geheim")
    'postgresql://ana@db/detent?sslmode=require'
    """
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    kept = [
        (name, without_secrets(value) if "://" in value else value)
        for name, value in parse_qsl(parts.query)
        if not _SECRET.search(name)
    ]
    netloc = f"{user.partition(':')[0]}{at}{host}"
    return parts._replace(netloc=netloc, query=urlencode(kept, safe=":/@"), fragment="").geturl()


def to_yaml(value: Mapping[str, Any]) -> str:
    """Return an object as YAML, block by block. Texts are quoted as in JSON, which YAML contains.

    Examples
    --------
    >>> print(to_yaml({"kind": "Pod", "spec": {"args": ["a"], "ports": [{"port": 1}]}}), end="")
    kind: "Pod"
    spec:
      args:
        - "a"
      ports:
        - port: 1
    """
    return "".join(f"{line}\n" for line in _lines(value))


def _lines(value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping | list) or not value:
        yield json.dumps(value, ensure_ascii=False)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            is_plain = re.fullmatch(r"[A-Za-z][\w./-]*", key, re.ASCII) and not _WORD.fullmatch(key)
            shown = key if is_plain else json.dumps(key, ensure_ascii=False)
            if inner and isinstance(inner, Mapping | list):
                yield f"{shown}:"
                yield from (f"  {line}" for line in _lines(inner))
            else:
                yield f"{shown}: {json.dumps(inner, ensure_ascii=False)}"
    else:
        for inner in value:
            first, *rest = _lines(inner)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
