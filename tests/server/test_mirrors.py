"""Mirrors of the running program: NocoDB, webhook and mail get what visitors do; operators and the command line see how it goes."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import schemathesis
from standardwebhooks import Webhook as Verifier

from stillhere.core.records import Lifecycle
from stillhere.core.wire import Beat
from stillhere.errors import SettingsError
from stillhere.manager import SessionManager
from stillhere.server.mirroring import Expiring, Mirroring, mirrors_part
from stillhere.server.settings import load_settings
from tests.forked import command_line
from tests.server.site import ADMIN_TOKEN, VIEWER_TOKEN
from tests.services.http import Answered, Asked, http_thread
from tests.services.mail import post_office
from tests.services.nocodb import FULL, SEED, DoubleTable, settings_of
from tests.support import FakeClock, serving, wait_until

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "whsec_" + base64.b64encode(b"a secret for tests, long enough").decode()

OWNER = "owner@firm.example"


def _settings(table: DoubleTable, hook: str, mail: str) -> dict[str, str]:
    """Write all settings of mirrors, as environment."""
    given = {
        **settings_of(table),
        "webhook_urls": hook,
        "webhook_secret": SECRET,
        "mail_url": mail,
        "mail_from": "Data room <room@firm.example>",
        "notify_to": OWNER,
        "digest_to": OWNER,
        "admin_token": ADMIN_TOKEN,
        "viewer_token": VIEWER_TOKEN,
    }
    return {f"STILLHERE_{name.upper()}": value for name, value in given.items()}


def _enter(url: str, name: str) -> None:
    """Come in by the gate and look at a page."""
    with httpx2.Client(base_url=url, headers={"origin": url}, timeout=20) as browser:
        assert browser.post("/gate", data={"email": name}).status_code in {200, 303}
        beat = {"seq": 1, "tab": "t", "view": "v", "page": "/deck", "title": "The deck", "visibleMs": 0, "idleMs": 0, "lifecycle": "active"}
        assert browser.post("/session/beat", json=beat).status_code == 200


def _api(url: str, path: str, *, token: str = ADMIN_TOKEN, method: str = "GET") -> httpx2.Response:
    return httpx2.request(method, f"{url}/admin/api/{path}", headers={"authorization": f"Bearer {token}"}, timeout=20)


def _as_documented(url: str, path: str, method: str, **parts: str) -> None:
    """Ask one thing that there is, and hold the answer against the document of the HTTP surface."""
    operation = schemathesis.openapi.from_url(f"{url}/openapi.json")[f"/admin/api/{path}"][method]
    case = operation.Case(path_parameters=parts, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
    answer = case.call()
    assert answer.status_code == 200
    case.validate_response(answer)


def _states(url: str) -> dict[str, dict[str, Any]]:
    return {one["kind"]: one for one in _api(url, "mirrors").json()["mirrors"]}


def test_a_visitor_is_told_of_everywhere(tmp_path: Path) -> None:
    """One visit is a row, two events and a note; a refused one is a dead letter that an operator tries again, and a viewer cannot."""
    table, events = DoubleTable(FULL), list[dict[str, Any]]()

    def take(asked: Asked) -> Answered:
        events.append(json.loads(asked.body))
        return Answered(status=204)

    store = f"sqlite:///{tmp_path / 'visits.db'}"
    with http_thread(take) as hook, post_office() as post:
        environment = _settings(table, f"{hook.url}/hook", post.url)
        with serving(store, log=tmp_path / "log", environment=environment) as program:
            _enter(program.url, "investor@fund.example")
            wait_until(lambda: len(table.rows()) == 1 and len(events) == 2 and len(post.to(OWNER)) == 1, what="all mirrors to be told")
            wait_until(
                lambda: all(one["sent"] for kind, one in _states(program.url).items() if kind != "digest"), what="the states to say so"
            )
            assert {(kind, one["state"], one["dead"]) for kind, one in _states(program.url).items()} == {
                (kind, "well", 0) for kind in ("nocodb", "webhook", "mail", "digest")
            }
            assert {event["type"] for event in events} == {"session.started", "visit.started"}
            table.delete(1)
            _enter(program.url, "partner@vc.example")
            wait_until(lambda: len(table.rows()) == 1, what="the other visit")
            _refuse_and_retry(program.url, table, store, environment)
            metrics = httpx2.get(f"{program.url}/metrics", timeout=20).text
            assert 'stillhere_mirror_dead{mirror="nocodb"} 0' in metrics or 'stillhere_mirror_dead{mirror="nocodb"} 1' in metrics
        log = (tmp_path / "log").read_text("utf-8")
        assert "Traceback" not in log
        assert not any(secret in log for secret in (SECRET, table.token))
    table.close()


def _run(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line, perhaps with the settings of the program."""
    return command_line(*arguments, environment={**os.environ, "COLUMNS": "160", **(environment or {})})


def _refuse_and_retry(url: str, table: DoubleTable, store: str, environment: dict[str, str]) -> None:
    """End the visit whose row was deleted, and see to its dead letter."""
    (handle,) = [one["session"] for one in _api(url, "now").json()["here"] if one["visitor"] == "investor@fund.example"]
    assert _api(url, f"sessions/{handle}/end", method="POST").status_code == 200
    wait_until(lambda: _states(url)["nocodb"]["dead"] == 1, what="a dead letter")
    (letter,) = _api(url, "mirrors/nocodb/dead").json()["letters"]
    assert "not found" in letter["error"]
    _as_documented(url, "mirrors", "GET")
    _as_documented(url, "mirrors/{name}/dead", "GET", name="nocodb")
    place = f"mirrors/nocodb/dead/{letter['id']}"
    assert _api(url, f"{place}/retry", token=VIEWER_TOKEN, method="POST").status_code == 403
    assert _api(url, f"{place}/retry", token="a guess of mine 1234", method="POST").status_code == 401
    assert letter["id"] in _run("mirrors", "list", "--store", store, environment=environment).stdout
    _as_documented(url, "mirrors/{name}/dead/{id}/retry", "POST", name="nocodb", id=letter["id"])
    wait_until(lambda: len(table.rows()) == 2, what="the row to be made anew")
    for missing in (f"{place}/retry", f"{place}/drop", "mirrors/nobody/wake", "mirrors/nobody/dead/a.1/drop"):
        assert _api(url, missing, method="POST").status_code == 404
    assert _api(url, "mirrors/nobody/dead").status_code == 404
    _as_documented(url, "mirrors/{name}/wake", "POST", name="nocodb")
    for name in ("nocodb", "digest"):
        _as_documented(url, "mirrors/{name}/retry", "POST", name=name)
    assert _api(url, "mirrors/nobody/retry", method="POST").status_code == 404


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"nocodb_url": "https://nocodb.firm.example"}, "belong together"),
        ({"nocodb_url": "http://nocodb.firm.example", "nocodb_token": "t", "nocodb_table": "m"}, "has to be https"),
        ({"nocodb_url": "nocodb", "nocodb_token": "t", "nocodb_table": "m"}, "nocodb_url is the server's address"),
        ({"nocodb_url": "http://nocodb:8080", "nocodb_token": "t", "nocodb_table": "m", "nocodb_version": "3"}, "--nocodb-base"),
        ({"nocodb_url": "http://10.0.0.2", "nocodb_token": "t", "nocodb_table": "m", "nocodb_columns": "who=Name"}, "is no column"),
        ({"nocodb_url": "http://nocodb", "nocodb_token": "t", "nocodb_table": "m", "nocodb_columns": "visit=a~b"}, "cannot be a column"),
        ({"webhook_urls": "https://crm.firm.example/hook"}, "need a secret"),
        ({"webhook_urls": "http://crm.firm.example/hook", "webhook_secret": SECRET}, "has to be https"),
        ({"notify_to": OWNER}, "give --mail-url"),
        ({"digest_to": "nobody", "mail_url": "smtp://127.0.0.1", "mail_from": OWNER}, "is no address"),
        ({"digest_to": OWNER, "mail_url": "smtp://127.0.0.1", "mail_from": OWNER, "zone": "Mars/Olympus"}, "no time zone"),
    ],
)
async def test_settings_that_cannot_work_are_refused(flags: dict[str, str], says: str) -> None:
    """The program does not start with a mirror that could not work, and says what to do; no secret is in the sentence."""
    settings = load_settings({"store": "memory://", **flags})
    manager = SessionManager("memory://")
    with pytest.raises(SettingsError, match=says) as refused:
        Mirroring(manager, settings)
    assert SECRET not in str(refused.value)
    await manager.close()


async def test_the_command_line_shows_and_mends(tmp_path: Path) -> None:
    """`mirrors list` tells how they stand, also as JSON and where none is set; a wrong name or letter is one clear sentence."""
    store = f"sqlite:///{tmp_path / 'visits.db'}"
    await SessionManager(store).close()
    assert "No mirror is set" in _run("mirrors", "list", "--store", store).stdout
    config = tmp_path / "stillhere.toml"
    config.write_text(
        f'store = "{store}"\nnocodb_url = "http://127.0.0.1:9"\nnocodb_token = "t"\nnocodb_table = "m"\n',
        "utf-8",
    )
    assert "nocodb" in _run("mirrors", "list", "--config", str(config)).stdout
    (told,) = json.loads(_run("mirrors", "list", "--json", "--config", str(config)).stdout)
    assert (told["state"], told["pending"], told["letters"]) == ("asleep", 0, [])
    assert _run("mirrors", "retry", "nocodb", "--config", str(config)).stdout == "0 to be tried again\n"
    for arguments, says in ((("retry", "nobody"), "there is no mirror 'nobody'"), (("drop", "nocodb", "a.1"), "has no dead letter 'a.1'")):
        failed = _run("mirrors", *arguments, "--config", str(config))
        assert (failed.returncode, says in failed.stderr) == (1, True), failed.stderr


def _run_until_mirrored(store: str, environment: dict[str, str], table: DoubleTable) -> tuple[int, str]:
    """Run `mirrors run` until there is a row, and stop it; tell its exit code and what it said."""
    command = [sys.executable, "-m", "stillhere.server.cli", "mirrors", "run", "--store", store]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        wait_until(lambda: process.poll() is not None or len(table.rows()) == 1, what="the row", timeout_s=60)
        process.terminate()
        output, _ = process.communicate(timeout=30)
    return process.returncode, output


async def test_a_process_of_its_own_tells_for_an_application(tmp_path: Path) -> None:
    """`mirrors run` mirrors the visits of an application that keeps its sessions by itself, and stops in good order."""
    table = DoubleTable(SEED)
    store = f"sqlite:///{tmp_path / 'visits.db'}"
    async with SessionManager(store) as manager:
        started = await manager.start("investor@fund.example")
        await manager.beat(started.secret, [Beat(view="v", visible_ms=0, idle_ms=0, lifecycle=Lifecycle.ACTIVE)])
        settings = {"NOCODB_URL": table.url, "NOCODB_TOKEN": table.token, "NOCODB_TABLE": table.table, "MIRROR_INTERVAL": "1s"}
        environment = {**os.environ, **{f"STILLHERE_{name}": value for name, value in settings.items()}}
        ended = await asyncio.to_thread(_run_until_mirrored, store, environment, table)
    assert ended == (0, "telling nocodb\n")
    (row,) = table.rows()
    assert row["emailOfAccessor"] == "investor@fund.example"
    table.close()
    assert "no mirror is set" in _run("mirrors", "run", "--store", store).stderr


async def test_webhooks_hear_that_a_session_is_expiring(caplog: pytest.LogCaptureFixture) -> None:
    """The manager's hook tells every webhook once, of nobody of one's own team; one that does not take it holds up nobody.

    Messages are signed with the time of the wall: receivers refuse what is older than five minutes, whatever the manager's clock says.
    """
    got: list[Asked] = []

    def take(asked: Asked) -> Answered:
        got.append(asked)
        return Answered(status=500 if len(got) == 1 else 204)

    expiring = Expiring()
    manager = SessionManager("memory://", clock=FakeClock())
    with http_thread(take) as hook:
        told_to = {"webhook_urls": f"{hook.url}/a,{hook.url}/b", "webhook_secret": SECRET}
        settings = load_settings({**told_to, "internal_visitors": "@firm.example"})
        part = mirrors_part(manager, settings, expiring)
        await expiring((await manager.start("colleague@firm.example")).session)
        session = (await manager.start("investor@fund.example")).session
        await expiring(session)
        assert part.close is not None
        await part.close()
    await manager.close()
    told = [json.loads(asked.body) for asked in got]
    assert [one["type"] for one in told] == ["session.expiring"] * 2
    assert told[0]["data"]["session"] == session.handle
    assert got[0].headers["webhook-id"] == got[1].headers["webhook-id"]
    assert Verifier(SECRET).verify(got[1].body, got[1].headers)["type"] == "session.expiring"
    assert "was not told that a session is expiring: it answers 500" in caplog.text
