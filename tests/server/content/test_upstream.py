"""An application behind the gate: everything comes through but what is not its business."""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any, Final

import httpx2
import pytest

from stillhere.server.content.crossing import as_target
from tests.server.content.application import LARGEST, PAGE
from tests.server.content.folders import NAVIGATES, headers_of, raw
from tests.support import wait_until

if TYPE_CHECKING:
    from tests.server.content.application import Application
    from tests.server.site import Site

TAG: Final = re.compile(rb'<script src="/session/client\.js\?v=\w+" data-login="/gate" data-heat defer></script>\n')


def heard(answer: httpx2.Response) -> dict[str, list[str]]:
    """Read which headers the application got."""
    found: dict[str, list[str]] = {}
    for name, value in answer.json()["headers"]:
        found.setdefault(name.lower(), []).append(value)
    return found


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_requests_come_through_as_they_are(front: Site, method: str) -> None:
    """Method, path, query and body reach the application byte for byte."""
    target = "/echo/a%2Fb/%C3%BC;x=1//end?q=1&q=%20+%25&=#"
    answer = front.enter().request(method, target.rstrip("#"), content=b"\x00\xff" * 1_000)
    told = answer.json()
    assert (told["method"], told["target"], told["size"]) == (method, target.rstrip("#"), 2_000)


TARGETS: Final = (
    "//echo/x",
    "/echo//x///y",
    "/echo/./x/../y",
    "/echo?q='a'&r=\"b\"",
    "/echo/<x>|{y}^`z`\\",
    "/echo/%zz%",
    "/echo?",
    "/echo??a=?b",
    "/echo?[]=1&a[0]=2",
)


@pytest.mark.parametrize("target", TARGETS)
def test_an_address_is_not_written_anew(front: Site, target: str) -> None:
    """What other libraries tidy up reaches the application as it was sent: quotes, brackets, empty and dotted segments."""
    status, body = raw(front.enter(), target)
    assert status == 200, body
    assert json.loads(body)["target"] == target.removesuffix("?")


def test_what_no_request_line_can_hold_is_encoded() -> None:
    """Whatever a server lets through, nothing ends the line or begins another one; all else stays."""
    assert as_target("/a%20'\"?b=\xfc c\r\nHost: evil\x00") == b"/a%20'\"?b=%FC%20c%0D%0AHost:%20evil%00"


def test_the_application_is_told_who_asks(front: Site) -> None:
    """Subject, public handle and the visitor's way are told in headers; Host is what the visitor sees."""
    name = front.name()
    visitor = front.enter(name)
    told = heard(
        visitor.get(
            "/echo", headers={"x-forwarded-proto": "https", "host": "app.example", "cookie": f"__Host-session={visitor.cookies['session']}"}
        )
    )
    assert told["x-stillhere-subject"] == [name]
    assert told["x-stillhere-session"] == [visitor.cookies["session"].split(".")[0]]
    assert told["x-forwarded-for"] == [visitor.headers["x-forwarded-for"]]
    assert told["x-forwarded-proto"] == ["https"]
    assert told["x-forwarded-host"] == told["host"] == ["app.example"]
    assert told["via"] == ["1.1 stillhere"]


def test_nobody_can_pose_as_somebody_else(front: Site) -> None:
    """What a browser says in our headers never reaches the application, however it is spelled."""
    name = front.name()
    forged = {
        "X-Stillhere-Subject": "boss@firm.example",
        "x-stillhere-role": "admin",
        "X_Stillhere_Subject": "boss@firm.example",
        "X-Stillhere_Subject": "boss@firm.example",
        "Forwarded": "for=1.1.1.1",
        "X-Real-IP": "1.1.1.1",
        "X-Forwarded-Prefix": "/evil",
        "X-Original-URL": "/evil",
        "X-Rewrite-URL": "/evil",
        "X-Forwarded-Host": "evil.example",
        "Connection": "close, X-Stillhere-Subject",
        "Proxy-Authorization": "Basic eA==",
        "TE": "trailers",
    }
    told = heard(front.enter(name).get("/echo", headers=forged))
    assert "boss@firm.example" not in str(told)
    assert "evil" not in str(told)
    assert told["x-stillhere-subject"] == [name]
    assert not {name.lower() for name in forged} & told.keys() - {"connection", "x-stillhere-subject", "x-forwarded-host"}


def test_our_cookies_stay_here(front: Site) -> None:
    """Session, refresh token, operator and logins are no business of the application; its own cookies reach it. A bearer stays, too."""
    visitor = front.enter()
    secret = visitor.cookies["session"]
    cookies = f"theme=dark; session={secret}; operator=x; __Host-session=y; refresh=z; login-abc=1; cart=2"
    told = heard(front.visitor(cookie=cookies).get("/echo"))
    assert told["cookie"] == ["theme=dark; cart=2"]
    assert "cookie" not in heard(front.visitor(cookie=f"session={secret}").get("/echo"))
    told = heard(front.visitor(authorization=f"Bearer {secret}").get("/echo"))
    assert "authorization" not in told
    assert secret not in str(told)
    told = heard(front.visitor(cookie=f"session={secret}", authorization="Basic eDp5").get("/echo"))
    assert told["authorization"] == ["Basic eDp5"]


def test_what_a_code_or_an_operator_came_with_stays_here(front: Site) -> None:
    """The cookie of a code that was asked for, and those of operators who sign in at a provider, do not reach the application either."""
    names = ("gate", "__Host-gate", "operator-login-abc", "__Host-operator-login-abc")
    cookies = "; ".join((*(f"{name}=x" for name in names), "gates=1"))
    visitor = front.enter()
    told = heard(front.visitor(cookie=f"session={visitor.cookies['session']}; {cookies}").get("/echo"))
    assert told["cookie"] == ["gates=1"]


def test_the_application_keeps_its_cookies_and_not_ours(front: Site) -> None:
    """Every cookie it sets passes, but for ours: it can sign nobody in or out."""
    forged = "session=forged;Path=/|__Host-session=forged|operator=forged|login-x=1|__Host-gate=x|operator-login-x=1"
    answer = front.enter().get(f"/cookies?more={forged}")
    assert answer.headers.get_list("set-cookie") == ["cart=1; Path=/", "theme=dark; Path=/; HttpOnly"]


@pytest.mark.parametrize(
    ("location", "seen"),
    [
        ("{url}/there?x=1#y", "/there?x=1#y"),
        ("{url}", "/"),
        ("{url}//evil.example/", "/evil.example/"),
        ("{url}.evil.example/", "{url}.evil.example/"),
        ("/there", "/there"),
        ("https://elsewhere.example/", "https://elsewhere.example/"),
    ],
)
def test_redirects_stay_behind_the_gate(front: Site, application: Application, location: str, seen: str) -> None:
    """A redirect to the application's own address becomes one to ours; others are left alone, and none is followed here."""
    answer = front.enter().get("/go", params={"to": location.format(url=application.url)})
    assert (answer.status_code, answer.headers["location"]) == (302, seen.format(url=application.url))


def test_headers_for_one_hop_stay_on_it(front: Site) -> None:
    """`Connection` and what it names do not cross; other headers do; there is one Date."""
    answer = front.enter().get("/hops")
    assert headers_of(answer, "x-hop", "keep-alive", "x-kept") == [None, None, "1"]
    assert len(answer.headers.get_list("date")) == 1


def test_pages_get_the_client(front: Site) -> None:
    """HTML gets the client before `</body>`; its tag becomes a weak one; nothing but the reader's browser may keep it."""
    answer = front.enter().get("/page", headers=NAVIGATES)
    assert TAG.sub(b"", answer.content) == PAGE
    assert TAG.search(answer.content)
    assert headers_of(answer, "etag", "cache-control") == ['W/"v1"', "private, max-age=60"]
    assert headers_of(answer, "content-security-policy", "x-content-type-options") == ["frame-ancestors 'self'", "nosniff"]
    head = front.enter().head("/page", headers=NAVIGATES)
    assert (head.status_code, head.content, head.headers.get("content-length")) == (200, b"", None)


def test_an_applications_own_policy_stays(front: Site) -> None:
    """What the application says about its pages is not added to."""
    answer = front.enter().get("/strict")
    assert answer.headers.get_list("content-security-policy") == ["default-src 'self'"]
    assert answer.headers.get_list("cross-origin-opener-policy") == ["unsafe-none"]


def test_what_is_no_whole_page_is_left_alone(front: Site) -> None:
    """Fragments, errors and data pass untouched, with their length."""
    visitor = front.enter()
    assert visitor.get("/fragment").content == b"<tr><td>1</td></tr>"
    failed = visitor.get("/error", headers=NAVIGATES)
    assert (failed.status_code, failed.content) == (500, PAGE)


def test_zipped_pages(front: Site) -> None:
    """A person's page is asked for unzipped, so that it gets the client; what comes zipped anyway passes as it is."""
    visitor = front.enter()
    zips = {**NAVIGATES, "accept-encoding": "gzip, br"}
    assert TAG.search(visitor.get("/zipped", headers=zips).content)
    answer = visitor.get("/zipped?always=1", headers=zips)
    assert (answer.content, answer.headers["content-encoding"]) == (PAGE, "gzip")
    answer = visitor.get("/zipped", headers={"accept-encoding": "gzip", "accept": "*/*"})
    assert answer.headers["content-encoding"] == "gzip"


def test_a_stranger_reaches_nothing(front: Site, application: Application) -> None:
    """Without a session the application isn't asked at all: pages lead to the gate, everything else is 401."""
    visitor = front.visitor()
    assert visitor.get("/echo?a=1", headers=NAVIGATES).headers["location"] == "/gate?next=/echo%3Fa%3D1"
    assert visitor.get("/echo").status_code == 401
    assert visitor.post("/echo", content=b"x" * 100).status_code == 401
    assert application.asked == []


@pytest.mark.parametrize(
    ("target", "is_open"),
    [
        ("/about", True),
        ("/public/a", True),
        ("/public/", True),
        ("/about/", False),
        ("/public", False),
        ("/public/../echo", False),
        ("/public/%2e%2e/echo", False),
        ("/public/%252e%252e/echo", False),
        ("/public/..;/echo", False),
        ("/public/..%2fecho", False),
        ("/public//echo", False),
        ("/public/..%5cecho", False),
        ("/PUBLIC/a", False),
    ],
)
def test_open_paths_are_open_and_no_others(front: Site, application: Application, target: str, is_open: bool) -> None:  # noqa: FBT001  # a table's column
    """A path on the list needs no session; one that may mean another to whoever reads it next does."""
    status, _ = raw(front.visitor(), target)
    assert status == (200 if is_open else 401)
    assert application.asked == ([target] if is_open else [])


def test_an_open_path_tells_nobody_and_somebody(front: Site) -> None:
    """On an open path the application learns who is signed in, and of nobody if nobody is."""
    assert "x-stillhere-subject" not in heard(front.visitor(**{"x-stillhere-subject": "x"}).get("/about"))
    name = front.name()
    assert heard(front.enter(name).get("/about"))["x-stillhere-subject"] == [name]


def test_the_programs_own_paths_stay_its_own(front: Site, application: Application) -> None:
    """Gate, dashboard and session routes never reach the application, by any method; its `/static` does."""
    visitor = front.enter()
    for path in ("/gate/x", "/admin/x", "/session/x", "/gate/static/x", "/healthz/x"):
        assert visitor.get(path).status_code == 404, path
    assert visitor.put("/gate").status_code == 405
    assert application.asked == []
    assert visitor.get("/static/app.css").json()["target"] == "/static/app.css"


def test_large_uploads_are_streamed(front: Site) -> None:
    """Megabytes without a length pass in pieces, whole."""
    pieces = [bytes([n]) * 50_000 for n in range(100)]
    answer = front.enter().post("/echo", content=iter(pieces))
    assert answer.json()["size"] == 5_000_000


@pytest.mark.parametrize("is_announced", [True, False])
def test_too_large_an_upload_is_refused(front: Site, is_announced: bool) -> None:  # noqa: FBT001  # a table's column
    """More than may be sent is 413, whether its length is announced or not; it is not passed on whole."""
    content: Any = b"x" * (LARGEST + 1) if is_announced else (b"x" * 1_000_000 for _ in range(9))
    try:
        answer = front.enter().post("/echo", content=content)
    except httpx2.WriteError:
        return  # it was refused while it was still being sent
    assert answer.status_code == 413


def test_a_circle_is_found(front: Site) -> None:
    """A gate whose application is itself says so, instead of asking itself for ever."""
    answer = front.enter().get("/echo", headers={**NAVIGATES, "via": "1.1 stillhere"})
    assert answer.status_code == 508
    assert "Going round in circles" in answer.text


def test_a_websocket_is_refused_in_words(front: Site, application: Application) -> None:
    """A WebSocket is 501 with a sentence, with a session or without, and never reaches the application."""
    for visitor in (front.enter(), front.visitor()):
        status, body = raw(
            visitor,
            "/socket",
            Upgrade="websocket",
            **{"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13", "connection": "Upgrade"},
        )
        assert status == 501
        assert b"WebSockets are not carried through the gate" in body
    assert application.asked == []


def test_streams_pass_as_they_come(hasty: Site, application: Application) -> None:
    """Server-sent events arrive one by one, may pause longer than the timeout, and end there when the browser has gone."""
    with hasty.enter().stream("GET", "/events", headers={"accept": "text/event-stream"}) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "data: first"
        wait_until(lambda: not application.gone.wait(3.5), what="a pause longer than the timeout")
        application.go_on.set()
        assert "data: second" in itertools.islice(lines, 5)
    wait_until(application.gone.is_set, what="the application to see that the browser has gone")


def test_a_stream_does_not_outlive_its_session(front: Site, application: Application) -> None:
    """When somebody signs out, streams that they left open end within seconds, here and at the application."""
    visitor = front.enter()
    application.go_on.set()
    with visitor.stream("GET", "/events", headers={"accept": "text/event-stream"}) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "data: first"
        assert visitor.post("/session/end").status_code == 200
        with pytest.raises(httpx2.RemoteProtocolError):
            list(lines)
    wait_until(application.gone.is_set, what="the application to see that nobody listens")
