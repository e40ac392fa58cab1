"""The marker: a cookie that scripts can read, which says that a session is there and opens nothing."""

from __future__ import annotations

from typing import Final

import pytest

from stillhere.core.ids import read_id
from stillhere.http.config import HttpConfig
from stillhere.http.cookies import delete_cookies, set_cookies
from tests.http.doubles import OURS, UNKNOWN_SECRET, Web, all_of, request
from tests.http.test_cookies import peer_at

MARKED: Final = HttpConfig(marker_cookie="session_record_id")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("same_site", ["lax", "strict"])
def test_the_marker_goes_where_the_cookie_goes(scheme: str, same_site: str) -> None:
    """Set and taken back together, with the same attributes but for `HttpOnly`; its value is the public handle."""
    config = HttpConfig(marker_cookie="session_record_id", same_site=same_site)  # type: ignore[arg-type]  # one of the two
    peer = peer_at(scheme, "localhost")
    for cookies, value in (
        (set_cookies(UNKNOWN_SECRET, peer, config), "handle"),
        (delete_cookies(request("POST", "/"), peer, config), ""),
    ):
        (_, session), (name, marker) = cookies
        assert name == "set-cookie"
        assert "; HttpOnly" in session
        assert marker == f"session_record_id={value}{session[session.index(';') :].replace('; HttpOnly', '')}"


def test_the_marker_holds_nothing_of_what_has_no_handle() -> None:
    """Whatever is given out as an id, what comes after its last full stop never gets into the marker."""
    for secret in ("a" * 43, ".secret", "", "handle.secret"):
        (_, marker) = set_cookies(secret, peer_at("https", "app.example"), MARKED)[1]
        assert marker.startswith(f"session_record_id={'handle' if secret == 'handle.secret' else ''};")


async def test_the_marker_names_the_session_and_opens_nothing() -> None:
    """It holds the handle, which is no id: sent as the session cookie or as a bearer it is nobody's."""
    web = Web(HttpConfig(marker_cookie="session_record_id", bearer=True))
    started = await web.sign_in()
    (_, marker) = set_cookies(started.secret, peer_at("https", "app.example"), MARKED)[1]
    value = marker.partition("=")[2].partition(";")[0]
    assert value == started.session.handle
    assert read_id(value) is None
    assert (await web.ask("GET", "/session", secret=value)).status == 401
    assert (await web.ask("GET", "/session", headers={**OURS, "authorization": f"Bearer {value}"})).status == 401


async def test_the_marker_is_never_read() -> None:
    """Without the session cookie the marker is nothing, whatever it holds; a forged one beside the cookie changes nothing."""
    web = Web(MARKED)
    started = await web.sign_in()
    for forged in (started.secret, started.session.handle, "x"):
        assert (await web.ask("GET", "/session", headers={"cookie": f"session_record_id={forged}"})).status == 401
        cookie = f"session_record_id={forged}; __Host-session={started.secret}"
        assert (await web.ask("GET", "/session", headers={"cookie": cookie})).status == 200


async def test_signing_out_takes_both_back() -> None:
    """After a sign-out neither cookie is left, so that a script that asks for the marker falls silent."""
    web = Web(MARKED)
    started = await web.sign_in()
    gone = all_of(await web.ask("POST", "/session/end", secret=started.secret), "set-cookie")
    assert [cookie.partition(";")[0] for cookie in gone] == ["__Host-session=", "session_record_id="]
    assert all("Max-Age=0" in cookie for cookie in gone)
