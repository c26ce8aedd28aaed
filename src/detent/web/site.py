"""How a page is answered: who looks, as HTML or JSON, with which headers, and forms that count."""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import jinja2
import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from detent.charts.chart import Chart
from detent.charts.draw import draw
from detent.domain.access import Role, Token
from detent.domain.digest import digest_of
from detent.errors import DetentError, NotFoundError, UnavailableError
from detent.facade import Registry
from detent.registry.stores import Stores
from detent.server import auth
from detent.server.app import Server
from detent.server.patience import body_of
from detent.server.problems import problem_of
from detent.web import words

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
MAX_FORM = 64 << 10  # bytes
_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a page shows: a template and its values, which are also its JSON.

    Each `Chart` among the values is a file too: the page's address with ``chart=`` and its name.
    A part of a page (`is_part`) is asked for again and again: it has an ETag, and no forms.
    """

    template: str
    values: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    is_part: bool = False


@dataclass(frozen=True, kw_only=True)
class Visit:
    """Somebody who looks at a page, or sends a form."""

    request: Request
    registry: Registry
    token: Token
    form: dict[str, str]

    @property
    def path(self) -> dict[str, Any]:
        """What the address names."""
        return self.request.path_params

    @property
    def stores(self) -> Stores:
        """What the registry is kept in, for what only a page asks."""
        return self.registry._operations.stores

    @property
    def expected(self) -> int | None:
        """What the form's page had seen as the newest: the `If-Match` of a form."""
        text = self.form.get("expected", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

    def asked(self, name: str) -> str | None:
        """Return what the query says of a name, if it says anything."""
        return (self.request.query_params.get(name) or "").strip() or None


Answer = Page | Response
Handler = Callable[[Visit], Answer]


class Site:
    """What the pages share: the server, the templates, and the key of the forms."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._key = secrets.token_bytes(32)
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("detent.web"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        self._templates.filters |= words.FILTERS

    def form_key(self, request: Request, salt: str | None = None) -> str:
        """Return what a form has to carry: no other site's page can know it.

        Another one for each page: in pages that are sent compressed, their sizes could otherwise
        give away a text that stays the same (the BREACH attack).
        """
        salt = secrets.token_hex(16) if salt is None else salt
        session = request.cookies.get(auth.COOKIE, "")
        told = f"{salt}.{session}".encode()
        return f"{salt}.{hmac.new(self._key, told, hashlib.sha256).hexdigest()}"

    def page(self, handler: Handler, role: Role = Role.READER) -> Any:
        """Return an endpoint: `handler` with who looks, its answer as HTML or JSON."""

        async def endpoint(request: Request) -> Response:
            try:
                self.server.check_source(request)
                form = await self._form(request)
                return await run_in_threadpool(self._answer, handler, role, request, form)
            except HTTPException as error:
                if error.status_code == 401:
                    here = quote(request.url.path)
                    return RedirectResponse(f"/sign-in?next={here}", 303, headers=HEADERS)
                return self.render(request, _failed(error), None)
            except DetentError as error:
                return self.render(request, _failed(error), None)

        return endpoint

    async def _form(self, request: Request) -> dict[str, str]:
        if request.method != "POST":
            return {}
        body = await body_of(request, MAX_FORM)
        try:
            found = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=50)
        except ValueError:
            raise HTTPException(422, "the form is malformed; nothing was changed") from None
        form = {name: values[-1] for name, values in found.items()}
        given = form.get("key", "")
        own = self.form_key(request, given.partition(".")[0])
        if not hmac.compare_digest(given.encode(), own.encode()):
            raise HTTPException(
                403, "the form is too old, or of another page; open it again; nothing was changed"
            )
        return form

    def _answer(
        self, handler: Handler, role: Role, request: Request, form: dict[str, str]
    ) -> Response:
        try:
            token = self.server.identify(request)
        except UnavailableError as error:  # asked first of all: it is the database
            return self.render(request, _failed(error, is_database=True), None)
        auth.check(token, Role.READER, None)
        if request.method == "POST":
            auth.check(token, role, request.path_params.get("model"))
        stores = self.server.stores_for(token)
        visit = Visit(request=request, registry=Registry(stores), token=token, form=form)
        try:
            answer = handler(visit)
        except DetentError as error:
            answer = _failed(error)
        if isinstance(answer, Response):
            return answer
        name = visit.asked("chart")
        if name is not None and answer.status == 200:
            return _file(request, answer, name) or self.render(request, _NO_CHART, token)
        return self.render(request, answer, token)

    def render(self, request: Request, page: Page, token: Token | None) -> Response:
        """Return a page as HTML, or its values as JSON where the address ends so."""
        if request.url.path.endswith(".json"):
            body = msgspec.json.encode(page.values)
            return Response(body, page.status, media_type="application/json", headers=HEADERS)
        html = self._templates.get_template(f"{page.template}.html").render(
            **page.values,
            who=token,
            key=self.form_key(request),
            is_signed_in=auth.COOKIE in request.cookies,
            may=(lambda role, model=None: token is not None and token.may(Role(role), model)),
            people=self._people,
        )
        headers = HEADERS
        if page.is_part:
            headers = HEADERS | {"ETag": f'"{digest_of(html.encode())[7:23]}"'}
            if request.headers.get("if-none-match") == headers["ETag"]:
                return Response(status_code=304, headers=headers)
        return Response(html, page.status, media_type="text/html", headers=headers)

    def _people(self, role: str, model: str) -> list[str]:
        """Return who may do what needs a role: whom to ask."""
        tokens = self.server.stores.metadata.current.list_tokens()
        live = (token for token in tokens if token.revoked_at is None)
        return list(dict.fromkeys(t.name for t in live if t.may(Role(role), model)))


def _charts(values: Any) -> Iterator[Chart]:
    """Yield the charts among the values of a page, at whatever depth."""
    if isinstance(values, Chart):
        yield values
    elif isinstance(values, dict | list | tuple):
        for part in values.values() if isinstance(values, dict) else values:
            yield from _charts(part)


def _file(request: Request, page: Page, name: str) -> Response | None:
    """Return one of a page's charts as a file; None when it has none of that name."""
    for chart in _charts(page.values):
        if chart.name == name:
            about = request.path_params.get("model")
            file = f"{about}-{name}.svg" if about else f"{name}.svg"
            headers = HEADERS | {
                # Opened by itself it runs nothing and fetches nothing either.
                "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
                "Content-Disposition": f'attachment; filename="{file}"',
            }
            svg = draw(chart, is_themed=False)
            return Response(svg, media_type="image/svg+xml", headers=headers)
    return None


def _failed(error: Exception, *, is_database: bool = False) -> Page:
    problem = problem_of(error)
    values = {"problem": problem, "is_database": is_database}
    return Page(template="problem", values=values, status=problem["status"])


_NO_CHART = _failed(NotFoundError("this page has no chart of that name"))


def local_path(text: str) -> str:
    """Return an address of this site: anything else becomes the first page."""
    parts = urlsplit(text)
    is_ours = text.startswith("/") and not text.startswith(("//", "/\\"))
    return text if is_ours and not (parts.scheme or parts.netloc) and text.isprintable() else "/"


async def static(request: Request) -> Response:
    """Answer with a file of the site's own."""
    name = request.path_params["name"]
    files = {file.name: file for file in resources.files("detent.web").joinpath("static").iterdir()}
    if name not in files:
        raise HTTPException(404, "there is no such file")
    headers = HEADERS | {"Cache-Control": "max-age=300"}
    return Response(
        files[name].read_bytes(), media_type=_TYPES[name.rpartition(".")[2]], headers=headers
    )
