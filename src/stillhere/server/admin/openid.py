"""Signing in to the dashboard at an OpenID provider: authorization code, PKCE, state and nonce, by the machinery that visitors' logins use.

A login that is under way is remembered in a cookie of the browser that began it, sealed, and good once. No token is kept: who somebody is
was all that was asked. They are let in by a verified e-mail address that is on one of two lists.
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.routing import Route

from stillhere.adapters.asgi import request_of
from stillhere.core.lists import AddressList, read_list
from stillhere.core.records import EndedBy
from stillhere.errors import InsecureTransport, SettingsError, Unsealable
from stillhere.http.cookies import (
    delete_login_cookie,
    login_cookies,
    read_login_cookie,
    read_secret,
    refuse_unsafe_way,
    set_login_cookie,
)
from stillhere.http.limits import RateLimit
from stillhere.http.origin import peer_of
from stillhere.server.admin.guard import stranger
from stillhere.server.admin.pages import way_back
from stillhere.server.admin.query import Operator
from stillhere.server.admin.userinfo import informed
from stillhere.server.pages import go, with_headers
from stillhere.tokens.provider.config import Provider
from stillhere.tokens.provider.failures import LoginRefused, ProviderError
from stillhere.tokens.provider.login import read_transaction
from stillhere.tokens.provider.party import RelyingParty
from stillhere.tokens.provider.transport import HttpxTransport
from stillhere.tokens.signing_in import NAME_CHARS, SigningIn
from stillhere.tokens.vault import NONCE_BYTES, Vault, read_vault_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from stillhere.http.messages import Request as HttpRequest
    from stillhere.http.origin import Peer
    from stillhere.server.admin.audit import Audit
    from stillhere.server.admin.guard import Guard
    from stillhere.server.admin.pages import Doors
    from stillhere.server.options.dashboard import DashboardOptions
    from stillhere.server.pages import Pages
    from stillhere.tokens.provider.login import Login
    from stillhere.tokens.provider.records import Identity

CALLBACK: Final = "/admin/login/callback"

TRIES_PER_MINUTE: Final = 20

MOST_LOGINS: Final = 4
"""Logins of one browser beside a new one; cookies share one header, and servers refuse a long one."""

MOST_ORIGINS: Final = 4
"""Names by which this program is reached, each with a redirect URI of its own. More would be somebody playing with `Host`."""

_BOUND_TO: Final = ("operator-login",)

_SCOPES: Final = ("openid", "email")

_KEY_BYTES: Final = 32


class OpenIdAccess(msgspec.Struct, frozen=True, kw_only=True):
    """Where operators sign in, and who may come in.

    Attributes:
        issuer: the provider's issuer, to the letter.
        client_id: how it knows this program.
        client_secret: proves that it is this program.
        operators: whose e-mail addresses make operators.
        viewers: whose make viewers.
    """

    issuer: str
    client_id: str
    client_secret: str
    operators: AddressList
    viewers: AddressList

    def provider(self, origin: str) -> Provider:
        """Write the registration for one name by which this program is reached.

        Raises:
            SettingsError: if a value cannot work.
        """
        return Provider(
            issuer=self.issuer,
            client_id=self.client_id,
            client_secret=self.client_secret,
            redirect_uri=f"{origin}{CALLBACK}",
            scopes=_SCOPES,
        )

    def admits(self, identity: Identity) -> Operator | None:
        """Tell whom somebody is taken for; None turns them away. An address counts only if the provider has verified it.

        Source: OpenID Connect Core 1.0 section 5.7: `email` alone says nothing of who somebody is.
        """
        email = identity.claims.get("email")
        if not isinstance(email, str) or identity.claims.get("email_verified") is not True:
            return None
        if self.operators.matches(email):
            return Operator(name=email, role="operator")
        return Operator(name=email, role="viewer") if self.viewers.matches(email) else None


def openid_of(settings: DashboardOptions) -> OpenIdAccess | None:
    """Read the settings of the sign-in at a provider; None if there is none.

    Raises:
        SettingsError: if something is missing or cannot work.
    """
    told = (settings.admin_issuer, settings.admin_client_id, settings.admin_client_secret)
    operators, viewers = read_list(settings.admin_operators), read_list(settings.admin_viewers)
    if not any(told):
        if operators or viewers:
            raise SettingsError("admin_operators and admin_viewers say who may sign in at admin_issuer, which is not set")
        return None
    issuer, client_id, secret = told
    if not (issuer and client_id and secret):
        raise SettingsError("to sign in to the dashboard at a provider, admin_issuer, admin_client_id and admin_client_secret are needed")
    if not (operators or viewers):
        raise SettingsError("nobody could sign in at admin_issuer: say who may in admin_operators or admin_viewers")
    access = OpenIdAccess(issuer=issuer, client_id=client_id, client_secret=secret.get_secret_value(), operators=operators, viewers=viewers)
    access.provider("https://localhost")
    return access


class _Kept(msgspec.Struct, frozen=True):
    """What a login's cookie holds."""

    transaction: str
    replaces: str | None


_write: Final = msgspec.json.Encoder().encode
_read: Final = msgspec.json.Decoder(_Kept).decode


class OpenIdDoor:
    """The door to the dashboard that leads past a provider.

    Args:
        access: where operators sign in, and who may come in.
        pages: renders.
        guard: keeps the operators' sessions.
        doors: lets people in.
        audit: records who came in and who did not.
        clock: tells the milliseconds since 1970.
        random_bytes: draws so many random bytes.
    """

    def __init__(  # what it works with, all by keyword
        self,
        access: OpenIdAccess,
        *,
        pages: Pages,
        guard: Guard,
        doors: Doors,
        audit: Audit,
        clock: Callable[[], int],
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,  # noqa: TID251  # here it enters
    ) -> None:
        """Ask nobody yet. The key that seals cookies lives as long as this process, like the operators' sessions."""
        self._access = access
        self._pages = pages
        self._guard = guard
        self._doors = doors
        self._audit = audit
        self._clock = clock
        self._random_bytes = random_bytes
        self._vault = Vault([read_vault_key(f"run:{b64encode(random_bytes(_KEY_BYTES)).decode('ascii')}")])
        self._tries = RateLimit(TRIES_PER_MINUTE)
        self._transport = HttpxTransport()
        self._parties: dict[str, RelyingParty] = {}

    def routes(self) -> list[Route]:
        """List the routes."""
        return [Route("/admin/login/openid", self.begin), Route(CALLBACK, self.finish)]

    async def begin(self, request: Request) -> Response:
        """Send somebody to the provider, and have their browser remember it."""
        asked = request_of(request.scope)
        peer, config = peer_of(asked, self._guard.http), self._guard.http
        wait_s = self._tries.wait_s(peer.network)
        if wait_s is not None:
            return self._pages.error(
                429, "Slow down", f"Too many tries from this address. Try again in {wait_s} seconds.", retry_after=wait_s
            )
        before = await self._guard.operators.find(read_secret(asked, peer, config))
        try:
            refuse_unsafe_way(peer)
            party = self._party(peer.origin)
            begun = await party.begin(return_to=way_back(request.query_params.get("next")), now=self._clock())
        except (InsecureTransport, SettingsError) as error:
            return self._pages.error(403, "Not safe here", f"{error}.")
        except ProviderError as error:
            return self._away(error)
        kept = _write(_Kept(b64encode(begun.transaction).decode("ascii"), None if before is None else before.handle))
        sealed = self._vault.seal(kept, bound_to=_BOUND_TO, nonce=self._random_bytes(NONCE_BYTES))
        name = read_transaction(begun.transaction).state[:NAME_CHARS]
        cookies = set_login_cookie(name, sealed, party.provider.login_lifetime, peer, config)
        for old in login_cookies(asked, peer, config)[:-MOST_LOGINS]:
            cookies += delete_login_cookie(old, peer, config)
        return with_headers(go(begun.url), (("referrer-policy", "no-referrer"), *cookies))

    async def finish(self, request: Request) -> Response:
        """Take somebody in who comes back from the provider, if they may come in."""
        asked = request_of(request.scope)
        peer, config = peer_of(asked, self._guard.http), self._guard.http
        name = SigningIn.name_of(asked.query)
        sealed = None if name is None else read_login_cookie(asked, peer, config, name)
        forget = () if name is None or sealed is None else delete_login_cookie(name, peer, config)
        try:
            login, identity, replaces = await self._login(asked, sealed, peer)
        except LoginRefused as error:
            await self._audit.refused(stranger(peer), "sign-in refused", detail=f"OpenID: {error.why}")
            return with_headers(self._refused(error), forget)
        except (ProviderError, SettingsError, InsecureTransport) as error:
            return self._away(error) if isinstance(error, ProviderError) else self._pages.error(403, "Not safe here", f"{error}.")
        operator = self._access.admits(identity)
        if operator is None:
            await self._audit.refused(stranger(peer), "sign-in refused", str(identity.claims.get("email")), f"OpenID: sub {identity.sub}")
            return with_headers(self._page(403, "No access", _UNWELCOME, "/admin/login", "Back to the sign-in"), forget)
        if replaces is not None:
            # A cookie that is `Strict` did not come with this request; the browser had it when the login began.
            await self._guard.operators.end_by_handle(replaces, EndedBy.REPLACED)
        cookies = await self._doors.let_in(operator, request, detail=f"OpenID: sub {identity.sub}")
        # Nor would a redirect from here carry the new one: whoever comes back comes from another site. A page of ours goes on.
        following = way_back(login.return_to)
        page = self._page(200, "You are signed in", "One moment, it goes on from here.", following, "Go on", goes_on=True)
        return with_headers(page, (*cookies, *forget))

    async def _login(self, asked: HttpRequest, sealed: str | None, peer: Peer) -> tuple[Login, Identity, str | None]:
        if sealed is None:
            raise LoginRefused("transaction")
        try:
            kept = _read(self._vault.open(sealed, bound_to=_BOUND_TO))
        except Unsealable:
            raise LoginRefused("transaction") from None  # a browser sent this, and may send anything
        refuse_unsafe_way(peer)
        transaction, now = b64decode(kept.transaction), self._clock()
        party = self._party(peer.origin)
        until = now + party.provider.login_lifetime
        if not await self._guard.first(f"login {read_transaction(transaction).state}", until=until, now=now):
            raise LoginRefused("transaction")
        login = await party.finish(asked.query, transaction, now=now)
        endpoint = (await party.metadata(now=now)).userinfo_endpoint
        return login, await informed(login, endpoint, party.provider, self._transport), kept.replaces

    def _party(self, origin: str) -> RelyingParty:
        party = self._parties.pop(origin, None)
        if party is None:
            party = RelyingParty(self._access.provider(origin), random_bytes=self._random_bytes, transport=self._transport)
        self._parties[origin] = party
        while len(self._parties) > MOST_ORIGINS:
            del self._parties[next(iter(self._parties))]
        return party

    async def close(self) -> None:
        """Let go of connections."""
        await self._transport.close()

    def _away(self, error: ProviderError) -> Response:
        why = "The sign-in service cannot be reached. Nothing is wrong with your account; please try again in a moment."
        return self._pages.error(503, "One moment", why, retry_after=error.retry_after)

    def _refused(self, error: LoginRefused) -> Response:
        sentence = _REFUSED.get(error.why, "The sign-in could not be finished. Please begin again.")
        return self._page(error.status_hint, "Not signed in", sentence, "/admin/login", "Begin again")

    def _page(self, status: int, title: str, sentence: str, link: str, label: str, *, goes_on: bool = False) -> Response:
        page = self._pages.show("operator.html", status=status, title=title, sentence=sentence, link=link, label=label, goes_on=goes_on)
        return with_headers(page, (("referrer-policy", "no-referrer"),))  # the address may hold a code


_UNWELCOME: Final = (
    "You signed in at the sign-in service, but this dashboard has no place for that account: "
    "it has no verified e-mail address that is on a list here."
)
_REFUSED: Final = {
    "transaction": "This sign-in was begun in another browser, finished before, or took too long. Please begin again.",
    "expired": "This sign-in took too long. Please begin again.",
    "denied": "The sign-in was cancelled, or the sign-in service said no.",
}
