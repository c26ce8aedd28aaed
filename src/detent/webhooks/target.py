"""Where a webhook may point to, and sending to it."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import SplitResult, urlsplit

from detent.errors import InvalidError, RefusedError, UnavailableError

TIMEOUT_S = 10.0
_PORTS = {"http": 80, "https": 443}
_HINT = "where the receiver is one of your own, start the server with DETENT_PRIVATE_WEBHOOKS=1"


def check_url(url: str, *, allows_private: bool) -> SplitResult:
    """Return the parts of an address that a webhook may have.

    Raises
    ------
    InvalidError
        If it is no ``https:`` URL (``http:`` where private addresses are allowed), or holds a
        password.
    RefusedError
        If it names an address that is not a public one, and those are not allowed.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidError(f"{url[:200]!a} is no URL: {error}; nothing was changed") from None
    # What is sent in the clear can be read on its way, and changes are nobody else's business.
    schemes = ("https", "http") if allows_private else ("https",)
    if parts.scheme not in schemes or not parts.hostname or port == 0:
        raise InvalidError(f"a webhook is an {schemes[0]}: URL, not {url[:200]!a}", hint=_HINT)
    if parts.username is not None or len(url) > 2000 or not url.isprintable() or " " in url:
        raise InvalidError("a webhook's URL has no password, no space, and at most 2000 characters")
    try:
        address = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return parts
    _check_address(str(address), parts.hostname, allows_private=allows_private)
    return parts


def resolve(parts: SplitResult, *, allows_private: bool) -> str:
    """Return an address of a target's host, checked: whoever connects to it asks no name again.

    Raises
    ------
    RefusedError
        If any of its addresses is not public, and those are not allowed.
    UnavailableError
        If its name has no address.
    """
    host = parts.hostname or ""
    port = parts.port or _PORTS[parts.scheme]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnavailableError(f"the name {host} has no address: {error}") from error
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        _check_address(address, host, allows_private=allows_private)
    return addresses[0]


def _check_address(text: str, host: str, *, allows_private: bool) -> None:
    if not allows_private and not is_public(text):
        raise RefusedError(
            f"{host} is {text}, an address that is not public; nothing was sent", hint=_HINT
        )


def is_public(text: str) -> bool:
    """Say whether an address is one of the public network.

    Examples
    --------
    >>> [is_public(a) for a in ("127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fe80::1%eth0")]
    [False, False, False, False, False]
    >>> is_public("::ffff:127.0.0.1"), is_public("64:ff9b::7f00:1"), is_public("93.184.215.14")
    (False, False, True)
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if address in ipaddress.ip_network("64:ff9b::/96"):  # IPv4 behind a translator
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            address = inner
    return address.is_global and not address.is_multicast


def post(url: str, body: bytes, headers: dict[str, str], *, allows_private: bool) -> int:
    """Send to a target, and return the status of its answer; nothing of the answer is read.

    A redirection is an answer like others: following it could lead anywhere.

    Raises
    ------
    RefusedError
        If the target is not public, and others are not allowed.
    UnavailableError
        If it did not answer.
    """
    import urllib3

    parts = check_url(url, allows_private=allows_private)
    address = resolve(parts, allows_private=allows_private)
    port = parts.port or _PORTS[parts.scheme]
    timeout = urllib3.Timeout(total=TIMEOUT_S)
    pool: urllib3.HTTPConnectionPool
    if parts.scheme == "https":
        pool = urllib3.HTTPSConnectionPool(
            address,
            port,
            timeout=timeout,
            retries=False,
            server_hostname=parts.hostname,
            assert_hostname=parts.hostname,
        )
    else:
        pool = urllib3.HTTPConnectionPool(address, port, timeout=timeout, retries=False)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        with pool:
            answer = pool.urlopen(
                "POST",
                path,
                body=body,
                headers=headers | {"Host": parts.netloc},
                redirect=False,
                preload_content=False,
            )
            answer.close()
            return int(answer.status)
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise UnavailableError(f"no answer ({type(error).__name__})") from error
