"""Settings: environment first, then ``detent.toml``, then a default; each knows its origin."""

import os
from collections.abc import Mapping

from detent.domain.value import value
from detent.errors import InvalidError

FOLDER = ".detent"  # what `detent init` makes, and what is looked for here and above
_KNOWN = ("url", "user")


@value
class Settings:
    """Where the registry is and who acts. ``origins`` says where each value came from."""

    url: str
    user: str
    origins: Mapping[str, str]


def read_settings(
    *,
    url: str | None = None,
    user: str | None = None,
    environment: Mapping[str, str] = os.environ,
    folder: str | os.PathLike[str] | None = None,
) -> Settings:
    """Return the settings in force.

    Parameters
    ----------
    url, user : str, optional
        What the caller gave: comes first.
    environment : mapping, default=os.environ
        ``DETENT_URL`` and ``DETENT_USER`` come second.
    folder : path, optional
        Where to look for ``detent.toml`` and ``.detent/``, here and above; by default the
        current folder.

    Raises
    ------
    InvalidError
        If ``detent.toml`` is malformed.
    """
    start = os.path.abspath(folder or os.getcwd())
    given = {"url": url, "user": user}
    values: dict[str, str] = {}
    origins: dict[str, str] = {}
    file_path = _nearest(start, "detent.toml")
    file_values = _read_file(file_path) if file_path else {}
    for name in _KNOWN:
        variable = f"DETENT_{name.upper()}"
        if given[name]:
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
    return Settings(url=values["url"], user=values["user"], origins=origins)


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
    if "url" in content and "://" not in content["url"] and content["url"] != "memory:":
        # Relative to the file that says it.
        content["url"] = os.path.join(os.path.dirname(path), content["url"])
    return content


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
