"""`stillhere doctor`, as a person runs it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from stillhere import EndedBy, Policy, SessionManager, hours, minutes
from stillhere.core.deadlines import TokenSpans
from stillhere.core.policy import seconds
from stillhere.server.doctor import examine, show
from stillhere.server.settings import load_settings
from tests.forked import command_line
from tests.services.process import free_port

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

INVESTOR = "investor@[red]fund.example"


def doctor(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the doctor and wait for it."""
    return command_line("doctor", *arguments, environment={"PATH": "/usr/bin:/bin", "COLUMNS": "200", **variables})


def told(*arguments: str, **variables: str) -> tuple[int, dict[str, Any]]:
    """Run it for a machine; give its exit code and what it says."""
    ran = doctor("--json", *arguments, **variables)
    assert ran.stderr == ""
    return ran.returncode, json.loads(ran.stdout)


def codes(examination: dict[str, Any], level: str) -> list[str]:
    """Name the findings of a level."""
    return [finding["code"] for finding in examination["findings"] if finding["level"] == level]


def begin(url: str, policy: Policy | None = None, by: EndedBy | None = None) -> str:
    """Begin a session, and end it again if there is a reason; tell its handle."""

    async def start() -> str:
        async with SessionManager(url, policy=policy) as sessions:
            handle = (await sessions.start(INVESTOR)).session.handle
            if by is not None:
                await sessions.end_by_handle(handle, by)
            return handle

    return asyncio.run(start())


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Name a file that is not there yet."""
    return f"sqlite:///{tmp_path / 'visits.db'}"


def test_well_settings_are_said_to_be_well(url: str, tmp_path: Path) -> None:
    """The table, the effective row marked, a few notes, exit code 0; and no file is made."""
    ran = doctor("--store", url, "--trusted-proxies", "10.0.0.0/8", "--preset", "owasp")
    assert (ran.returncode, ran.stderr) == (0, "")
    (effective,) = [line for line in ran.stdout.splitlines() if line.startswith("▶")]
    assert effective.split()[1:5] == ["idle", "timeout", "20", "minutes"]
    assert "absolute timeout" in ran.stdout
    assert "preset owasp holds idle_timeout at 30 minutes or less and absolute_timeout at 12 hours or less" in ran.stdout
    assert ran.stdout.rstrip().endswith("Nothing is in the way: 3 notes.")
    assert list(tmp_path.iterdir()) == []


def test_json_says_the_same(url: str) -> None:
    """For machines: whether all is well, findings, deadlines as over HTTP, the store."""
    code, body = told("--store", url, "--trusted-proxies", "10.0.0.0/8")
    assert code == 0
    assert list(body) == ["well", "findings", "deadlines", "session", "store"]
    assert body["well"]
    assert codes(body, "note") == ["gate-open", "store-empty", "no-preset"]
    assert [row["name"] for row in body["deadlines"] if row["effective"]] == ["idle timeout"]
    assert {row["inMs"] for row in body["deadlines"]} == {None}
    assert body["store"]["software"].startswith("SQLite")


def test_all_that_cannot_work_is_said_at_once(tmp_path: Path) -> None:
    """A policy that is refused, routes that are refused, and a store that is away are three errors, and exit code 1."""
    (tmp_path / "letter").touch()
    arguments = ("--idle-timeout", "2m", "--warning-timeout", "3m", "--prefix", "session", "--store", f"sqlite:///{tmp_path}/letter/x.db")
    code, body = told(*arguments)
    assert code == 1
    assert codes(body, "error") == ["policy-refused", "http-refused", "store-away"]
    assert (body["well"], body["deadlines"], body["store"]) == (False, [], None)
    shown = doctor(*arguments)
    assert (shown.returncode, shown.stderr) == (1, "")
    assert "warning_timeout (180000 ms) must be shorter than idle_timeout (120000 ms)" in shown.stdout
    assert shown.stdout.rstrip().endswith("This cannot work: 3 errors, 1 note.")


def test_what_surprises_is_a_warning_and_no_failure(url: str) -> None:
    """Exit code 0, for it works; the worst comes first."""
    code, body = told("--store", url, "--warning-timeout", "10s", "--host", "0.0.0.0", "--cookie-name", "sid")  # noqa: S104  # nothing listens
    assert code == 0
    assert codes(body, "warning") == ["no-safe-way", "cookie-without-prefix", "warning-too-short"]
    levels = [finding["level"] for finding in body["findings"]]
    assert levels == sorted(levels, reverse=True)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("redis://:open-sesame@127.0.0.1:{port}/0", "store-away"),
        ("postgresql://app:open-sesame@127.0.0.1:{port}/app", "store-away"),
        ("mysql://app:open-sesame@127.0.0.1/app", "store-refused"),
    ],
)
def test_a_store_that_is_down_is_an_error_without_its_password(url: str, code: str) -> None:
    """The rest is examined all the same."""
    ran = doctor("--store", url.format(port=free_port()), "--json")
    assert ran.returncode == 1
    assert "sesame" not in ran.stdout + ran.stderr
    body = json.loads(ran.stdout)
    assert codes(body, "error") == [code]
    assert body["deadlines"]


def test_the_archive_is_looked_at_too(url: str, tmp_path: Path) -> None:
    """One that is away is an error of its own."""
    (tmp_path / "letter").touch()
    _, body = told("--store", url, "--archive", f"sqlite:///{tmp_path}/letter/x.db")
    (error,) = [finding["text"] for finding in body["findings"] if finding["level"] == "error"]
    assert error.startswith("archive sqlite:///")


def test_a_session_is_explained(url: str) -> None:
    """Which deadline ends it, when, and what would move it; what it began with counts, not what is set now."""
    handle = begin(url, Policy(idle_timeout=hours(1)))
    ran = doctor("--store", url, "--session", handle)
    assert ran.returncode == 0
    assert any(f"Session {handle} of {INVESTOR} ends in {left}" in ran.stdout for left in ("59 m", "1 h 00 m"))
    assert "by its idle timeout of 1 hour, unless one of these comes first: input told by beats, ordinary requests" in ran.stdout
    assert "this session began with idle_timeout 1 hour and keeps it; sessions that begin now get 20 minutes" in ran.stdout
    _, body = told("--store", url, "--session", handle)
    assert body["session"] == {"handle": handle, "subject": INVESTOR, "ended_at": None, "ended_by": None}
    (left_ms,) = [row["inMs"] for row in body["deadlines"] if row["effective"]]
    assert hours(1) - minutes(1) < left_ms <= hours(1)


def test_nothing_moves_an_absolute_end(url: str) -> None:
    """Where the absolute end comes first, that is said."""
    handle = begin(url, Policy(idle_timeout=hours(1), absolute_timeout=hours(1)))
    shown = doctor("--store", url, "--session", handle).stdout
    assert "by its absolute timeout of 1 hour. Nothing moves that." in shown


def test_a_session_that_is_over_says_why(url: str) -> None:
    """When and by what; nothing is marked as coming, and the table shows what is past."""
    handle = begin(url, by=EndedBy.REVOKED)
    ran = doctor("--store", url, "--session", handle)
    assert ran.returncode == 0
    assert f"Session {handle} of {INVESTOR} is over: it ended at " in ran.stdout
    assert ", by revoked." in ran.stdout
    assert "▶" not in ran.stdout
    assert told("--store", url, "--session", handle)[1]["session"]["ended_by"] == "revoked"


def test_a_session_that_is_not_there(url: str) -> None:
    """An unknown handle is an error that says where to look; so is any while there is no store, and no file is made for it."""
    code, body = told("--store", url, "--session", "nobody")
    assert (code, codes(body, "error")) == (1, ["no-session"])
    begin(url)
    ran = doctor("--store", url, "--session", "nobody")
    assert ran.returncode == 1
    assert "no session 'nobody' can be seen: `stillhere sessions list` shows those that live" in ran.stdout


def test_gate_and_mirrors_are_examined(url: str) -> None:
    """What cannot work there, what is not reached, and what a start would refuse are findings as any."""
    code, body = told("--store", url, "--gate-code", "email", "--webhook-urls", "https://crm.firm.example/hook")
    assert (code, codes(body, "error")) == (1, ["mail-missing", "mirrors-refused"])
    code, body = told("--store", url, "--upstream", f"http://127.0.0.1:{free_port()}")
    assert (code, codes(body, "warning")) == (0, ["gate-open", "upstream-away"])
    assert codes(told("--store", url, "--prefix", "/gate")[1], "error") == ["start-refused"]


def test_settings_come_from_everywhere(url: str, tmp_path: Path) -> None:
    """Flags, variables and file, as for `serve`; a value that is none is one clear sentence and exit code 1."""
    file = tmp_path / "stillhere.toml"
    file.write_text(f'store = "{url}"\nwarning_timeout = "10s"\n')
    _, body = told("--config", str(file), STILLHERE_IDLE_TIMEOUT="30m")
    assert codes(body, "warning") == ["warning-too-short"]
    assert body["deadlines"][0]["spanMs"] == minutes(30)
    wrong = doctor("--idle-timeout", "20")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("error: idle_timeout: '20' is not a duration")


async def test_tokens_are_examined_if_the_program_has_any(url: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Given what tokens there are, their rows and findings are there, too."""
    tokens = TokenSpans(access_lifetime=hours(48), provider_lifetime=minutes(1), refresh_margin=seconds(90))
    settings = load_settings({"store": url})
    examination = await examine(settings, tokens=tokens)
    assert not examination.is_well
    errors = {finding.code for finding in examination.findings if finding.level == "error"}
    assert errors == {"access-over-absolute", "margin-over-life", "beat-over-provider-life"}
    show(examination, settings, as_json=False)
    assert "provider's access token" in capfd.readouterr().out
