"""What stands between the program and a browser, and what becomes of a store: found by example, with what to change."""

from __future__ import annotations

import pytest

from stillhere.core.findings import Finding, Level
from stillhere.http.config import HttpConfig
from stillhere.server.checks import findings_of_store, findings_of_way
from stillhere.stores.facts import StoreFacts
from tests.support import START

BEHIND_PROXY = ("10.0.0.0/8",)


def way(host: str = "127.0.0.1", http: HttpConfig | None = None) -> list[tuple[Level, str]]:
    """Name what was found."""
    return [(finding.level, finding.code) for finding in findings_of_way(host, http or HttpConfig(trusted_proxies=BEHIND_PROXY))]


def store(facts: StoreFacts) -> list[Finding]:
    """Find what there is to say of a store."""
    return list(findings_of_store("store", facts, now=START))


def test_behind_a_proxy_that_is_named_all_is_well() -> None:
    """On whatever address."""
    assert way() == way("0.0.0.0") == []  # noqa: S104  # nothing listens


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_on_a_loopback_address_this_machine_can_use_it(host: str) -> None:
    """That is how one develops: a note."""
    assert way(host, HttpConfig()) == [(Level.NOTE, "this-machine-only")]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "app.example"])  # noqa: S104  # nothing listens
def test_open_to_the_network_without_a_proxy_nobody_can_sign_in(host: str) -> None:
    """The program speaks plain http; the sentence says what to put before it."""
    assert way(host, HttpConfig()) == [(Level.WARNING, "no-safe-way")]


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0"])
def test_nobody_trusts_everybody(network: str) -> None:
    """Whoever is a trusted proxy says which address a request has and that its way is safe: an error."""
    assert way(http=HttpConfig(trusted_proxies=("10.0.0.0/8", network))) == [(Level.ERROR, "everybody-is-a-proxy")]


def test_a_cookie_without_its_prefix_can_be_planted() -> None:
    """The sentence says which name is safe."""
    (finding,) = findings_of_way("127.0.0.1", HttpConfig(trusted_proxies=BEHIND_PROXY, cookie_name="__Secure-sid"))
    assert (finding.level, finding.code) == (Level.WARNING, "cookie-without-prefix")
    assert finding.text.endswith("write __Host-sid")


def test_other_origins() -> None:
    """Those of plain http are a risk unless they are this machine; by cookie only this site's origins work."""

    def found(*origins: str, bearer: bool = False) -> list[tuple[Level, str]]:
        return way(http=HttpConfig(trusted_proxies=BEHIND_PROXY, allowed_origins=origins, bearer=bearer))

    assert found("https://app.example", "http://localhost:3000", bearer=True) == []
    assert found("https://app.example") == [(Level.NOTE, "origins-by-cookie")]
    assert found("http://app.example", bearer=True) == [(Level.WARNING, "origin-in-the-clear")]


@pytest.mark.parametrize(
    ("revision", "level", "code"),
    [
        (None, Level.NOTE, "store-empty"),
        ("0001", Level.NOTE, "store-older"),
        ("0003", Level.ERROR, "store-unknown-revision"),
        ("of another program", Level.ERROR, "store-unknown-revision"),
    ],
)
def test_what_the_next_start_makes_of_a_store(revision: str | None, level: Level, code: str) -> None:
    """An empty or older one is made ready; one that this release does not know cannot be used."""
    (finding,) = store(StoreFacts(software="SQLite", revision=revision, newest="0002"))
    assert (finding.level, finding.code) == (level, code)
    assert store(StoreFacts(software="SQLite", revision="0002", newest="0002")) == []


def test_memory_forgets() -> None:
    """Sessions in memory are gone with the process."""
    (finding,) = store(StoreFacts(software="this process"))
    assert (finding.level, finding.code) == (Level.WARNING, "store-in-memory")


def test_what_a_store_says_of_itself_is_passed_on() -> None:
    """Each problem is a warning."""
    found = store(StoreFacts(software="Redis", revision="1", newest="1", problems=("its memory is full", "its log is off")))
    assert [(finding.level, finding.text) for finding in found] == [
        (Level.WARNING, "store: its memory is full"),
        (Level.WARNING, "store: its log is off"),
    ]


@pytest.mark.parametrize(
    ("ahead_ms", "words"),
    [(5_000, None), (-5_000, None), (5_001, "5 seconds ahead of"), (-130_000, "2 minutes behind")],
)
def test_clocks_that_differ(ahead_ms: int, words: str | None) -> None:
    """Up to 5 seconds nothing is said; beyond, by how much and in which direction."""
    found = store(StoreFacts(software="PostgreSQL", revision="1", newest="1", clock_at=START + ahead_ms))
    assert [finding.code for finding in found] == ([] if words is None else ["clocks-differ"])
    assert words is None or words in found[0].text
