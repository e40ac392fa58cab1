"""A provider's userinfo, where it says something else than it should."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from stillhere.server.admin.userinfo import informed
from stillhere.tokens.provider.config import Provider
from stillhere.tokens.provider.failures import LoginRefused, ProviderError
from stillhere.tokens.provider.login import Login
from stillhere.tokens.provider.records import Identity, ProviderTokens
from stillhere.tokens.provider.transport import NoReply, Reply
from tests.support import START

if TYPE_CHECKING:
    from stillhere.tokens.provider.transport import Call

ENDPOINT: Final = "https://login.example/me"
PROVIDER: Final = Provider(
    issuer="https://login.example", client_id="stillhere", client_secret="theirs", redirect_uri="https://app.example/admin/login/callback"
)


class Says:
    """A provider that says one thing, and remembers what it was asked.

    Args:
        status: of its answer.
        body: of it; None for no answer at all.
    """

    def __init__(self, status: int, body: bytes | None) -> None:
        self._status = status
        self._body = body
        self.calls: list[Call] = []

    async def send(self, call: Call) -> Reply:
        """Answer."""
        self.calls.append(call)
        if self._body is None:
            raise NoReply("timeout", may_have_arrived=True)
        return Reply(status=self._status, headers={}, body=self._body)

    async def close(self) -> None:
        """Let go of nothing."""


def login_of(**claims: object) -> Login:
    """Make a login of somebody."""
    identity = Identity(iss=PROVIDER.issuer, sub="7", sid=None, claims={"sub": "7", **claims})
    tokens = ProviderTokens(
        access_token="their token", access_expires_at=START, received_at=START, refresh_token=None, id_token="", scope=None
    )
    return Login(identity=identity, tokens=tokens, return_to="/admin")


async def test_an_address_is_asked_for_and_the_token_wins() -> None:
    """What the ID token says stays, what it does not say is added; the access token proves who asks."""
    says = Says(200, b'{"sub": "7", "email": "a@firm.example", "email_verified": true, "iss": "https://evil.example"}')
    found = await informed(login_of(iss=PROVIDER.issuer), ENDPOINT, PROVIDER, says)
    assert found.claims == {"sub": "7", "iss": PROVIDER.issuer, "email": "a@firm.example", "email_verified": True}
    assert [(call.method, call.url, call.headers["authorization"]) for call in says.calls] == [("GET", ENDPOINT, "Bearer their token")]


async def test_who_is_known_is_not_asked_about() -> None:
    """With an address in the ID token, or without an endpoint that can be asked in secret, nobody is asked."""
    says = Says(200, b"{}")
    known = login_of(email="a@firm.example")
    assert await informed(known, ENDPOINT, PROVIDER, says) == known.identity
    unknown = login_of()
    for endpoint in (None, "http://login.example/me"):
        assert await informed(unknown, endpoint, PROVIDER, says) == unknown.identity
    assert says.calls == []


@pytest.mark.parametrize("body", [b'{"sub": "8", "email": "a@firm.example", "email_verified": true}', b'{"email": "a@firm.example"}'])
async def test_what_is_told_of_somebody_else_is_refused(body: bytes) -> None:
    """An answer about another `sub`, or about nobody, signs nobody in."""
    with pytest.raises(LoginRefused):
        await informed(login_of(), ENDPOINT, PROVIDER, Says(200, body))


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<html>"), (200, b"[1]"), (200, b"\xff"), (500, b"{}"), (401, b"{}"), (302, b""), (200, None)]
)
async def test_trouble_is_no_refusal(status: int, body: bytes | None) -> None:
    """An answer that cannot be read, or none, is the provider's trouble; its text is nowhere."""
    with pytest.raises(ProviderError, match="userinfo endpoint"):
        await informed(login_of(), ENDPOINT, PROVIDER, Says(status, body))
