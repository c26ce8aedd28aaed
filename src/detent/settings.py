"""Settings: environment first, then ``detent.toml``, then a default; each knows its origin."""

import os
from collections.abc import Mapping

from detent.domain.value import value
from detent.errors import InvalidError

FOLDER = ".detent"  # what `detent init` makes, and what is looked for here and above
CACHE_SIZE = "10 GB"
_KNOWN = ("url", "user", "blobs", "cache", "cache_size", "private_webhooks")
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@value
class Settings:
    """Where the registry is and who acts. ``origins`` says where each value came from.

    ``blobs`` is where a registry in PostgreSQL keeps its bytes; ``cache`` the folder for copies of
    distant ones, at most ``cache_bytes`` together. ``private_webhooks`` lets webhooks point to
    addresses that are not public.
    """

    url: str
    user: str
    blobs: str | None = None
    cache: str | None = None
    cache_bytes: int = 0
    private_webhooks: bool = False
    origins: Mapping[str, str]


def read_settings(
    *,
    url: str | None = None,
    user: str | None = None,
    blobs: str | None = None,
    environment: Mapping[str, str] = os.environ,
    folder: str | os.PathLike[str] | None = None,
) -> Settings:
    """Return the settings in force.

    Parameters
    ----------
    url, user, blobs : str, optional
        What the caller gave: comes first.
    environment : mapping, default=os.environ
        ``DETENT_URL``, ``DETENT_USER``, ``DETENT_BLOBS``, ``DETENT_CACHE``,
        ``DETENT_CACHE_SIZE`` and ``DETENT_PRIVATE_WEBHOOKS`` come second. ``DETENT_REPRODUCING``
        takes the place of any URL: what is trained again goes there.
    folder : path, optional
        Where to look for ``detent.toml`` and ``.detent/``, here and above; by default the
        current folder.

    Raises
    ------
    InvalidError
        If ``detent.toml`` or a value is malformed.
    """
    start = os.path.abspath(folder or os.getcwd())
    given = {"url": url, "user": user, "blobs": blobs}
    rebuilding = environment.get("DETENT_REPRODUCING")
    if rebuilding:  # by `Registry.reproduce`: nothing is to reach the registry that is named
        given |= {"url": rebuilding, "blobs": None}
    values: dict[str, str] = {}
    origins: dict[str, str] = {}
    file_path = _nearest(start, "detent.toml")
    file_values = _read_file(file_path) if file_path else {}
    for name in _KNOWN:
        variable = f"DETENT_{name.upper()}"
        if given.get(name):
            values[name], origins[name] = str(given[name]), "given"
        elif environment.get(variable):
            values[name], origins[name] = environment[variable], variable
        elif name in file_values:
            values[name], origins[name] = file_values[name], file_path or ""
    if "url" not in values:
        near = _nearest(start, FOLDER)
        values["url"] = near or os.path.join(start, FOLDER)
        origins["url"] = "the nearest .detent/" if near else "default"
    if "user" not in values:
        values["user"], origins["user"] = _login(environment), "login"
    _check_user(values["user"])
    if "cache" not in values:
        base = environment.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        values["cache"], origins["cache"] = os.path.join(base, "detent"), "default"
    if "cache_size" not in values:
        values["cache_size"], origins["cache_size"] = CACHE_SIZE, "default"
    return Settings(
        url=values["url"],
        user=values["user"],
        blobs=values.get("blobs"),
        cache=values["cache"],
        cache_bytes=_size(values["cache_size"]),
        private_webhooks=_is_yes("private_webhooks", values.get("private_webhooks", "no")),
        origins=origins,
    )


def take_parameter(url: str, name: str) -> tuple[str, str | None]:
    """Return a URL without one of its parameters, and what that was; the rest stays as it is.

    Examples
    --------
    >>> take_parameter("postgresql:///models?host=/run&schema=churn", "schema")
    ('postgresql:///models?host=/run', 'churn')
    """
    from urllib.parse import unquote

    start, mark, query = url.partition("?")
    parameters = [part.partition("=") for part in query.split("&")] if mark else []
    found = [unquote(text) for key, _, text in parameters if key == name]
    rest = "&".join("".join(part) for part in parameters if part[0] != name)
    return (f"{start}?{rest}" if rest else start), found[-1] if found else None


def _nearest(folder: str, name: str) -> str | None:
    while not os.path.exists(os.path.join(folder, name)):
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above
    return os.path.join(folder, name)


def _read_file(path: str) -> dict[str, str]:
    import tomllib

    try:
        with open(path, "rb") as stream:
            content = tomllib.load(stream)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidError(f"{path} is not TOML: {error}") from error
    for key, text in content.items():
        if key not in _KNOWN:
            raise InvalidError(f"{path} has no setting `{key}`: {', '.join(_KNOWN)} are known")
        if not isinstance(text, str):
            raise InvalidError(f"`{key}` in {path} is text, not {text!r}")
    for name in ("url", "blobs", "cache"):
        if name in content and "://" not in content[name] and content[name] != "memory:":
            # Relative to the file that says it.
            content[name] = os.path.join(os.path.dirname(path), content[name])
    return content


def _size(text: str) -> int:
    import re

    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Z]*)", text.strip().upper())
    if not found or found[2] not in _UNITS:
        raise InvalidError(
            f"`cache_size` is a size such as `10 GB` or `500 MB`, or 0 for no cache, not {text!r}"
        )
    return int(float(found[1]) * _UNITS[found[2]])


def _is_yes(name: str, text: str) -> bool:
    known = {"1": True, "yes": True, "true": True, "0": False, "no": False, "false": False}
    if text.strip().lower() not in known:
        raise InvalidError(f"`{name}` is `yes` or `no`, not {text!r}")
    return known[text.strip().lower()]


def _login(environment: Mapping[str, str]) -> str:
    for name in ("LOGNAME", "USER", "USERNAME"):
        if environment.get(name):
            return environment[name]
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):  # no such system, or a user without a name in a container
        return "unknown"


def _check_user(user: str) -> None:
    if not user.strip() or len(user) > 200 or not user.isprintable():
        raise InvalidError(
            f"{ascii(user)[:80]} cannot be a user: 1 to 200 printable characters are expected",
            hint="set it with DETENT_USER",
        )
