"""Signing out at a real provider, and hearing from it that somebody did."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from stillhere.tokens.provider.failures import Failure, ProviderError
from stillhere.tokens.provider.jose import BadToken, open_unproven
from tests.services.openid import Person
from tests.tokens.provider.real.conftest import sign_in

if TYPE_CHECKING:
    from stillhere.tokens.provider.party import RelyingParty
    from tests.tokens.provider.real.conftest import Stand


async def test_signing_out_there(stand: Stand, party: RelyingParty, now: int) -> None:
    """The person comes back to where we said, the provider tells us whom it signed out, and no token was in any address."""
    person = Person("leaver")
    begun = await party.begin(now=now)
    async with person:
        login = await party.finish(await person.sign_in(begun.url), begun.transaction, now=now)
        url = await party.logout_url(state="where they were", now=now)
        assert url is not None
        assert set(parse_qs(urlsplit(url).query)) == {"client_id", "post_logout_redirect_uri", "state"}
        assert parse_qs(await person.sign_out(url)) == {"state": ["where they were"]}

    text = stand.notices.get(timeout=20)
    notice = await party.read_logout_token(text, now=now)
    assert (notice.iss, notice.sub, notice.sid) == (stand.faulty.url, "leaver", login.identity.sid)
    assert notice.jti
    assert now < notice.replay_until_at

    # The end of a session there leaves the refresh token alive: it has to be revoked.
    after = await party.refresh(login.tokens, now=now)
    assert after.refresh_token is not None
    assert await party.revoke(after.refresh_token, "refresh_token", now=now)
    with pytest.raises(ProviderError) as raised:
        await party.refresh(after, now=now)
    assert raised.value.failure is Failure.TERMINAL


async def test_a_real_logout_token_that_was_changed(stand: Stand, party: RelyingParty, now: int) -> None:
    """It is believed as the provider wrote it, in its time, and in no other way."""
    async with Person("changed") as person:
        begun = await party.begin(now=now)
        await party.finish(await person.sign_in(begun.url), begun.transaction, now=now)
        url = await party.logout_url(now=now)
        assert url is not None
        await person.sign_out(url)
    text = stand.notices.get(timeout=20)
    header, payload, signature = text.split(".")
    claims = msgspec.json.decode(open_unproven(text).payload)
    other = written(msgspec.json.encode({**claims, "sub": "somebody else"}))
    unsigned = written(b'{"alg":"none","typ":"logout+jwt"}')
    for changed, at, why in (
        (f"{header}.{other}.{signature}", now, "signature"),
        (f"{header}.{payload}.{signature[:-4]}AAAA", now, "signature"),
        (f"{unsigned}.{payload}.", now, "algorithm"),
        (text, now + 3_600_000, "iat"),
        (text, now - 3_600_000, "iat"),
    ):
        with pytest.raises(BadToken) as bad:
            await party.read_logout_token(changed, now=at)
        assert bad.value.why == why


async def test_an_id_token_is_no_logout_token(party: RelyingParty, now: int) -> None:
    """What the provider signed for another purpose signs nobody out."""
    login = await sign_in(party, now)
    with pytest.raises(BadToken) as bad:
        await party.read_logout_token(login.tokens.id_token, now=now)
    assert bad.value.why == "typ"


def written(data: bytes) -> str:
    """Write bytes as a part of a token."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()
