"""Nothing that opens anything is shown: not printed, not in errors, not by rich, not in addresses."""

from __future__ import annotations

import logging
import traceback
from io import StringIO
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from rich.console import Console
from rich.traceback import Traceback

from stillhere.testing import START
from stillhere.tokens.provider.failures import ProviderError
from stillhere.tokens.provider.login import read_transaction
from stillhere.tokens.provider.transport import NoReply, Reply
from tests.tokens.provider.doubles import Issuer, json_reply

if TYPE_CHECKING:
    from stillhere.tokens.provider.login import Login


def by_rich(*shown: Any) -> str:
    """Print with rich."""
    page = StringIO()
    Console(file=page, width=1000).print(*shown)
    return page.getvalue()


async def test_records_show_no_secret(issuer: Issuer, signed_in: Login) -> None:
    """Settings, transaction, identity, tokens and a login are printed without what is secret in them."""
    begun = await issuer.party().begin(return_to="/work", now=START)
    transaction = read_transaction(begun.transaction)
    records = [begun, transaction, signed_in, signed_in.identity, signed_in.tokens, issuer.party().provider, *issuer.asked]
    text = by_rich(*records, records) + repr(records) + str(records) + f"{records}"
    assert "planted" not in text
    for secret in (transaction.state, transaction.nonce, transaction.verifier, signed_in.tokens.id_token):
        assert secret not in text
    for shown in ("access_expires_at", "return_to='/work'", "sub='person'"):
        assert shown in text


@pytest.mark.parametrize(
    "answer",
    [
        json_reply({"error": "planted_code", "error_description": "planted-refresh-1"}, 400),
        json_reply({"error": "invalid_grant", "error_description": "planted-refresh-1"}, 400),
        json_reply({"access_token": "planted-access"}, 500),
        json_reply({"access_token": "planted-access\n"}),
        Reply(status=200, headers={"content-type": "text/html"}, body=b"planted"),
        NoReply("broken", may_have_arrived=True),
    ],
)
async def test_errors_show_no_secret(issuer: Issuer, signed_in: Login, caplog: pytest.LogCaptureFixture, answer: Reply | NoReply) -> None:
    """Text, facts and traceback of an error have nothing of what was sent or came, and nothing is logged."""
    caplog.set_level(logging.DEBUG)
    issuer.answers["/token"].append(answer)
    with pytest.raises(ProviderError) as raised:
        await issuer.party().refresh(signed_in.tokens, now=START)
    error = raised.value
    told = "".join(traceback.format_exception(error))
    # What a log would have. Locals of frames are shown by rich only if asked, and then by the records' own words.
    assert "planted" not in f"{error} {error!r} {error.args} {vars(error)} {told.partition('tests/')[0]} {caplog.text}"
    assert "planted" not in by_rich(Traceback.from_exception(type(error), error, None))
    assert error.__cause__ is None


async def test_no_token_is_in_an_address(issuer: Issuer, signed_in: Login) -> None:
    """Neither ours nor the person's: tokens travel in bodies, our secret in a header, and none through the browser."""
    party = issuer.party(post_logout_redirect_uri="https://app.example/bye")
    begun = await party.begin(now=START)
    await party.refresh(signed_in.tokens, now=START)
    await party.revoke("planted-refresh-2", "refresh_token", now=START)
    url = await party.logout_url(state="x", now=START)
    for address in (begun.url, url, *(call.url for call in issuer.asked)):
        assert "planted" not in f"{address}"
        assert signed_in.tokens.id_token not in f"{address}"


def test_tokens_survive_being_written(signed_in: Login) -> None:
    """The record goes into JSON and back to the letter, for whoever seals it."""
    assert msgspec.json.decode(msgspec.json.encode(signed_in.tokens), type=type(signed_in.tokens)) == signed_in.tokens
