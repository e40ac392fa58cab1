"""The dashboard's numbers, and the end of a session from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.http.test_devices import FIREFOX

if TYPE_CHECKING:
    import httpx2

    from tests.server.site import Site

READ: Final = {"tab": "t1", "page": "/confidential", "title": "A page", "visibleMs": 1, "lifecycle": "active"}


def opened(site: Site, email: str, *views: str) -> httpx2.Client:
    """Pass the gate and open views, each in a session's same visit."""
    visitor = site.enter(email)
    for view in views:
        assert visitor.post("/session/beat", json={**READ, "view": view}).status_code == 200
    return visitor


def person(operator: httpx2.Client, email: str) -> dict[str, Any]:
    """Find somebody among those who are here."""
    (found,) = [row for row in operator.get("/admin/api/now").json()["here"] if row["visitor"] == email]
    return dict(found)


def visits_of(operator: httpx2.Client, email: str) -> list[dict[str, Any]]:
    """List somebody's visits."""
    return list(operator.get("/admin/api/visits", params={"visitor": email}).json()["visits"])


def test_who_is_here_now(site: Site) -> None:
    """Somebody with a page on screen is listed with page, title, tabs and how long is left, and counted."""
    operator, email = site.operator(), site.name()
    opened(site, email, "v1")
    answer = operator.get("/admin/api/now")
    assert answer.headers["cache-control"] == "private, no-store"
    found = person(operator, email)
    assert (found["page"], found["title"], found["lifecycle"]) == ("/confidential", "A page", "active")
    assert (found["state"], found["present"], found["left"], found["tabs"], found["onScreen"]) == ("active", True, False, 1, True)
    assert 0 < found["expiresInMs"] <= 7_200_000
    totals = answer.json()["totals"]
    assert totals["here"] >= 1
    assert totals["sessions"] >= totals["here"]
    assert totals["visitsToday"] >= 1


def test_those_who_are_here_tell_their_device(site: Site) -> None:
    """Browser and system as remembered at the sign-in; nothing where it was not known."""
    operator, email, other = site.operator(), site.name(), site.name()
    browser = site.visitor(**{"user-agent": FIREFOX})
    browser.post("/gate", data={"email": email})
    assert browser.post("/session/beat", json={**READ, "view": "v1"}).status_code == 200
    opened(site, other, "v1")
    assert (person(operator, email)["device"], person(operator, other)["device"]) == ("Firefox on Windows", None)


def test_who_only_passed_the_gate_is_not_here(site: Site) -> None:
    """A session without a page that was seen is no visit and nobody's presence."""
    operator, email = site.operator(), site.name()
    site.enter(email)
    assert all(row["visitor"] != email for row in operator.get("/admin/api/now").json()["here"])
    assert visits_of(operator, email) == []


def test_who_just_left_is_still_shown(site: Site) -> None:
    """After last words somebody is shown as having left, and no longer counted."""
    operator, email = site.operator(), site.name()
    visitor = opened(site, email, "v1")
    visitor.post("/session/beat", json={"kind": "leave", "view": "v1", "seq": 2, "visibleMs": 5, "lifecycle": "hidden"})
    found = person(operator, email)
    assert (found["present"], found["left"], found["onScreen"]) == (False, True, False)


def test_one_visit_and_its_views(site: Site) -> None:
    """A visit is shown with every view it has, under the name that the list gave it."""
    operator, email = site.operator(), site.name()
    opened(site, email, "v1", "v2")
    (listed,) = visits_of(operator, email)
    shown = operator.get(f"/admin/api/visits/{listed['id']}").json()
    assert [view["view"] for view in shown["views"]] == ["v1", "v2"]
    assert shown["visit"]["visitor"] == email
    assert shown["visit"]["here"] is True
    assert shown["visit"]["endedBy"] is None
    assert shown["visit"]["views"] == 2


@pytest.mark.parametrize("name", ["nothing", "abc.1", "abc.0", "abc.-1", "abc.99999999999999999999", ".1", "a.b.c", "%00", "%2e%2e", "é.1"])
def test_a_visit_that_is_not_there(site: Site, name: str) -> None:
    """What names no visit is 404 as a problem, whatever it looks like."""
    answer = site.operator().get(f"/admin/api/visits/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] in {"application/problem+json", "text/html; charset=utf-8"}


def test_the_list_reaches_every_visit_once(site: Site) -> None:
    """Going on from each `next` one comes past every visit exactly once, newest first, whatever the page's size."""
    operator = site.operator()
    emails = {site.name() for _ in range(7)}
    for email in emails:
        opened(site, email, "v1")
    everything = [line.split(",")[0] for line in operator.get("/admin/visits.csv").text.splitlines()[1:]]
    for size in (1, 3, 200):
        seen: list[dict[str, Any]] = []
        following: str | None = ""
        while following is not None:
            page = operator.get("/admin/api/visits", params={"limit": str(size), "before": following}).json()
            assert len(page["visits"]) <= size
            seen += page["visits"]
            following = page["next"]
        assert len({visit["id"] for visit in seen}) == len(seen) == len(everything)
        assert emails <= {visit["visitor"] for visit in seen}
        assert [visit["startedAt"] for visit in seen] == sorted((visit["startedAt"] for visit in seen), reverse=True)


@pytest.mark.parametrize("limit", ["0", "-1", "201", "1e1", "x", "1.0", " 1", "٣", "000000200999", "000000200" + "9" * 5_000, "\x00"])
def test_a_limit_that_cannot_be(site: Site, limit: str) -> None:
    """A limit is a whole number from 1 to 200, in digits; anything else is 422 and named."""
    answer = site.operator().get("/admin/api/visits", params={"limit": limit})
    assert (answer.status_code, answer.json()["field"]) == (422, "limit")


@pytest.mark.parametrize("cursor", ["x", "1", "1.a", "1.a.b", "-1.a.1", "1.a.1.1", "1e5.a.1", "9" * 30 + ".a.1", "1.a.1\n", "' or 1=1 --"])
def test_a_cursor_that_is_none(site: Site, cursor: str) -> None:
    """A cursor that no list gave is 422 and named, with the remedy."""
    answer = site.operator().get("/admin/api/visits", params={"before": cursor})
    assert (answer.status_code, answer.json()["field"]) == (422, "before")
    assert "use the `next` of its last answer" in answer.json()["detail"]


def test_totals_agree_with_the_list(site: Site) -> None:
    """What is added up by visitor is what the list holds (sums reconcile)."""
    operator, email = site.operator(), site.name()
    for _ in range(2):
        opened(site, email, "v1")
    listed = visits_of(operator, email)
    (row,) = [row for row in operator.get("/admin/api/visitors").json()["visitors"] if row["visitor"] == email]
    assert row["visits"] == len(listed) == 2
    for member in ("openMs", "visibleMs", "activeMs"):
        assert row[member] == sum(visit[member] for visit in listed)
    assert row["firstAt"] == min(visit["startedAt"] for visit in listed)
    assert row["lastAt"] == max(visit["endedAt"] for visit in listed)


def test_ending_a_session(site: Site) -> None:
    """The operator ends a session; its page learns `revoked` at the next message, and a second time changes nothing."""
    operator, email = site.operator(), site.name()
    visitor = opened(site, email, "v1")
    handle = person(operator, email)["session"]
    for _ in range(2):
        answer = operator.post(f"/admin/api/sessions/{handle}/end")
        assert (answer.status_code, answer.json()) == (200, {"ended": True})
    told = visitor.post("/session/beat", json={**READ, "kind": "extend", "view": "v1"})
    assert (told.status_code, told.json()["reason"]) == (401, "revoked")
    (visit,) = visits_of(operator, email)
    assert visit["endedBy"] == "revoked"


@pytest.mark.parametrize("handle", ["nothing", "é", "%00", "A" * 16])
def test_a_session_that_is_not_there(site: Site, handle: str) -> None:
    """Ending what is not there is 404 as a problem."""
    answer = site.operator().post(f"/admin/api/sessions/{handle}/end")
    assert (answer.status_code, answer.json()["detail"]) == (404, "There is no such session.")


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}])
def test_nobody_else_can_make_the_operator_end_a_session(site: Site, headers: dict[str, str]) -> None:
    """A foreign page cannot use the operator's cookie to end sessions."""
    operator, email = site.operator(), site.name()
    visitor = opened(site, email, "v1")
    answer = operator.post(f"/admin/api/sessions/{person(operator, email)['session']}/end", headers=headers)
    assert answer.status_code == 403
    assert visitor.get("/session").status_code == 200


def test_a_get_never_ends_a_session(site: Site) -> None:
    """The way to end a session is a POST; a link cannot do it."""
    operator, email = site.operator(), site.name()
    visitor = opened(site, email, "v1")
    answer = operator.get(f"/admin/api/sessions/{person(operator, email)['session']}/end")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert visitor.get("/session").status_code == 200


def test_no_secret_is_in_the_dashboard(site: Site) -> None:
    """Lists name sessions by their public handles; neither a cookie nor its hash is told."""
    operator, email = site.operator(), site.name()
    visitor = opened(site, email, "v1")
    secret = visitor.cookies["session"]
    hashes = [row[0] for row in site.kept() if email in row]
    for path in ("/admin/api/now", "/admin/api/visits", "/admin/api/visitors", "/admin/visits.csv"):
        text = operator.get(path).text
        assert secret not in text
        assert not any(len(str(value)) == 43 and str(value) in text for value in hashes)
