"""What the doctor finds in gate, content, mail and mirrors: found by example, with what to change, and without a secret."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from stillhere.core.findings import Level
from stillhere.server.part_checks import finding_of_start, findings_of_others, findings_of_parts
from stillhere.server.settings import load_settings
from tests.services.http import Answered, http_thread
from tests.services.mail import post_office
from tests.services.process import free_port

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "whsec_" + base64.b64encode(b"a secret for tests, long enough").decode()
CODE = {"gate_access_code": "open sesame"}
"""With it the gate is no open one, and asks for no mail."""
HOOK = "https://crm.firm.example/hook"
TABLE = {"nocodb_url": "https://nocodb.firm.example", "nocodb_token": "planted token", "nocodb_table": "m"}
MAIL = {"mail_url": "smtp://user:planted-password@post.example:587", "mail_from": "room@firm.example"}


def found(**flags: str) -> list[tuple[Level, str]]:
    """Name what was found; no sentence has a secret in it."""
    findings = findings_of_parts(load_settings({"store": "sqlite:///visits.db", **flags}))
    assert not any(secret in finding.text for finding in findings for secret in ("planted", SECRET, "sesame"))
    return [(finding.level, finding.code) for finding in findings]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({}, [(Level.NOTE, "gate-open")]),
        ({"upstream": "http://127.0.0.1:3000"}, [(Level.WARNING, "gate-open")]),
        ({"gate_terms": "https://firm.example/terms"}, []),
        (CODE, []),
        ({"gate_code": "email", **MAIL}, []),
        ({"gate_allow": "@fund.example"}, [(Level.WARNING, "allow-without-code")]),
        ({"gate_allow": "@fund.example", **CODE}, []),
        ({"gate_terms": "/nowhere/terms.txt"}, [(Level.ERROR, "gate-refused")]),
        ({"gate_logo": "/nowhere/logo.tiff", **CODE}, [(Level.ERROR, "gate-refused")]),
    ],
)
def test_who_enters(flags: dict[str, str], expected: list[tuple[Level, str]]) -> None:
    """A gate that keeps nobody out is told of, the more so with something behind it; so is a list without anything to prove."""
    assert found(**flags) == expected


@pytest.mark.parametrize(
    ("allow", "block", "deny", "code"),
    [
        ("@fund.example", "@other.example", "", None),
        ("@fund.example", "a@fund.example", "", None),
        ("@fund.example", "@fund.example", "", "nobody-enters"),
        ("a@fund.example,@law.example", "@fund.example", "", "allow-void"),
        ("a@fund.example,@*.law.example", "", "@*.law.example,a@fund.example", "nobody-enters"),
        ("a@fund.example", "@fund.example", "a@fund.example", "nobody-enters"),
    ],
)
def test_an_allow_list_that_means_nothing(allow: str, block: str, deny: str, code: str | None) -> None:
    """Who is allowed and blocked again never enters: a warning, and an error if that goes for all."""
    given = {"gate_allow": allow, "gate_block": block, "gate_deny": deny}
    level = Level.ERROR if code == "nobody-enters" else Level.WARNING
    assert found(**given, **CODE) == ([] if code is None else [(level, code)])


def test_the_sentence_names_who_is_kept_out_by_what() -> None:
    """Block comes first, so it is named where both keep somebody out."""
    settings = load_settings({"gate_allow": "a@x.example,b@x.example,c@x.example", "gate_block": "a@x.example", "gate_deny": "@x.example"})
    (text,) = [finding.text for finding in findings_of_parts(settings) if finding.code == "nobody-enters"]
    assert "a@x.example by gate_block, b@x.example by gate_deny, c@x.example by gate_deny" in text


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"upstream": "http://app.example"}, [(Level.WARNING, "upstream-in-the-clear")]),
        ({"upstream": "https://app.example"}, []),
        ({"upstream": "http://app:3000"}, []),
        ({"upstream": "app.example"}, [(Level.ERROR, "content-refused")]),
        ({"folder": "/nowhere"}, [(Level.ERROR, "content-refused")]),
        ({"folder": "/", "upstream": "http://app:3000"}, [(Level.ERROR, "content-refused")]),
    ],
)
def test_what_is_behind_the_gate(flags: dict[str, str], expected: list[tuple[Level, str]]) -> None:
    """One folder that is there, or one application that nobody listens on the way to."""
    assert found(**flags, **CODE) == expected


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"gate_code": "email"}, [(Level.ERROR, "mail-missing")]),
        ({"notify_to": "me@firm.example", **CODE}, [(Level.ERROR, "mail-missing")]),
        ({"gate_code": "email", "mail_url": MAIL["mail_url"]}, [(Level.ERROR, "mail-refused")]),
        ({"gate_code": "email", **MAIL, "mail_url": "post.example"}, [(Level.ERROR, "mail-refused")]),
        ({"digest_to": "me@firm.example", **MAIL, **CODE}, []),
        ({**MAIL, **CODE}, [(Level.NOTE, "mail-unused")]),
    ],
)
def test_mail(flags: dict[str, str], expected: list[tuple[Level, str]]) -> None:
    """Who asks for mail needs a whole server, and a server needs somebody who asks."""
    assert found(**flags) == expected


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"webhook_urls": HOOK, "webhook_secret": SECRET, **TABLE}, []),
        ({"webhook_urls": f"{HOOK},{HOOK}2"}, [(Level.ERROR, "mirrors-refused")]),
        ({"webhook_urls": HOOK.replace("https", "http"), "webhook_secret": SECRET}, [(Level.ERROR, "mirrors-refused")]),
        ({"nocodb_url": TABLE["nocodb_url"], "nocodb_table": "m"}, [(Level.ERROR, "mirrors-refused")]),
        ({**TABLE, "nocodb_url": "http://10.0.0.2:8080"}, [(Level.NOTE, "nocodb-in-the-clear")]),
        ({**TABLE, "nocodb_url": "http://127.0.0.1:8080"}, []),
        ({**TABLE, "store": "memory://"}, [(Level.WARNING, "mirrors-forget")]),
        ({**TABLE, "store": "redis://host/0"}, [(Level.ERROR, "mirrors-homeless")]),
        ({**TABLE, "store": "redis://host/0", "archive": "sqlite:///visits.db"}, []),
        ({"store": "redis://host/0"}, []),
    ],
)
def test_mirrors(flags: dict[str, str], expected: list[tuple[Level, str]]) -> None:
    """Each mirror has all it needs, and the outbox a home that lasts; one sentence for what is wrong twice."""
    assert found(**flags, **CODE) == expected


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({}, None),
        ({**TABLE, "nocodb_version": "3"}, "--nocodb-base"),
        ({"prefix": "/gate"}, "would hide a page of the program"),
        ({"webhook_urls": HOOK, "webhook_secret": SECRET, "zone": "Mars/Olympus"}, "no time zone"),
    ],
)
async def test_whatever_a_start_refuses_is_found(flags: dict[str, str], says: str | None) -> None:
    """Also what has no finding of its own."""
    finding = await finding_of_start(load_settings(flags))
    assert (finding is None) is (says is None)
    assert says is None or (finding is not None and says in finding.text)


async def test_an_application_is_looked_for() -> None:
    """One that listens is no finding, one that does not a warning; nothing is asked of it."""
    asked = []

    def answer(what: object) -> Answered:
        asked.append(what)
        return Answered(status=204)

    with http_thread(answer) as application:
        assert await findings_of_others(load_settings({"upstream": application.url})) == []
    (finding,) = await findings_of_others(load_settings({"upstream": f"http://127.0.0.1:{free_port()}"}))
    assert (finding.level, finding.code) == (Level.WARNING, "upstream-away")
    assert await findings_of_others(load_settings({"upstream": "no address"})) == []
    assert asked == []


async def test_a_mail_server_is_looked_for() -> None:
    """One that would take mail is no finding, one that is away or refuses a warning; no message is sent."""
    flags = {"gate_code": "email", "mail_from": MAIL["mail_from"]}
    with post_office() as post:
        settings = load_settings({**flags, "mail_url": post.url})
        assert await findings_of_others(settings) == []
        post.refuse_all = "550 not from you"
        (refused,) = await findings_of_others(settings)
        assert (refused.code, "not from you" in refused.text) == ("mail-away", True)
        tries = post.tries
        assert await findings_of_others(settings.model_copy(update={"gate_code": "none"})) == []
        assert (post.mails, post.tries) == ([], tries)
    (away,) = await findings_of_others(load_settings({**flags, "mail_url": f"smtp://127.0.0.1:{free_port()}"}))
    assert (away.level, away.code) == (Level.WARNING, "mail-away")
    assert await findings_of_others(load_settings({"gate_code": "email", "mail_url": "no address"})) == []


async def test_a_folder_with_a_name_of_ours_is_refused(tmp_path: Path) -> None:
    """As at the start: what would be hidden is named."""
    (tmp_path / "gate").mkdir()
    finding = await finding_of_start(load_settings({"folder": str(tmp_path)}))
    assert finding is not None
    assert "would be hidden" in finding.text
