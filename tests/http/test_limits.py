"""Limits per session and per address, and whose address it is."""

from __future__ import annotations

import pytest

from stillhere.http.config import HttpConfig
from stillhere.http.limits import RateLimit
from tests.http.doubles import UNKNOWN_SECRET, Web, assert_problem, header

PROXIES = ("10.0.0.0/8", "2001:db8::/32")


async def statuses(web: Web, *clients: tuple[str, str | None]) -> list[int]:
    """Send a look from each client and forwarded address; tell the statuses."""
    return [
        (await web.ask("GET", "/session", client=client, headers={} if forwarded is None else {"x-forwarded-for": forwarded})).status
        for client, forwarded in clients
    ]


def test_a_limit_lets_so_many_pass_and_tells_the_wait() -> None:
    """The first messages of a minute pass, the next is told whole seconds to wait, and another key is not touched."""
    limit = RateLimit(2)
    assert [limit.wait_s("a"), limit.wait_s("a")] == [None, None]
    wait_s = limit.wait_s("a")
    assert wait_s is not None
    assert 1 <= wait_s <= 60
    assert limit.wait_s("b") is None


def test_whether_anything_is_left_is_asked_for_nothing() -> None:
    """Asking whether a key may still speak counts nothing, tells the wait once it may not, and the next minute it may again."""
    now = [100.0]
    limit = RateLimit(2, elapsed=lambda: now[0])
    assert [limit.left_s("a") for _ in range(5)] == [None] * 5
    assert [limit.wait_s("a"), limit.left_s("a"), limit.wait_s("a")] == [None, None, None]
    now[0] += 20
    assert (limit.left_s("a"), limit.left_s("b")) == (40, None)
    now[0] += 40
    assert limit.left_s("a") is None


async def test_a_session_that_sends_too_much_is_told_to_wait() -> None:
    """Past its limit a session gets 429 with Retry-After; nothing changes, and other sessions go on."""
    web = Web(HttpConfig(beats_per_minute=3))
    one, other = await web.sign_in(), await web.sign_in("second@fund.example")
    for _ in range(3):
        assert (await web.ask("POST", "/session/beat", secret=one.secret)).status == 200
    web.clock.advance(1_000)
    before = web.kept()
    answer = await web.ask("POST", "/session/beat", secret=one.secret, client="198.51.100.1")
    body = assert_problem(answer, 429)
    assert "This session sent too many messages" in body["detail"]
    assert 1 <= int(header(answer, "retry-after") or 0) <= 60
    assert web.kept() == before
    assert (await web.ask("POST", "/session/beat", secret=other.secret)).status == 200


async def test_a_sign_out_is_never_refused_for_its_session() -> None:
    """A page that runs wild does not take away the person's way out."""
    web = Web(HttpConfig(beats_per_minute=1))
    started = await web.sign_in()
    assert [(await web.ask("POST", "/session/beat", secret=started.secret)).status for _ in range(2)] == [200, 429]
    assert (await web.ask("POST", "/session/end", secret=started.secret)).status == 200
    assert (await web.ask("GET", "/session", secret=started.secret)).status == 401


async def test_every_beat_of_a_replayed_queue_counts() -> None:
    """A hundred beats in one message are a hundred: nobody fills the store by packing."""
    web = Web(HttpConfig(beats_per_minute=150))
    started = await web.sign_in()
    queue = {"beats": [{"view": f"v{n}", "lifecycle": "active"} for n in range(100)]}
    sent = [(await web.ask("POST", "/session/beat", secret=started.secret, body=queue)).status for _ in range(2)]
    assert sent == [200, 429]


def test_a_limit_begins_anew_with_each_minute_and_forgets() -> None:
    """Windows follow elapsed time, not the system clock, and nothing of the last one is kept."""
    now = [100.0]
    limit = RateLimit(1, elapsed=lambda: now[0])
    assert [limit.wait_s("a"), limit.wait_s("a")] == [None, 60]
    now[0] += 59
    assert limit.wait_s("a") == 1
    now[0] += 1
    assert limit.wait_s("a") is None


async def test_one_network_of_ipv6_is_one_address() -> None:
    """Whoever has a /64 to himself cannot spread over its addresses; a mapped IPv4 address is itself."""
    web = Web(HttpConfig(messages_per_minute=2))
    assert await statuses(web, *((f"2001:db8:1:2::{n}", None) for n in range(3))) == [401, 401, 429]
    assert await statuses(web, ("2001:db8:1:3::1", None), ("::ffff:192.0.2.1", None), ("::ffff:192.0.2.2", None)) == [401, 401, 401]


async def test_nonsense_counts_too() -> None:
    """A flood of nonsense under one cookie is counted like any other message."""
    web = Web(HttpConfig(beats_per_minute=2))
    sent = [(await web.ask("POST", "/session/beat", secret=UNKNOWN_SECRET, body=b"{")).status for _ in range(4)]
    assert sent == [400, 400, 429, 429]


async def test_an_address_that_sends_too_much_is_told_to_wait() -> None:
    """Past its limit an address gets 429 with Retry-After, also without a session; other addresses go on."""
    web = Web(HttpConfig(messages_per_minute=2))
    for path, method in (("/session", "GET"), ("/session/beat", "POST")):
        assert (await web.ask(method, path)).status == 401
    for path, method in (("/session", "GET"), ("/session/beat", "POST"), ("/session/end", "POST")):
        answer = await web.ask(method, path)
        body = assert_problem(answer, 429)
        assert "This address sent too many messages" in body["detail"]
        assert header(answer, "retry-after")
    assert (await web.ask("GET", "/session", client="198.51.100.1")).status == 401


async def test_a_forged_address_is_no_way_round_the_limit() -> None:
    """Without trusted proxies X-Forwarded-For is ignored: each entry one invents counts for the same key."""
    web = Web(HttpConfig(messages_per_minute=2))
    assert await statuses(web, *(("203.0.113.9", f"198.51.100.{n}") for n in range(4))) == [401, 401, 429, 429]


async def test_entries_left_of_the_client_do_not_change_the_key() -> None:
    """Behind a trusted proxy the rightmost foreign entry is the client; what that client wrote itself is ignored."""
    web = Web(HttpConfig(messages_per_minute=2, trusted_proxies=PROXIES))
    forged = [("10.0.0.1", f"192.0.2.{n}, 198.51.100.7") for n in range(4)]
    assert await statuses(web, *forged) == [401, 401, 429, 429]
    assert await statuses(web, ("10.0.0.1", "198.51.100.8")) == [401]


@pytest.mark.parametrize(
    "forwarded",
    [
        "198.51.100.7",
        "6.6.6.6, 198.51.100.7",
        "6.6.6.6, 198.51.100.7, 10.0.0.5",
        "rubbish, 198.51.100.7, 10.0.0.5 ,10.0.0.6",
        "198.51.100.7, 2001:db8::5",
    ],
)
async def test_a_chain_of_proxies_leads_to_the_client(forwarded: str) -> None:
    """However many of our proxies wrote an entry, the client is the first from the right that is none of them."""
    web = Web(HttpConfig(messages_per_minute=1, trusted_proxies=PROXIES))
    assert await statuses(web, ("10.0.0.1", "198.51.100.7"), ("10.0.0.1", forwarded)) == [401, 429]


@pytest.mark.parametrize("forwarded", [None, "", "rubbish", "1.2.3.4:80", "10.0.0.1", "unknown, 10.0.0.1"])
async def test_what_cannot_be_read_falls_back_to_what_is_known(forwarded: str | None) -> None:
    """An entry that is no address ends the search at the last thing known: the proxy itself."""
    web = Web(HttpConfig(messages_per_minute=1, trusted_proxies=PROXIES))
    assert await statuses(web, ("10.0.0.1", None), ("10.0.0.1", forwarded)) == [401, 429]


async def test_a_stranger_is_no_proxy() -> None:
    """Forwarded headers from a peer outside the trusted networks, or with no address at all, count for nothing."""
    web = Web(HttpConfig(messages_per_minute=1, trusted_proxies=PROXIES))
    assert await statuses(web, ("192.0.2.1", "198.51.100.1"), ("192.0.2.1", "198.51.100.2")) == [401, 429]
    assert await statuses(web, ("", "198.51.100.1"), ("", "198.51.100.2")) == [401, 429]
