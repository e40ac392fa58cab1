"""The audit log: every action of an operator, before it is done."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from stillhere.archive.audit import MemoryLog
from stillhere.errors import StoreError
from stillhere.server.admin.audit import FORGOTTEN_AT_ONCE, REFUSALS_PER_MINUTE, Audit
from stillhere.server.admin.query import Operator
from tests.server.site import ADMIN_TOKEN
from tests.server.test_cli import run
from tests.server.test_dashboard import opened, person
from tests.support import FakeClock

if TYPE_CHECKING:
    import httpx2

    from stillhere.archive.audit import AuditEntry
    from tests.server.site import Site

SOMEBODY = Operator(name="somebody@firm.example", role="operator")


def entries(operator: httpx2.Client, **wanted: str) -> list[dict[str, Any]]:
    """List the entries that have these members, the latest first, from as many pages as there are."""
    found: list[dict[str, Any]] = []
    following: str | None = ""
    while following is not None:
        page = operator.get("/admin/api/audit", params={"before": following}).json()
        found += page["entries"]
        following = page["next"]
    return [entry for entry in found if all(entry[name] == value for name, value in wanted.items())]


def test_ending_a_session_is_recorded(site: Site) -> None:
    """Who ended which session, and when, also where a program did it, and where there was no such session."""
    email = site.name()
    opened(site, email, "v1")
    program = site.program_with(ADMIN_TOKEN, **{"x-forwarded-for": "198.51.100.77"})
    handle = person(program, email)["session"]
    assert program.post(f"/admin/api/sessions/{handle}/end").status_code == 200
    (entry,) = entries(program, target=handle)
    assert (entry["operator"], entry["action"], entry["detail"]) == ("token:admin from 198.51.100.0/24", "end", None)
    assert entry["at"].endswith("Z")
    missing = site.name()
    assert program.post(f"/admin/api/sessions/{missing}/end").status_code == 404
    assert [entry["action"] for entry in entries(program, target=missing)] == ["end"]


def test_who_is_erased_is_not_kept_by_the_log(site: Site) -> None:
    """Exporting and erasing a person leave a line each, with no more of the address than its first letter and its domain."""
    email = site.name()
    opened(site, email, "v1")
    operator = site.program_with(ADMIN_TOKEN)
    domain = email.rpartition("@")[2]
    before = entries(operator, action="erase", target=f"{email[0]}…@{domain}")
    assert operator.get("/admin/api/subjects/export", params={"subject": email}).status_code == 200
    assert operator.post("/admin/api/subjects/erase", json={"subject": email}).status_code == 200
    after = entries(operator, action="erase", target=f"{email[0]}…@{domain}")
    (erased,) = [entry for entry in after if entry not in before]
    assert erased["detail"] is None
    assert [entry for entry in entries(operator) if email in json.dumps(entry, ensure_ascii=False)] == []


def test_looking_at_an_export_makes_none(site: Site) -> None:
    """HEAD makes no file and leaves no line."""
    operator = site.program_with(ADMIN_TOKEN)
    before = len(entries(operator, action="export"))
    answer = operator.head("/admin/api/export/visits.csv")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert len(entries(operator, action="export")) == before


def test_signing_in_and_out_is_recorded(site: Site) -> None:
    """A sign-in, a refused one and a sign-out are in the log with the network they came from, and no token is."""
    address = "192.0.2.9"
    browser = site.visitor(**{"x-forwarded-for": address})
    browser.post("/admin/login", data={"token": "a guess of mine"})
    browser.post("/admin/login", data={"token": ADMIN_TOKEN})
    for _ in range(2):
        browser.post("/admin/logout")
    found = [entry for entry in entries(site.operator()) if entry["operator"].endswith("192.0.2.0/24")]
    assert sorted((entry["operator"].split()[0], entry["action"]) for entry in found) == [
        ("nobody", "sign-in refused"),
        ("token:admin", "sign-in"),
        ("token:admin", "sign-out"),
    ]
    assert "guess" not in str(found)
    assert ADMIN_TOKEN not in str(found)


def test_what_a_viewer_was_refused_is_recorded(site: Site) -> None:
    """A viewer who tries to operate leaves a line."""
    target = site.name()
    viewer = site.viewer()
    assert viewer.post(f"/admin/api/sessions/{target}/end").status_code == 403
    (entry,) = entries(viewer, target=target)
    assert entry["action"] == "end refused"
    assert entry["operator"].startswith("token:viewer from ")


def test_a_hostile_target_is_inert(site: Site) -> None:
    """What cannot be printed stands in the log as a mark, and what is long is cut."""
    program = site.program_with(ADMIN_TOKEN)
    program.post("/admin/api/sessions/%1b%5b2J%00evil/end")
    assert [entry["action"] for entry in entries(program, target="\ufffd[2J\ufffdevil")] == ["end"]
    program.post(f"/admin/api/sessions/{'long' * 400}/end")
    assert [entry["action"] for entry in entries(program, target="long" * 125)] == ["end"]


@pytest.mark.parametrize("before", ["x", "1", "1.A", "-1.a", "1.a\n", "1.a.b", "9" * 16 + ".a", "' or 1=1 --"])
def test_a_cursor_that_is_none(site: Site, before: str) -> None:
    """A cursor that the log did not give is 422 and named."""
    answer = site.viewer().get("/admin/api/audit", params={"before": before})
    assert (answer.status_code, answer.json()["field"]) == (422, "before")


def test_the_command_line_shows_it(site: Site) -> None:
    """`stillhere audit` lists the same entries, as a table and as JSON, the latest first; of a store without any it says so."""
    program = site.program_with(ADMIN_TOKEN)
    target = site.name()
    program.post(f"/admin/api/sessions/{target}/end")
    told = json.loads(run("audit", "--store", site.store, "--limit", "1000", "--json").stdout)
    assert told["entries"] == entries(program)[: len(told["entries"])]
    shown = run("audit", "--store", site.store)
    assert shown.stdout.splitlines()[0].split() == ["at", "(UTC)", "operator", "action", "target", "detail"]
    assert target in shown.stdout
    assert run("audit", "--store", "memory://").stdout == "Operators did nothing yet.\n"


def test_the_command_line_shows_filters_as_people_write_them(site: Site) -> None:
    """Of an export it says by what it was filtered, without the signs of a URL, and without what terminals obey."""
    program = site.program_with(ADMIN_TOKEN)
    page = f"/{site.name()}/ü {chr(0x1B)}[2J"
    assert program.get("/admin/api/export/visits.csv", params={"page": page, "from": "2026-11-01"}).status_code == 200
    assert f"page={page}, from=2026-11-01".replace(chr(0x1B), "\ufffd") in run("audit", "--store", site.store, "--limit", "1").stdout


class Broken(MemoryLog):
    """A log that cannot be written."""

    async def append(self, entry: AuditEntry) -> None:  # noqa: ARG002  # the signature is the log's
        """Fail."""
        raise StoreError("away")


async def test_what_cannot_be_recorded_is_not_done(caplog: pytest.LogCaptureFixture) -> None:
    """An action that cannot be written down raises before it is done; a sign-in goes on, and the program's log has it."""
    audit = Audit(Broken(), FakeClock())
    with pytest.raises(StoreError):
        await audit.record(SOMEBODY, "end", "abc")
    await audit.note(SOMEBODY, "sign-in")
    assert caplog.messages == ["not in the audit log: sign-in by somebody@firm.example: away"]


async def test_strangers_do_not_fill_the_log() -> None:
    """Of refusals so many are recorded in a minute; what operators do always is."""
    log = MemoryLog()
    audit = Audit(log, FakeClock())
    for _ in range(REFUSALS_PER_MINUTE + 20):
        await audit.refused(SOMEBODY, "sign-in refused")
    for _ in range(20):
        await audit.record(SOMEBODY, "end")
    assert [entry.action for entry in log.kept].count("sign-in refused") == REFUSALS_PER_MINUTE
    assert [entry.action for entry in log.kept].count("end") == 20


async def test_upkeep_forgets_what_is_old() -> None:
    """Entries older than the retention go, however many there are, and younger ones stay."""
    log, clock = MemoryLog(), FakeClock()
    audit = Audit(log, clock, retention=1_000)
    for _ in range(FORGOTTEN_AT_ONCE + 5):
        await audit.record(SOMEBODY, "export")
    clock.advance(1_000)
    assert await audit.upkeep() == 0
    clock.advance(FORGOTTEN_AT_ONCE + 5)
    await audit.record(SOMEBODY, "end")
    assert await audit.upkeep() == FORGOTTEN_AT_ONCE + 5
    assert [entry.action for entry in log.kept] == ["end"]
