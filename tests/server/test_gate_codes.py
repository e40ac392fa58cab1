"""Codes at the gate: mailed, typed, guessed, used up; and nobody learns who may enter."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import pytest

from stillhere.core.gate import CODE_TIMEOUT, GUESSES
from tests.server.gates import ADDRESS, Stand, standing
from tests.services.mail import post_office
from tests.support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx2

HALF_A_MINUTE: Final = 30_000


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    """Run a gate that asks for codes."""
    with standing(tmp_path) as running:
        yield running


def other(code: str, step: int = 1) -> str:
    """Give a code that this one is not."""
    return f"{(int(code) + step) % 10**8:08}"


def network_of(visitor: httpx2.Client) -> str:
    """Tell where a browser is."""
    return visitor.headers["x-forwarded-for"]


def try_code(visitor: httpx2.Client, code: str) -> int:
    """Type a code; tell the status."""
    return visitor.post("/gate/code", data={"code": code}).status_code


def test_a_code_opens_the_gate(stand: Stand) -> None:
    """An address gets one mail with a code and no link; the code opens, once, and the session says that the address was verified."""
    visitor = stand.asked(next="/lab")
    page = visitor.get("/gate/code?next=/lab")
    assert page.status_code == 200
    assert "for ten minutes, in this browser only" in page.text
    for part in ('autocomplete="one-time-code"', 'inputmode="numeric"', ADDRESS, 'name="next" value="/lab"'):
        assert part in page.text
    assert stand.sessions() == []
    code = stand.post.code_for(ADDRESS)
    mail = stand.post.to(ADDRESS)[0]
    assert mail["Subject"] == "Your code for stillhere"
    assert "http" not in mail.get_content()
    answer = visitor.post("/gate/code", data={"code": f" {code[:4]} {code[4:]}", "next": "/lab"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/lab")
    assert ADDRESS in visitor.get("/lab").text
    (session,) = stand.sessions()
    assert session["subject"] == ADDRESS
    assert json.loads(session["attributes"])["verified"] is True
    assert "gate" not in visitor.cookies
    assert len(stand.post.mails) == 1


def test_the_browsers_part_is_kept_from_scripts_and_others(stand: Stand) -> None:
    """The cookie that a code belongs to is not for scripts, never travels from another site, and goes when the code is old."""
    answer = stand.visitor().post("/gate", data={"email": ADDRESS})
    assert re.fullmatch(r"gate=[0-9a-f]{32}\.[A-Za-z0-9_-]+; Max-Age=600; Path=/; HttpOnly; SameSite=Strict", answer.headers["set-cookie"])
    safe = {"host": "app.example", "origin": "https://app.example", "x-forwarded-proto": "https"}
    answer = stand.visitor(**safe).post("/gate", data={"email": "other@fund.example"})
    assert re.fullmatch(r"__Host-gate=\S+; Max-Age=600; Path=/; Secure; HttpOnly; SameSite=Strict", answer.headers["set-cookie"])


def test_a_code_is_used_once(stand: Stand) -> None:
    """The same code in the same browser opens no second time, not even from a copy of its cookie."""
    visitor = stand.asked()
    copy = stand.visitor(cookie=f"gate={visitor.cookies['gate']}")
    code = stand.post.code_for(ADDRESS)
    assert try_code(visitor, code) == 303
    assert try_code(copy, code) == 422
    assert len(stand.sessions()) == 1


def test_a_code_is_worth_nothing_in_another_browser(stand: Stand) -> None:
    """Whoever has the code and not the browser that asked, or that browser for another address, stays outside."""
    visitor = stand.asked()
    elsewhere = stand.asked("evil@fund.example")
    code = stand.post.code_for(ADDRESS)
    assert try_code(elsewhere, code) == 422
    answer = stand.visitor().post("/gate/code", data={"code": code})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    nonce, _, email = visitor.cookies["gate"].partition(".")
    mixed = stand.visitor(cookie=f"gate={nonce}.{elsewhere.cookies['gate'].partition('.')[2]}")
    assert try_code(mixed, code) == 422
    assert email
    assert stand.sessions() == []
    assert try_code(visitor, code) == 303


def test_guessing_ends_after_five(stand: Stand) -> None:
    """Five wrong codes spend it: then the right one opens nothing, and the page says to ask for another."""
    visitor = stand.asked()
    code = stand.post.code_for(ADDRESS)
    for number in range(GUESSES):
        answer = visitor.post("/gate/code", data={"code": other(code, number + 1)})
        assert answer.status_code == 422
        assert "That is not the code" in answer.text
    answer = visitor.post("/gate/code", data={"code": code})
    assert answer.status_code == 422
    assert "Five wrong codes are too many" in answer.text
    assert stand.sessions() == []


def test_what_can_be_no_code_costs_no_guess(stand: Stand) -> None:
    """A slip of the hand is told and costs nothing."""
    visitor = stand.asked()
    code = stand.post.code_for(ADDRESS)
    for slip in ("", code[:7], f"{code}1", "letters!", "<script>", *([""] * 5)):
        assert try_code(visitor, slip) == 422
    assert try_code(visitor, code) == 303


def test_a_code_is_good_for_ten_minutes(stand: Stand) -> None:
    """Up to the last millisecond of ten minutes, and not one later."""
    early, late = stand.asked("early@fund.example"), stand.asked("late@fund.example")
    codes = [stand.post.code_for(email) for email in ("early@fund.example", "late@fund.example")]
    stand.clock.advance(CODE_TIMEOUT - 1)
    assert try_code(early, codes[0]) == 303
    stand.clock.advance(1)
    assert try_code(late, codes[1]) == 422
    assert [session["subject"] for session in stand.sessions()] == ["early@fund.example"]


def test_another_code_replaces_nothing_and_opens(stand: Stand) -> None:
    """Half a minute later another code is sent; the browser goes by the new one, with five guesses more."""
    visitor = stand.asked()
    first = stand.post.code_for(ADDRESS)
    for number in range(GUESSES):
        try_code(visitor, other(first, number + 1))
    early = visitor.post("/gate/code", data={"again": "1"})
    assert (early.status_code, early.headers["retry-after"]) == (429, "30")
    assert "a moment ago" in early.text
    stand.clock.advance(HALF_A_MINUTE)
    again = visitor.post("/gate/code", data={"again": "1", "next": "/lab"})
    assert (again.status_code, again.headers["location"]) == (303, "/gate/code?next=%2Flab")
    second = stand.post.code_for(ADDRESS, 2)
    assert try_code(visitor, first if first != second else other(second)) == 422
    assert try_code(visitor, second) == 303


def test_another_code_is_sent_for_a_challenge_of_ours_only(stand: Stand) -> None:
    """Nobody has mail sent by making a cookie up, nor with one that is over."""
    visitor = stand.asked()
    stand.post.code_for(ADDRESS)
    made_up = stand.visitor(cookie=f"gate={'0' * 32}.{visitor.cookies['gate'].partition('.')[2]}")
    stand.clock.advance(CODE_TIMEOUT)
    for browser in (made_up, visitor):
        answer = browser.post("/gate/code", data={"again": "1"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert stand.post.tries == 2  # one rehearsal, one mail


@pytest.mark.parametrize(
    "cookie",
    [
        *("", "x", "0" * 32, f"{'0' * 32}.", f"{'0' * 32}.!!!!", f"{'0' * 32}.____", f"{'0' * 32}.YQ", f"{'g' * 32}.YUBiLmV4YW1wbGU"),
        *(f"{'0' * 32}.{'A' * 5000}", f"{'0' * 32}.YUBiLmV4YW1wbGUNCkJjYzogeEB5LmV4YW1wbGU"),
    ],
)
def test_a_cookie_that_is_none_leads_back(stand: Stand, cookie: str) -> None:
    """What cannot be our cookie is no challenge: back to the form, and nothing is written."""
    visitor = stand.visitor(cookie=f"gate={cookie}")
    for answer in (visitor.get("/gate/code?next=/lab"), visitor.post("/gate/code", data={"code": "12345678", "next": "/lab"})):
        assert (answer.status_code, answer.headers["location"]) == (303, "/?next=%2Flab")
    assert stand.rows("firsts") == []


def test_a_scanner_opens_and_consumes_nothing(stand: Stand) -> None:
    """Whatever is fetched, with or without the cookie: no session, no guess, no mail, and the code opens afterwards."""
    visitor = stand.asked()
    code = stand.post.code_for(ADDRESS)
    before = [stand.rows(table) for table in ("sessions", "firsts", "notes")], stand.post.tries
    for browser in (stand.visitor(), visitor):
        for path in ("/", "/gate", "/gate/code", f"/gate/code?code={code}&again=1", f"/?email={ADDRESS}&code={code}", "/lab"):
            for method in ("GET", "HEAD"):
                assert "set-cookie" not in browser.request(method, path).headers
    assert before == ([stand.rows(table) for table in ("sessions", "firsts", "notes")], stand.post.tries)
    assert try_code(visitor, code) == 303


def test_nothing_that_opens_is_kept(stand: Stand) -> None:
    """The store has neither code nor nonce nor address, and the hash it has is not that of the code alone."""
    visitor = stand.asked()
    code, nonce = stand.post.code_for(ADDRESS), visitor.cookies["gate"].partition(".")[0]
    content = stand.file.read_bytes() + stand.file.with_name("gate.db-wal").read_bytes()
    for secret in (code, nonce, ADDRESS):
        assert secret.encode() not in content
    assert len(stand.rows("notes")) == 1


@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}]
)
def test_a_foreign_form_types_no_code(stand: Stand, headers: dict[str, str]) -> None:
    """Another site's page neither types a code nor has one sent, and costs no guess."""
    visitor = stand.asked()
    code = stand.post.code_for(ADDRESS)
    for data in ({"code": code}, {"again": "1"}):
        assert visitor.post("/gate/code", data=data, headers=headers).status_code == 403
    assert stand.visitor().post("/gate", data={"email": "x@fund.example"}, headers=headers).status_code == 403
    assert (stand.sessions(), len(stand.post.mails)) == ([], 1)


@pytest.mark.parametrize("wanted", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/\r\nX: y"])
def test_a_hostile_way_back_never_leaves_the_site(stand: Stand, wanted: str) -> None:
    """At no step does `next` lead away."""
    visitor = stand.visitor()
    assert visitor.post("/gate", data={"email": ADDRESS, "next": wanted}).headers["location"] == "/gate/code"
    assert 'name="next" value=""' in visitor.get("/gate/code", params={"next": wanted}).text
    answer = visitor.post("/gate/code", data={"code": stand.post.code_for(ADDRESS), "next": wanted})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_a_form_sent_twice_goes_on(stand: Stand) -> None:
    """A second click on "send" sends no second mail and leads to where the code is typed; another browser there is asked to wait."""
    visitor = stand.asked()
    assert visitor.post("/gate", data={"email": ADDRESS}).headers["location"] == "/gate/code"
    answer = stand.visitor(network_of(visitor)).post("/gate", data={"email": ADDRESS})
    assert (answer.status_code, answer.headers["retry-after"], answer.headers["cache-control"]) == (429, "30", "private, no-store")
    assert "a moment ago" in answer.text
    assert try_code(visitor, stand.post.code_for(ADDRESS)) == 303
    assert len(stand.post.mails) == 1


def test_one_network_keeps_nobody_out(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    """For one network an address gets one mail in half a minute and five in an hour, and the log says so once; elsewhere it gets more."""
    for number in range(5):
        asking = stand.visitor("10.7.7.7").post("/gate", data={"email": ADDRESS if number % 2 else ADDRESS.upper()})
        assert asking.status_code == 303
        stand.clock.advance(HALF_A_MINUTE - 1)
        assert stand.visitor("10.7.7.7").post("/gate", data={"email": ADDRESS}).headers["retry-after"] == "30"
        stand.clock.advance(1)
    for _ in range(2):
        answer = stand.visitor("10.7.7.7").post("/gate", data={"email": ADDRESS})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "3600")
        assert "only in the browser that asked for it" in answer.text
        stand.clock.advance(HALF_A_MINUTE)
    assert caplog.text.count("no more codes for r…@fund.example: 5 were asked for by one network in an hour") == 1
    assert ADDRESS not in caplog.text
    assert stand.visitor("10.7.7.7").post("/gate", data={"email": "other@fund.example"}).status_code == 303
    visitor = stand.asked()
    assert try_code(visitor, stand.post.code_for(ADDRESS, 3)) == 303


def test_nobodys_mailbox_is_filled(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    """No more than thirty mails in an hour go to an address, in whatever capitals, for whatever networks; the log says so once."""
    for number in range(30):
        stand.asked(ADDRESS if number % 2 else ADDRESS.upper())
    for _ in range(2):
        answer = stand.visitor().post("/gate", data={"email": ADDRESS})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "3600")
    wait_until(lambda: len(stand.post.mails) == 30, what="thirty mails")
    assert caplog.text.count("no more codes for r…@fund.example: 30 were asked for by all networks together in an hour") == 1
    stand.clock.advance(3_600_000)
    stand.asked()


def test_a_network_asks_for_ten_codes_a_minute(stand: Stand) -> None:
    """The eleventh waits, from any address of an IPv6 /64; another network goes on; a minute later all is well."""
    many = [stand.visitor(f"2001:db8:0:1::{number}") for number in range(11)]
    answers = [browser.post("/gate", data={"email": f"r{number}@fund.example"}) for number, browser in enumerate(many)]
    assert [answer.status_code for answer in answers] == [303] * 10 + [429]
    assert answers[-1].headers["retry-after"] == "60"
    assert stand.visitor("2001:db8:0:2::1").post("/gate", data={"email": "s@fund.example"}).status_code == 303
    stand.clock.advance(60_000)
    assert many[0].post("/gate", data={"email": "t@fund.example"}).status_code == 303


def test_processes_count_together(tmp_path: Path) -> None:
    """What one process was asked, throttled and guessed, another one on the same store knows; a code of one opens at the other."""
    with post_office() as post, standing(tmp_path, post=post) as one, standing(tmp_path, post=post, clock=one.clock) as two:
        visitor = one.asked()
        code = post.code_for(ADDRESS)
        assert two.visitor(network_of(visitor)).post("/gate", data={"email": ADDRESS}).status_code == 429
        there = two.visitor(cookie=f"gate={visitor.cookies['gate']}")
        for number in range(GUESSES - 1):
            assert try_code((visitor, there)[number % 2], other(code, number + 1)) == 422
        assert try_code(there, code) == 303
        assert try_code(visitor, code) == 422
        assert len(one.sessions()) == 1


def test_at_once_a_code_opens_once_and_is_guessed_five_times(tmp_path: Path) -> None:
    """Twenty at once with the right code, in two processes: one is let in. Twenty at once with wrong ones: five are judged."""
    with post_office() as post, standing(tmp_path, post=post) as one, standing(tmp_path, post=post, clock=one.clock) as two:
        visitor, guesser = one.asked(), one.asked("other@fund.example")
        right, wrong = post.code_for(ADDRESS), other(post.code_for("other@fund.example"))
        for cookie, code, entered in ((visitor.cookies["gate"], right, 1), (guesser.cookies["gate"], wrong, 0)):
            browsers = [(one, two)[number % 2].visitor(cookie=f"gate={cookie}") for number in range(20)]
            with ThreadPoolExecutor(20) as at_once:
                answers = list(at_once.map(lambda browser, code=code: browser.post("/gate/code", data={"code": code}), browsers))
            judged = [answer for answer in answers if "Five wrong codes" not in answer.text]
            assert len(judged) == GUESSES
            assert [answer.status_code for answer in answers].count(303) == entered
        assert len(one.sessions()) == 1
