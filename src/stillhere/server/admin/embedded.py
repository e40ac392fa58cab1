"""The dashboard inside an application of your own, which says who may see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from stillhere import __version__
from stillhere.adapters.asgi import request_of
from stillhere.core.policy import RequestsExtend
from stillhere.errors import SettingsError
from stillhere.http.config import HttpConfig
from stillhere.http.cookies import read_secret
from stillhere.http.origin import is_navigation, peer_of
from stillhere.server.admin.assembly import Admin
from stillhere.server.admin.audit import RETENTION, Audit
from stillhere.server.admin.guard import Tokens
from stillhere.server.admin.query import Operator
from stillhere.server.faults import faults
from stillhere.server.pages import Pages, SecurityHeaders

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request

    from stillhere.adapters.asgi import App, Receive, Scope, Send
    from stillhere.core.records import Session
    from stillhere.manager import SessionManager
    from stillhere.server.admin.guard import Who
    from stillhere.server.admin.query import Query, Role

AT = "/admin"

STATIC = f"{AT}/static"


class Dashboard:
    """The dashboard as an ASGI application. Its addresses begin with `/admin`; mount it there.

    It needs no lifespan: it looks at the store while somebody listens, and not otherwise. With `close` it ends open streams at once.

    Args:
        sessions: your sessions, made from a URL or with an archive of yours.
        who: your own check: tells who asks, or None for somebody who may not see the dashboard. It is asked at every request.
        http: how your session routes are offered: which proxies are trusted.
        site_name: shown to operators.
        zone: IANA name of the zone in which days begin.
        audit_retention: how long the audit log keeps what operators did, milliseconds.
        queries: more that operators may ask.

    Attributes:
        audit: records what operators do. Call its `upkeep` now and then, as you call `sweep`.

    Raises:
        SettingsError: if the sessions have no archive.
    """

    def __init__(
        self,
        sessions: SessionManager,
        *,
        who: Who,
        http: HttpConfig | None = None,
        site_name: str = "stillhere",
        zone: str = "UTC",
        audit_retention: int = RETENTION,
        queries: Sequence[Query] = (),
    ) -> None:
        """Look at nothing yet."""
        if sessions.archive is None:
            raise SettingsError("the dashboard shows visits, and this manager has no archive; make it from a URL, or give it one of yours")
        # Here, for those modules need this one.
        from stillhere.server.querying.routes import routes  # noqa: PLC0415  # as said
        from stillhere.server.settings import Settings  # noqa: PLC0415  # as said

        asked = routes(sessions, sessions.archive, Settings.model_construct(zone=zone))
        pages = Pages(assets=STATIC, site_name=site_name, version=__version__, demo=False, session_prefix="")
        self.audit = Audit(sessions.archive.audit, sessions.clock, retention=audit_retention)
        self._admin = Admin(
            pages=pages,
            manager=sessions,
            archive=sessions.archive,
            http=http or HttpConfig(),
            audit=self.audit,
            tokens=Tokens(None, None),
            who=who,
            queries=[*(query for query in asked if query.below_api not in {own.below_api for own in queries}), *queries],
            site_name=site_name,
            zone=zone,
        )
        files = Mount(STATIC, StaticFiles(packages=[("stillhere.server", "static")]))
        self._app: App = SecurityHeaders(Starlette(routes=[*self._admin.routes(), files], exception_handlers=faults(pages)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry one connection."""
        if scope["type"] == "lifespan":  # whoever mounts it at the top has nothing to start
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": f"{message['type']}.complete"})
            await self.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
        # Some frameworks take the place where they mount an application out of the path, others leave it in.
        root = scope.get("root_path", "")
        path = scope["path"] if scope["path"].startswith(AT) else f"{root}{scope['path']}"
        # Where it is mounted, some have a slash put behind its front page's address.
        await self._app({**scope, "path": AT if path == f"{AT}/" else path, "root_path": ""}, receive, send)

    async def close(self) -> None:
        """End open streams."""
        await self._admin.close()


def by_session(sessions: SessionManager, role_of: Callable[[Session], Role | None], *, http: HttpConfig | None = None) -> Who:
    """Make the check for an application whose operators sign in with sessions of stillhere, too.

    Work in the dashboard extends them as the policy's `requests_extend` says; watching does not, and the live stream ends with them. Keep
    `/admin` and `/admin/` out of the middleware's hands (`untouched`), or every request of the dashboard counts twice.

    Args:
        sessions: theirs, the same that the dashboard shows.
        role_of: tells what somebody may do by their session, or None for nothing.
        http: how their cookie is offered. Default: `HttpConfig()`.
    """
    config = http or HttpConfig()

    async def who(request: Request) -> Operator | None:
        asked = request_of(request.scope)
        extend = sessions.policy.requests_extend
        is_work = extend is RequestsExtend.ALL or (extend is RequestsExtend.NAVIGATION and is_navigation(asked))
        is_watching = asked.is_withheld or asked.path.endswith("/api/events")
        secret = read_secret(asked, peer_of(asked, config), config)
        verdict = await sessions.authenticate(secret, extends=is_work and not is_watching)
        role = role_of(verdict.session) if verdict.session is not None and verdict.is_alive else None
        if verdict.session is None or role is None:
            return None
        return Operator(name=verdict.session.subject, role=role, handle=verdict.session.handle)

    return who


def dashboard(sessions: SessionManager, *, who: Who, http: HttpConfig | None = None, site_name: str = "stillhere") -> Dashboard:
    """Make the dashboard for an application of your own; `Dashboard` takes more.

    Args:
        sessions: your sessions.
        who: tells who asks, or None for somebody who may not see the dashboard.
        http: how your session routes are offered.
        site_name: shown to operators.

    Raises:
        SettingsError: if the sessions have no archive.
    """
    return Dashboard(sessions, who=who, http=http, site_name=site_name)
