"""HTML answers: templates, and the headers that every page of the site carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse

if TYPE_CHECKING:
    from starlette.responses import Response

    from stillhere.adapters.asgi import App, Receive, Scope, Send
    from stillhere.http.messages import Headers

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)

START: Final = ("/", "Go to the start")

_HEADERS: Final = (
    (b"content-security-policy", _POLICY.encode("ascii")),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


class Pages:
    """Renders the site's templates.

    Args:
        shared: variables that every template gets. `assets`, where styles and scripts are, is `/static` unless it is given.
    """

    def __init__(self, **shared: object) -> None:
        """Find the templates; read none yet."""
        self._environment = Environment(
            loader=PackageLoader("stillhere.server"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.share(**{"assets": "/static", **shared})

    def share(self, **variables: object) -> None:
        """Give every template some more variables."""
        self._environment.globals.update(variables)

    def show(self, template: str, *, status: int = 200, **variables: Any) -> HTMLResponse:  # noqa: ANN401  # templates take anything
        """Render a page. It may be kept for Back, but is asked for anew: what it shows depends on who is signed in."""
        html = self._environment.get_template(template).render(status=status, **variables)
        return HTMLResponse(html, status, headers={"cache-control": "private, no-cache", "vary": "Cookie"})

    def error(
        self, status: int, title: str, advice: str, *, retry_after: int | None = None, start: tuple[str, str] = START
    ) -> HTMLResponse:
        """Render an error page: what happened, what to do, after how many seconds it makes sense, and where to go on and its name."""
        response = self.show("error.html", status=status, title=title, detail=advice, retry_after=retry_after, start=start)
        response.headers["cache-control"] = "private, no-store"
        if retry_after is not None:
            response.headers["retry-after"] = str(retry_after)
        return response


def go(path: str) -> RedirectResponse:
    """Send the browser on with a GET."""
    return RedirectResponse(path, 303, headers={"cache-control": "private, no-store"})


def with_headers(response: Response, headers: Headers) -> Response:
    """Add headers to an answer, such as those that set cookies."""
    for name, value in headers:
        response.headers.append(name, value)
    return response


class SecurityHeaders:
    """Adds the site's security headers to every answer.

    Args:
        app: the application.
    """

    def __init__(self, app: App) -> None:
        """Wrap once."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry one connection."""

        async def send_with_headers(message: Any) -> None:  # noqa: ANN401  # ASGI messages are dictionaries of anything
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(header for header in _HEADERS if header[0] not in present)]
            await send(message)

        await self._app(scope, receive, send_with_headers)
