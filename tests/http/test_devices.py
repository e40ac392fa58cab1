"""What a sign-in is remembered by: a short name and a coarse network, whatever a header claims."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.core.people import recalled
from stillhere.http import devices
from stillhere.http.config import HttpConfig
from stillhere.http.devices import device_of, make_ready, network_of, remembered
from stillhere.http.origin import peer_of
from tests.http.doubles import request

if TYPE_CHECKING:
    from collections.abc import Iterator

WEBKIT: Final = "AppleWebKit/537.36 (KHTML, like Gecko)"
FIREFOX: Final = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0"

AGENTS: Final = [
    (FIREFOX, "Firefox on Windows", "Firefox on Windows"),
    (f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} Chrome/129.0.0.0 Safari/537.36", "Chrome on Linux", "Chrome on Linux"),
    (
        f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Chrome/129.0.0.0 Safari/537.36 Edg/129.0",
        "Edge on Mac OS X",
        "Edge on macOS",
    ),
    (
        f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) {WEBKIT} Version/17.5 Mobile/15E148 Safari/604.1",
        "Mobile Safari on iOS",
        "Safari on iOS",
    ),
    (f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/129.0.0.0 Mobile Safari/537.36", "Chrome Mobile on Android", "Chrome on Android"),
    ("curl/8.5.0", "curl", None),
    ("Windows", "Windows", "Windows"),
    ("x" * 100_000, None, None),
    ("", None, None),
    (None, None, None),
]


@pytest.fixture
def without_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the library be one that is not installed."""
    monkeypatch.setitem(sys.modules, "ua_parser", None)
    devices._library.cache_clear()
    yield
    devices._library.cache_clear()


@pytest.mark.parametrize(("agent", "name", "_plain"), AGENTS)
def test_a_device_has_a_short_name(agent: str | None, name: str | None, _plain: str | None) -> None:
    """Browser and system, without versions or models; nothing if nothing is known."""
    make_ready()
    assert device_of(agent) == name


@pytest.mark.usefixtures("without_library")
@pytest.mark.parametrize(("agent", "_name", "plain"), AGENTS)
def test_without_the_library_the_frequent_ones_are_known(agent: str | None, _name: str | None, plain: str | None) -> None:
    """The extra is not needed; nothing fails without it."""
    make_ready()
    assert device_of(agent) == plain


@given(st.text(max_size=2_000) | st.text("/;()0123456789. AbotMzilS", max_size=600).map(lambda text: f"Mozilla/5.0 ({text}"))
def test_whatever_a_header_says_the_name_is_short_and_printable(agent: str) -> None:
    """It goes into lists, logs and databases: no control characters, and no longer than two names."""
    name = device_of(agent)
    assert name is None or (name.isprintable() and 0 < len(name) <= 2 * devices.LONGEST_NAME + 4)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.0/24"),
        ("2001:db8:1234:5678::9", "2001:db8:1234::/48"),
        ("::ffff:203.0.113.9", "203.0.113.0/24"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", None),
        ("testclient", None),
        ("203.0.113.9:80", None),
    ],
)
def test_of_an_address_only_the_network_is_kept(address: str, network: str | None) -> None:
    """24 bits of IPv4, 48 of IPv6, and nothing of what is no address."""
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("config", "facts"),
    [
        (HttpConfig(), {"device": "Firefox on Windows", "network": "203.0.113.0/24"}),
        (HttpConfig(remember_device=False), {"network": "203.0.113.0/24"}),
        (HttpConfig(remember_network=False), {"device": "Firefox on Windows"}),
        (HttpConfig(remember_device=False, remember_network=False), None),
    ],
)
def test_what_is_remembered_is_a_setting(config: HttpConfig, facts: dict[str, str] | None) -> None:
    """Device and network each can be left out; without both there is no attribute at all."""
    asked = request("POST", "/login", headers={"user-agent": FIREFOX})
    assert remembered(asked, peer_of(asked, config), config) == ({} if facts is None else {"stillhere": facts})


def test_the_network_of_a_strange_proxy_is_not_taken_for_the_browsers() -> None:
    """Behind a proxy that nobody named nothing is known; behind one of ours it is the browser's."""
    asked = request("POST", "/login", headers={"x-forwarded-for": "198.51.100.7"})
    trusting = HttpConfig(trusted_proxies=("203.0.113.9",))
    assert remembered(asked, peer_of(asked, HttpConfig()), HttpConfig()) == {}
    assert remembered(asked, peer_of(asked, trusting), trusting) == {"stillhere": {"network": "198.51.100.0/24"}}


@pytest.mark.parametrize("facts", [None, "text", [], {"device": 7}, {}])
def test_an_attribute_that_is_not_ours_recalls_nothing(facts: Any) -> None:
    """An application may have put anything there before the name was taken."""
    assert recalled({"stillhere": facts}, "device") is None
    assert recalled({}, "device") is None
