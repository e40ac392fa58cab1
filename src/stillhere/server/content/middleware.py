"""The gate before any ASGI application: session routes, gate, and what is behind it for those who passed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.applications import Starlette

from stillhere import __version__
from stillhere.adapters.asgi import SessionMiddleware
from stillhere.errors import SettingsError
from stillhere.http.config import HttpConfig
from stillhere.server.content.guard import Guard
from stillhere.server.content.wiring import one_by_one, static_routes
from stillhere.server.faults import faults, one_moment
from stillhere.server.gate import Gate, GateConfig
from stillhere.server.pages import Pages, SecurityHeaders

if TYPE_CHECKING:
    from stillhere.adapters.asgi import App, Receive, Scope, Send
    from stillhere.mail import Mailer
    from stillhere.manager import SessionManager


class GateMiddleware:
    """Puts the gate before an application: who has not passed sees the gate, and the application is not asked.

    It answers the session routes and everything at and below the gate's path. `session_of(scope)` tells the application who asks. What
    the application says of its own security headers stays; where it says nothing, its pages may be framed by each other only.

    Args:
        app: the application.
        manager: the sessions; yours to close.
        gate: what the gate asks, and of whom. Default: an e-mail address, of anybody.
        config: how the session routes are offered. Default: `HttpConfig()`.
        open_paths: paths for everybody, and beginnings of paths, each ending in `/`.
        mailer: sends codes, where the gate asks for them.

    Raises:
        SettingsError: if session routes and gate would hide each other, or codes are asked and cannot be sent.
    """

    def __init__(
        self,
        app: App,
        manager: SessionManager,
        gate: GateConfig | None = None,
        *,
        config: HttpConfig | None = None,
        open_paths: tuple[str, ...] = (),
        mailer: Mailer | None = None,
    ) -> None:
        """Wrap once."""
        config = config or HttpConfig()
        asks = gate or GateConfig()
        own = asks.path.split("/")[1]
        if any(path.split("/")[1] == own for path in config.paths()):
            raise SettingsError(f"gate and session routes are both below /{own}; give one of them another path")
        static = f"{asks.path}/static"
        asks = msgspec.structs.replace(asks, ask_path=asks.path, assets=static)
        pages = Pages(assets=static, site_name=asks.site_name, version=__version__, demo=False, session_prefix=config.prefix)
        self._app = app
        self._gate = Gate(pages, asks, manager, mailer)
        site = Starlette(
            routes=[*one_by_one(self._gate.routes()), *static_routes(static)],
            exception_handlers=faults(pages),
        )
        site.mount("", Guard(app, gate=asks.path, open_paths=open_paths, own=(own,)))
        untouched = (f"{static}/", asks.untouched)
        middleware = SessionMiddleware(
            site, manager, config, untouched=untouched, when_down=lambda error: one_moment(pages, error.retry_after)
        )
        pages.share(client_url=middleware.endpoints.client_url)
        self._carry = SecurityHeaders(middleware)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry one connection. Startup and shutdown are the application's."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        await self._carry(scope, receive, send)

    async def close(self) -> None:
        """Wait for messages that are on their way; call it when the application stops, where codes are mailed."""
        await self._gate.close()
