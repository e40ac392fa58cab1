"""`/metrics` of the running program: numbers that a small story leaves, and who may read them."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

import httpx2
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from stillhere.errors import SettingsError, StoreError
from stillhere.manager import SessionManager
from stillhere.metrics import COUNT_INTERVAL_MS
from stillhere.readings import METRICS
from stillhere.server.metrics import MetricsRoute, watch_mirrors
from stillhere.server.settings import load_settings
from tests.faults.clients import ask, sign_in
from tests.server.listeners import listening
from tests.support import serving, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support import FakeClock, Program

TOKEN: Final = "planted metrics token 51c3"

Told = dict[str, float]


def read(url: str, **headers: str) -> httpx2.Response:
    """Ask for the metrics."""
    return httpx2.get(f"{url}/metrics", headers=headers, timeout=20)


def told_by(url: str) -> Told:
    """Read the metrics: each value under its name with its labels' values, as `name/label/…`."""
    answer = read(url)
    assert answer.status_code == 200
    samples = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    return {"/".join((sample.name, *sample.labels.values())): sample.value for sample in samples}


def growth(before: Told, after: Told) -> Told:
    """Tell what grew of our own counters, and by how much."""
    grown = {name: value - before.get(name, 0) for name, value in after.items() if name.startswith("stillhere_") and "_total" in name}
    return {name.removeprefix("stillhere_"): value for name, value in grown.items() if value}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Run the program with its defaults."""
    folder = tmp_path_factory.mktemp("metrics")
    with serving(f"sqlite:///{folder / 'visits.db'}", "--idle-timeout", "10m", log=folder / "log") as program:
        yield program
    assert "Traceback" not in (folder / "log").read_text("utf-8")


def test_every_metric_is_served(program: Program) -> None:
    """Each metric of the table is there with its help, and the process's own beside it, in both formats."""
    text = read(program.url).text
    open_text = read(program.url, accept="application/openmetrics-text; version=1.0.0")
    assert open_text.headers["content-type"].startswith("application/openmetrics-text")
    openly = read_openmetrics(open_text.text)  # type: ignore[no-untyped-call]  # the library's
    for families in (text_string_to_metric_families(text), openly):
        found = {family.name: family.documentation for family in families}
        assert {metric.name: metric.help for metric in METRICS}.items() <= found.items()
        assert "process_cpu_seconds" in found


def test_a_story_leaves_its_numbers(program: Program) -> None:
    """A sign-in, beats of every kind, a marked request, a sign-out and a late beat each count once, and nothing else does."""
    before = told_by(program.url)
    cookie = sign_in(program.url, "reader@firm.example")
    living = {"lifecycle": "active", "idleMs": 0, "view": "v1", "visibleMs": 1}
    assert ask(program.url, "POST", "/session/beat", cookie, living)[0] == 200
    assert ask(program.url, "POST", "/session/beat", cookie, {"kind": "extend"})[0] == 200
    assert ask(program.url, "POST", "/session/beat", cookie, {"kind": "check"})[0] == 200
    assert ask(program.url, "POST", "/session/beat", cookie, {"kind": "leave"})[0] == 200
    assert ask(program.url, "GET", "/nowhere", cookie)[0] == 404
    assert httpx2.get(f"{program.url}/nowhere", headers={"cookie": cookie, "x-heartbeat": "true"}, timeout=20).status_code == 404
    assert ask(program.url, "POST", "/session/end", cookie)[0] == 200
    assert ask(program.url, "POST", "/session/beat", cookie, living)[0] == 401
    assert ask(program.url, "POST", "/session/beat", f"session=handle.{'u' * 43}")[0] == 401
    after = told_by(program.url)
    assert growth(before, after) == {
        "sessions_started_total": 1,
        "sessions_ended_total/signed_out": 1,
        **{f"beats_total/{kind}/alive": 1 for kind in ("beat", "extend", "check", "leave")},
        "beats_total/beat/over": 1,
        "beats_total/beat/unknown": 1,
        "touches_total/alive": 2,
        "late_writes_refused_total/beat": 1,
        "withheld_extensions_total/touch": 1,
        **{f"gate_answers_total/{outcome}": 1 for outcome in ("admitted", "entered")},
    }
    claims = after["stillhere_batch_claims_sum"] - before["stillhere_batch_claims_sum"]
    assert claims == after["stillhere_batch_wait_seconds_count"] - before["stillhere_batch_wait_seconds_count"] == 8


def test_streams_are_counted_while_they_are_open(program: Program) -> None:
    """An open stream is in the gauge, a closed one only in the count of all."""
    before = told_by(program.url)
    cookie = sign_in(program.url, "listener@firm.example")
    with listening("events", program.url, cookie):
        during = told_by(program.url)
        assert during["stillhere_streams_open"] == before["stillhere_streams_open"] + 1
    assert growth(before, during)["streams_opened_total"] == 1
    wait_until(lambda: told_by(program.url)["stillhere_streams_open"] == before["stillhere_streams_open"], what="the stream to be gone")


def test_the_living_are_counted_in_the_store(tmp_path: Path) -> None:
    """A fresh process tells all who live in the store, not only those that it has seen."""
    store = f"sqlite:///{tmp_path / 'visits.db'}"
    with serving(store, log=tmp_path / "log") as first:
        for number in range(3):
            sign_in(first.url, f"reader{number}@firm.example")
        first.stop()
    with serving(store, log=tmp_path / "log") as second:
        told = told_by(second.url)
        assert (told["stillhere_sessions_living"], told["stillhere_store_up"], told["stillhere_sessions_started_total"]) == (3, 1, 0)


def test_a_store_in_trouble_shows(tmp_path: Path) -> None:
    """While the file is locked beats are answered 503; that is counted by route, and metrics are answered all the same."""
    file = tmp_path / "visits.db"
    with serving(f"sqlite:///{file}?busy_timeout=100", log=tmp_path / "log") as program:
        cookie = sign_in(program.url, "reader@firm.example")
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("begin exclusive")
            assert ask(program.url, "POST", "/session/beat", cookie)[0] == 503
            assert ask(program.url, "GET", "/nowhere", cookie)[0] == 503
            told = told_by(program.url)
            other.execute("rollback")
        assert told["stillhere_unavailable_answers_total/beat"] == told["stillhere_unavailable_answers_total/touch"] == 1
        assert told["stillhere_beats_total/beat/unavailable"] == told["stillhere_touches_total/unavailable"] == 1
        assert told["stillhere_claims_failed_total"] == 2


def test_metrics_are_never_kept_and_only_read(program: Program) -> None:
    """GET and HEAD alone are answered, nothing may be stored on the way, and nobody is named."""
    sign_in(program.url, "secretive@firm.example")
    answer = read(program.url)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["vary"] == "Accept"
    assert "secretive" not in answer.text
    head = httpx2.head(f"{program.url}/metrics", timeout=20)
    assert (head.status_code, head.content) == (200, b"")
    for method in ("POST", "PUT", "DELETE"):
        refused = httpx2.request(method, f"{program.url}/metrics", timeout=20)
        assert (refused.status_code, set(refused.headers["allow"].split(", "))) == (405, {"GET", "HEAD"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-for", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
        ("via", "1.1 proxy.example"),
        ("x-real-ip", "127.0.0.1"),
        ("host", "app.example"),
        ("host", "127.0.0.1.app.example"),
    ],
)
def test_whoever_comes_through_a_proxy_is_refused(name: str, value: str, program: Program) -> None:
    """By default this machine alone may read: not through a proxy on it, and not by a name that was bent to it."""
    refused = read(program.url, **{name: value})
    assert refused.status_code == 403
    assert refused.headers["cache-control"] == "no-store"
    assert "stillhere_" not in refused.text


@contextmanager
def offering(tmp_path: Path, *flags: str, environment: dict[str, str] | None = None) -> Iterator[str]:
    """Run the program with other access; give its address."""
    with serving("memory://", *flags, log=tmp_path / "log", environment=environment) as program:
        yield program.url
    assert TOKEN not in (tmp_path / "log").read_text("utf-8")


def test_a_token_opens_them(tmp_path: Path) -> None:
    """With a token, whoever has it may read, from anywhere; a wrong one, a part of it, another scheme and none are 401."""
    with offering(tmp_path, "--metrics", "token", environment={"STILLHERE_METRICS_TOKEN": TOKEN}) as url:
        for sent in (f"Bearer {TOKEN}", f"bearer  {TOKEN}"):
            assert read(url, authorization=sent, **{"x-forwarded-for": "203.0.113.9"}).status_code == 200
        for sent in (f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer", "Bearer \xff", ""):
            refused = httpx2.get(f"{url}/metrics", headers=[(b"authorization", sent.encode("latin-1"))], timeout=20)
            assert refused.status_code == 401, sent
            assert refused.headers["www-authenticate"] == 'Bearer realm="metrics"'
            assert "stillhere_" not in refused.text
        assert read(url).status_code == 401


def test_they_can_be_open_and_off(tmp_path: Path) -> None:
    """`open` answers anybody, `off` has no such address."""
    with offering(tmp_path, "--metrics", "open") as url:
        assert read(url, host="app.example", via="1.1 proxy.example").status_code == 200
    with offering(tmp_path, "--metrics", "off") as url:
        assert read(url).status_code == 404


def test_they_are_asked_for_only_so_often(tmp_path: Path) -> None:
    """An address that asks more than twice a second is told to wait, whether it may read or not."""
    with offering(tmp_path, "--metrics", "open") as url, httpx2.Client(base_url=url, timeout=20) as client:
        statuses = [client.get("/metrics").status_code for _ in range(125)]
        assert statuses[:120] == [200] * 120
        assert 429 in statuses[120:]
        limited = next(answer for answer in iter(lambda: client.get("/metrics"), None) if answer.status_code == 429)
        assert int(limited.headers["retry-after"]) >= 1


@pytest.mark.parametrize("flags", [{"metrics": "token"}, {"metrics_token": TOKEN}, {"metrics": "open", "metrics_token": TOKEN}])
def test_settings_that_contradict_each_other_are_refused(flags: dict[str, str]) -> None:
    """A token that opens nothing, and a lock without a key, stop the program at start."""
    with pytest.raises(SettingsError, match="belong together"):
        MetricsRoute(SessionManager("memory://"), load_settings(flags))


@pytest.mark.parametrize(("environment", "is_warned"), [({}, True), ({"OTEL_PYTHON_METER_PROVIDER": "sdk_meter_provider"}, False)])
def test_opentelemetry_without_a_provider_is_said(environment: dict[str, str], is_warned: bool, tmp_path: Path) -> None:  # noqa: FBT001  # a parameter of the test
    """Where nobody would export anything the log says so at start; where the SDK is set up it does not, and the program serves."""
    with serving("memory://", "--opentelemetry", "true", log=tmp_path / "log", environment=environment) as program:
        assert read(program.url).status_code == 200
    log = (tmp_path / "log").read_text("utf-8")
    assert ("has no meter provider" in log) is is_warned
    assert "Traceback" not in log


class Mirror:
    """A mirror that stands as it was told to."""

    name, pending, dead, lag_ms = "office", 3, 1, 1500


async def test_mirrors_tell_how_they_stand(clock: FakeClock) -> None:
    """Each mirror has its pending changes, dead letters and lag in seconds, under its name; asked seldom, and silent while it cannot be."""
    manager = SessionManager("memory://", clock=clock)
    asked = list[int]()

    async def ask() -> list[Mirror]:
        asked.append(clock())
        if len(asked) > 1:
            raise StoreError("the outbox is away")
        return [Mirror()]

    watch_mirrors(manager.metrics, ask)
    for _ in range(3):
        await manager.metrics.refresh()
    read_out = {name: list(source.read()) for name, source in manager.metrics.sources.items()}
    assert read_out == {
        "stillhere_mirror_pending": [(("office",), 3)],
        "stillhere_mirror_dead": [(("office",), 1)],
        "stillhere_mirror_lag_seconds": [(("office",), 1.5)],
    }
    clock.advance(COUNT_INTERVAL_MS)
    await manager.metrics.refresh()
    assert len(asked) == 2
    assert [list(source.read()) for source in manager.metrics.sources.values()] == [[], [], []]


async def test_mirrors_are_told_of_while_they_are_asked(clock: FakeClock) -> None:
    """Whoever reads meanwhile is told what was known before, not that there is no mirror."""
    manager = SessionManager("memory://", clock=clock)
    seen: list[list[tuple[tuple[str, ...], float]]] = []

    async def ask() -> list[Mirror]:
        seen.append(list(manager.metrics.sources["stillhere_mirror_pending"].read()))
        return [Mirror()]

    watch_mirrors(manager.metrics, ask)
    for _ in range(2):
        await manager.metrics.refresh()
        clock.advance(COUNT_INTERVAL_MS)
    assert seen == [[], [(("office",), 3)]]
