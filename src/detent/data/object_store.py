"""How object stores are spoken to, whatever is read from them or written."""

from datetime import timedelta
from typing import Any, cast
from urllib.parse import SplitResult, parse_qsl

from obstore.store import from_url

_CLIENT = {"connect_timeout": "10s", "timeout": "120s"}  # of one request
_RETRY: Any = {"max_retries": 6, "retry_timeout": timedelta(seconds=30)}


def parameters_of(address: SplitResult) -> dict[str, str]:
    """Return the parameters of a store, as they stand in the query of an address."""
    return dict(parse_qsl(address.query))


def open_object_store(location: str, parameters: dict[str, str]) -> Any:
    """Return the store at a location, which everything in it is named from.

    Parameters
    ----------
    location : str
        ``s3://bucket/prefix``, without a query.
    parameters : dict
        Handed to obstore: ``endpoint``, ``region``, …

    Raises
    ------
    obstore.exceptions.BaseError, ValueError
        If there can be no such store.
    """
    is_plain = parameters.get("endpoint", "").startswith("http://")
    return from_url(
        location,
        config=cast(Any, parameters),
        client_options=cast(Any, _CLIENT | {"allow_http": True} if is_plain else _CLIENT),
        retry_config=_RETRY,
    )
