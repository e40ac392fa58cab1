"""A provider's own word that somebody signed out there: believed if it is theirs, once, and about whom it names."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from stillhere.core.records import EndedBy
from stillhere.errors import StoreError
from stillhere.tokens.provider.transport import NoReply
from tests.http.doubles import assert_private, assert_problem, header, read
from tests.http.site import FORM, Site


@pytest.mark.parametrize("claims", [{"sid": "there"}, {"sid": "there", "sub": None}, {"sid": None}])
async def test_a_sign_out_there_is_a_sign_out_here(claims: dict[str, str | None]) -> None:
    """By session or by person: the session ends with `provider`, at once, and the answer is empty and private."""
    site = Site()
    site.issuer.claims = {"sid": "there"}
    await site.enter()
    answer = await site.notice(**claims)
    assert (answer.status, answer.body) == (200, b"")
    assert_private(answer)
    assert site.session().ended_by is EndedBy.PROVIDER


@pytest.mark.parametrize("claims", [{"sid": "elsewhere"}, {"sid": "elsewhere", "sub": None}, {"sid": None, "sub": "another"}])
async def test_a_sign_out_of_somebody_else_is_none_of_ours(claims: dict[str, str | None]) -> None:
    """A notice that names another session or person is taken, and ends nothing."""
    site = Site()
    site.issuer.claims = {"sid": "there"}
    await site.enter()
    assert (await site.notice(**claims)).status == 200
    assert site.session().ended_at is None


async def test_a_notice_counts_once() -> None:
    """A replay ends nobody who signed in since then (SEC-40)."""
    site = Site()
    site.issuer.claims = {"sid": "there"}
    await site.enter()
    token = urlencode({"logout_token": site.issuer.logout_token(sid=None)}).encode()
    assert (await site.ask("POST", "/session/backchannel", headers=FORM, body=token)).status == 200
    await site.enter()
    assert (await site.ask("POST", "/session/backchannel", headers=FORM, body=token)).status == 200
    assert (await site.ask("POST", "/session/beat", secret=site.secret)).status == 200


async def test_a_notice_that_failed_half_way_may_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """503 while the store is away; the very same notice then does its work."""
    site = Site()
    site.issuer.claims = {"sid": "there"}
    await site.enter()
    token = urlencode({"logout_token": site.issuer.logout_token()}).encode()

    async def fail(*_: object, **__: object) -> None:
        raise StoreError("away")

    with monkeypatch.context() as patch:
        patch.setattr(site.store, "end", fail)
        assert_problem(await site.ask("POST", "/session/backchannel", headers=FORM, body=token), 503)
    assert (await site.ask("POST", "/session/backchannel", headers=FORM, body=token)).status == 200
    assert site.session().ended_by is EndedBy.PROVIDER


async def test_a_notice_ends_a_session_that_is_still_being_signed_in() -> None:
    """Its name is noted before it holds anything: a notice that comes in between is not lost."""
    site = Site()
    site.issuer.claims = {"sid": "there"}
    await site.enter()
    (grants,) = site.store.grants.values()
    grants.clear()
    assert (await site.notice()).status == 200
    assert site.session().ended_by is EndedBy.PROVIDER


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "field logout_token"),
        (b"logout_token=", "field logout_token"),
        (b"other=1", "field logout_token"),
        (b"\xff", "field logout_token"),
        (b"&" * 100, "field logout_token"),
        (b"logout_token=nonsense", "refused"),
        (b"logout_token=eyJhbGciOiJub25lIn0.e30.", "refused"),
    ],
)
async def test_what_is_no_notice_is_refused_as_the_standard_has_it(body: bytes, says: str) -> None:
    """400 with `error`, for the provider's log; nobody is signed out."""
    site = Site()
    await site.enter()
    answer = await site.ask("POST", "/session/backchannel", headers=FORM, body=body)
    assert answer.status == 400
    assert_private(answer)
    assert read(answer)["error"] == "invalid_request"
    assert says in read(answer)["error_description"]
    assert site.session().ended_at is None


async def test_a_notice_that_cannot_be_checked_now_may_come_again() -> None:
    """503 while the provider's keys are out of reach."""
    site = Site()
    site.issuer.answers["/.well-known/openid-configuration"].append(NoReply("unreachable", may_have_arrived=False))
    answer = await site.notice()
    assert_problem(answer, 503)
    assert header(answer, "retry-after")


async def test_a_notice_is_a_form() -> None:
    """415 for any other media type, 405 for any other method, 413 for too much."""
    site = Site()
    assert_problem(await site.ask("POST", "/session/backchannel", body=b"{}", headers={"content-type": "application/json"}), 415)
    assert header(await site.ask("GET", "/session/backchannel"), "allow") == "POST"
    assert_problem(await site.ask("POST", "/session/backchannel", headers=FORM, body=b"a" * 70_000), 413)


async def test_a_notice_of_a_session_that_is_over_changes_nothing() -> None:
    """The first reason wins for ever: who signed out here was signed out here."""
    site = Site()
    site.issuer.claims = {"sid": "there"}
    await site.enter()
    await site.ask("POST", "/session/end", secret=site.secret)
    assert (await site.notice()).status == 200
    assert site.session().ended_by is EndedBy.SIGNED_OUT
