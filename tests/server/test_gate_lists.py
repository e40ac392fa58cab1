"""Who may enter: lists and access code; what those learn who may not; and what a gate looks like."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import httpx2
import pytest

from stillhere.errors import SettingsError
from stillhere.manager import SessionManager
from stillhere.server.app import build_app
from stillhere.server.settings import load_settings
from tests.server.gates import ADDRESS, Stand, standing
from tests.server.site import ADMIN_TOKEN
from tests.services.mail import post_office
from tests.support import wait_until

if TYPE_CHECKING:
    from pathlib import Path

LISTS: Final[dict[str, Any]] = {
    "gate_block": "blocked@fund.example",
    "gate_allow": "@fund.example,@*.firm.example,blocked@fund.example",
    "gate_deny": "denied@fund.example",
}
REFUSED: Final = ("blocked@fund.example", "BLOCKED@Fund.Example", "denied@fund.example", "stranger@other.example", "x@firm.example")
ADMITTED: Final = ("reader@fund.example", "x@sub.firm.example", "blocked+x@fund.example")


@pytest.mark.parametrize("email", [*REFUSED, *ADMITTED])
def test_without_a_code_the_lists_decide(tmp_path: Path, email: str) -> None:
    """Block, then allow, then deny: who is refused gets one page for all three and no session, everybody else is in."""
    with standing(tmp_path, gate_code="none", **LISTS) as stand:
        answer = stand.visitor().post("/gate", data={"email": email})
        if email in ADMITTED:
            assert answer.status_code == 303
            assert json.loads(stand.sessions()[0]["attributes"]).keys() == {"stillhere"}
        else:
            assert answer.status_code == 403
            assert "has not opened it for your address" in answer.text
            assert email not in answer.text
            assert stand.sessions() == []


def shown(answer: httpx2.Response, email: str) -> tuple[int, dict[str, str], str]:
    """Give an answer without what each has for itself: the time, the nonce and the address that was typed."""
    headers = {name: value for name, value in answer.headers.items() if name not in {"date", "content-length"}}
    headers["set-cookie"] = re.sub(r"[0-9a-f]{32}\.[A-Za-z0-9_-]+", "…", headers.get("set-cookie", ""))
    return answer.status_code, headers, answer.text.replace(email, "…")


def everything_seen(stand: Stand, email: str) -> list[tuple[int, dict[str, str], str]]:
    """Do all that one can do without a code, and tell all that is seen."""
    visitor = stand.visitor()
    network = visitor.headers["x-forwarded-for"]
    seen = [visitor.post("/gate", data={"email": email, "next": "/lab"}), visitor.get("/gate/code?next=/lab")]
    seen += [visitor.post("/gate", data={"email": email}), stand.visitor(network).post("/gate", data={"email": email})]
    seen += [visitor.post("/gate/code", data={"again": "1"})]
    seen += [visitor.post("/gate/code", data={"code": f"0000000{number}"}) for number in range(7)]
    stand.clock.advance(30_000)
    seen += [visitor.post("/gate/code", data={"again": "1"}), visitor.post("/gate/code", data={"code": "00000000"})]
    stand.clock.advance(600_000)
    seen += [visitor.post("/gate/code", data={"code": "00000000"}), visitor.post("/gate/code", data={"again": "1"})]
    for _ in range(4):
        seen += [stand.visitor(network).post("/gate", data={"email": email})]
        stand.clock.advance(30_000)
    return [shown(answer, email) for answer in seen]


def test_nobody_learns_who_may_enter(tmp_path: Path) -> None:
    """With codes, every answer to a refused address is, to the byte, the one that others get; only no mail comes."""
    with standing(tmp_path, **LISTS) as stand:
        expected = everything_seen(stand, ADDRESS)
        statuses = [status for status, _, _ in expected]
        assert statuses == [303, 200, 303, 429, 429, *[422] * 7, 303, 422, 422, 303, 303, 303, 303, 429]
        for email in ("denied@fund.example", "blocked@fund.example", "stranger@other.example"):
            assert everything_seen(stand, email) == expected
        wait_until(lambda: len(stand.post.mails) == 5, what="five mails to who may enter")
        assert stand.sessions() == []


def test_an_answer_takes_as_long_for_who_gets_no_mail(tmp_path: Path) -> None:
    """The answer does not wait for the message: a mail server that thinks long over messages makes nobody's answer slower."""
    with standing(tmp_path, **LISTS) as stand:
        stand.post.takes.clear()
        for number in range(4):
            for domain in ("fund.example", "other.example"):
                stand.asked(f"r{number}@{domain}")
        assert stand.post.mails == []
        stand.post.takes.set()
        wait_until(lambda: len(stand.post.mails) == 4, what="the messages")


def test_a_refusal_is_logged_and_counted_without_the_address(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log names a refused visitor by first letter and domain, says which list it was, and holds no code."""
    caplog.set_level("INFO", "stillhere")
    with standing(tmp_path, **LISTS) as stand:
        for email in ("blocked@fund.example", "denied@fund.example", "stranger@other.example"):
            stand.asked(email)
        stand.asked()
        code = stand.post.code_for(ADDRESS)
    for line in ("the gate refused b…@fund.example: blocked", "d…@fund.example: denied", "s…@other.example: not_allowed"):
        assert line in caplog.text
    assert code not in caplog.text
    assert "stranger" not in caplog.text
    assert "r…@" not in caplog.text


def test_a_mail_server_that_is_down(tmp_path: Path) -> None:
    """503 with Retry-After and the form as it was sent, for whoever asks; no guess is lost, and once mail works a code comes."""
    with post_office() as post:
        pass
    with standing(tmp_path, post=post, **LISTS) as stand:
        for email in (ADDRESS, "blocked@fund.example"):
            answer = stand.visitor().post("/gate", data={"email": email, "next": "/lab"})
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
            assert "The code could not be sent" in answer.text
            assert f'value="{email}"' in answer.text
            assert 'name="next" value="/lab"' in answer.text
            assert "set-cookie" not in answer.headers
        stand.clock.advance(30_000)
        with post_office(port=post.port) as works:
            visitor = stand.asked()
            code = works.code_for(ADDRESS)
        stand.clock.advance(30_000)
        answer = visitor.post("/gate/code", data={"again": "1"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert "could not be sent" in answer.text
        assert visitor.post("/gate/code", data={"code": code}).status_code == 303


def test_what_was_not_sent_does_not_count(tmp_path: Path) -> None:
    """However often somebody tries while no mail goes out, a code comes as soon as it does; and a refused address is told the same."""
    with post_office() as post:
        pass
    with standing(tmp_path, post=post, **LISTS) as stand:
        emails = (ADDRESS, "blocked@fund.example")
        browsers = [stand.visitor() for _ in emails]
        for _ in range(10):
            for email, browser in zip(emails, browsers, strict=True):
                assert browser.post("/gate", data={"email": email}).status_code == 503
            stand.clock.advance(30_000)
        with post_office(port=post.port) as works:
            for email, browser in zip(emails, browsers, strict=True):
                assert browser.post("/gate", data={"email": email}).status_code == 303
            assert browsers[0].post("/gate/code", data={"code": works.code_for(ADDRESS)}).status_code == 303


def test_an_address_that_the_mail_server_refuses(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody learns by the gate which mailboxes exist; the log says that the message was not taken."""
    with standing(tmp_path) as stand:
        stand.post.refuse["gone@fund.example"] = "550 no such user"
        stand.asked("gone@fund.example")
        wait_until(lambda: "the code for g…@fund.example was not sent" in caplog.text, what="the refusal in the log")


@pytest.mark.parametrize("name", ["Data\r\nBcc: x@evil.example\r\n\r\nroom", "Bücher & {code} <b>", "r" * 500])
def test_nothing_is_smuggled_into_the_mail(tmp_path: Path, name: str) -> None:
    """Whatever the site is called, and whatever is typed as an address, the mail goes to one recipient with one body."""
    with standing(tmp_path, site_name=name) as stand:
        stand.asked()
        for typed in ("a@fund.example\r\nBcc: b@evil.example", "a@fund.example%0d%0aBcc: b@evil.example", "a@fund.example,b@evil.example"):
            assert stand.visitor().post("/gate", data={"email": typed}).status_code == 422
        assert stand.post.code_for(ADDRESS)
        ((recipient, mail),) = stand.post.mails
        assert (recipient, mail["To"], mail["Bcc"]) == (ADDRESS, ADDRESS, None)
        assert " ".join(name.split())[:150] in mail["Subject"]


def test_an_access_code_comes_before_everything(tmp_path: Path) -> None:
    """Without it nobody is asked, mailed or refused, whatever the address; with it the lists decide."""
    with standing(tmp_path, gate_access_code="open sesame", **LISTS) as stand:
        for email in (ADDRESS, "blocked@fund.example"):
            for wrong in (
                {},
                {"access_code": ""},
                {"access_code": "open  sesame"},
                {"access_code": "\ud800".encode("utf-8", "surrogatepass")},
            ):
                answer = stand.visitor().post("/gate", data={"email": email, **wrong})
                assert answer.status_code == 422
                assert "That is not the access code" in answer.text
                assert "sesame" not in answer.text
        assert stand.post.tries == 0
        stand.enter(access_code=" open sesame ")
        assert len(stand.sessions()) == 1


def test_what_the_gate_answers_is_counted(tmp_path: Path) -> None:
    """For whoever reads the metrics: each answer once under its own word, and those that never came as 0."""
    with standing(tmp_path, gate_access_code="open sesame", **LISTS) as stand:
        stand.visitor().post("/gate", data={"email": ADDRESS, "access_code": "guess"})
        for email in ("blocked@fund.example", "denied@fund.example", "stranger@other.example", "other@other.example"):
            stand.asked(email, access_code="open sesame")
        stand.enter(access_code="open sesame")
        assert stand.asked("x@fund.example", access_code="open sesame").post("/gate/code", data={"code": "0"}).status_code == 422
        told = httpx2.get(f"{stand.url}/metrics", timeout=20).text
    found = re.findall(r'^stillhere_gate_answers_total\{outcome="(\w+)"\} (.+)$', told, re.MULTILINE)
    counted = {word: int(float(count)) for word, count in found}
    assert counted == {
        "blocked": 1, "denied": 1, "not_allowed": 2, "asked": 2, "admitted": 0, "wrong_access_code": 1, "wrong_code": 1, "entered": 1,
    }  # fmt: skip


def test_the_access_code_is_not_guessed(tmp_path: Path) -> None:
    """One network has thirty tries a minute, in all processes together; then also the right one waits."""
    with (
        standing(tmp_path, gate_access_code="open sesame") as stand,
        standing(tmp_path, gate_access_code="open sesame", clock=stand.clock, post=stand.post) as other,
    ):
        browsers = [stand.visitor("10.1.1.1"), other.visitor("10.1.1.1")]
        for number in range(30):
            assert browsers[number % 2].post("/gate", data={"email": ADDRESS, "access_code": f"guess {number}"}).status_code == 422
        for browser in browsers:
            answer = browser.post("/gate", data={"email": ADDRESS, "access_code": "open sesame"})
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
        stand.asked(access_code="open sesame")


def test_a_list_goes_before_a_code_that_is_on_its_way(tmp_path: Path) -> None:
    """Who is blocked after a code was mailed does not come in with it, and is told what any wrong code is told."""
    with standing(tmp_path) as stand:
        asked = stand.asked()
        cookie, code = f"gate={asked.cookies['gate']}", stand.post.code_for(ADDRESS)
    with standing(tmp_path, clock=stand.clock, post=stand.post, gate_block=ADDRESS) as stand:
        answer = stand.visitor(cookie=cookie).post("/gate/code", data={"code": code})
        assert answer.status_code == 422
        assert "That is not the code" in answer.text
        assert stand.sessions() == []


def test_a_gate_looks_like_its_site(tmp_path: Path) -> None:
    """Name, welcome, logo and colour are the site's own, as text and files that the policy of the pages lets through."""
    (tmp_path / "logo.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "utf-8")
    brand: dict[str, Any] = {
        "gate_logo": str(tmp_path / "logo.svg"),
        "gate_colour": "#ffcc00",
        "gate_welcome": "Welcome & <b>read</b>\non.",
    }
    with standing(tmp_path, site_name="Data <room>", **brand) as stand:
        visitor = stand.asked()
        for page in (visitor.get("/"), visitor.get("/gate/code")):
            assert "Data &lt;room&gt;" in page.text
            assert '<img class="logo" src="/gate/brand/logo" alt="">' in page.text
            assert '<link rel="stylesheet" href="/gate/brand/style.css">' in page.text
        assert "Welcome &amp; &lt;b&gt;read&lt;/b&gt;\non." in visitor.get("/").text
        logo, style = visitor.get("/gate/brand/logo"), visitor.get("/gate/brand/style.css")
        assert logo.headers["content-type"] == "image/svg+xml"
        assert "sandbox" in logo.headers["content-security-policy"]
        assert style.headers["content-type"] == "text/css; charset=utf-8"
        assert "--accent: #ffcc00" in style.text  # on dark; on light it would not be readable
        assert style.text.count("#ffcc00") == 4
        for answer in (logo, style):
            assert answer.headers["cache-control"] == "public, max-age=300"
            assert answer.headers["x-content-type-options"] == "nosniff"


def test_without_codes_there_is_no_page_for_them(tmp_path: Path) -> None:
    """A gate that asks for none has no address that takes one, no picture and no terms."""
    with standing(tmp_path, gate_code="none") as stand:
        for path in ("/gate/code", "/gate/terms", "/gate/brand/logo", "/gate/brand/style.css"):
            assert stand.visitor().get(path).status_code == 404
        assert stand.visitor().post("/gate/code", data={"code": "12345678"}).status_code == 404


@pytest.mark.parametrize("data", [{"code": "1" * 9_000}, {f"f{number}": "1" for number in range(50)}])
def test_a_hostile_form_of_a_code(tmp_path: Path, data: dict[str, str]) -> None:
    """A form that is too large, or of too many fields, is refused with a page and costs no guess."""
    with standing(tmp_path) as stand:
        visitor = stand.asked()
        before = stand.rows("firsts")
        assert visitor.post("/gate/code", data=data).status_code in {400, 413}
        assert visitor.post("/gate/code", content=b"\xff" * 100, headers={"content-type": "text/plain"}).status_code == 400
        for method in ("PUT", "DELETE", "PATCH"):
            answer = visitor.request(method, "/gate/code")
            assert (answer.status_code, set(answer.headers["allow"].split(", "))) == (405, {"GET", "HEAD", "POST"})
        assert stand.rows("firsts") == before


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"gate_code": "email"}, "there is no mail server"),
        ({"gate_code": "email", "mail_url": "smtp://post.example"}, "mail_from is missing"),
        ({"gate_code": "sms"}, "gate_code"),
        ({"gate_terms": "/nowhere/terms.txt"}, "gate_terms: the file /nowhere/terms.txt cannot be read"),
        ({"gate_logo": "/nowhere/logo.exe"}, "is no picture"),
        ({"gate_logo": "/nowhere/logo.png"}, "gate_logo: the file /nowhere/logo.png cannot be read"),
        ({"gate_colour": "red"}, "gate_colour"),
        ({"gate_access_code": "short"}, "gate_access_code"),
        ({"gate_block": "nobody"}, "gate_block: 'nobody' is no address"),
        ({"gate_allow": "@/nowhere/list"}, "gate_allow: the file /nowhere/list cannot be read"),
    ],
)
async def test_what_cannot_work_is_refused_at_start(flags: dict[str, Any], sentence: str) -> None:
    """A gate that could not do what is asked does not open, and says why."""
    async with SessionManager("memory://") as manager:
        with pytest.raises(SettingsError, match=re.escape(sentence)):
            build_app(manager, load_settings({"store": "memory://", **flags}), admin_token=ADMIN_TOKEN)
