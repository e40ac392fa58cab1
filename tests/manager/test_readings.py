"""What a manager has counted, by name, and as Prometheus reads it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from stillhere import __version__
from stillhere.core.records import EndedBy
from stillhere.core.wire import PLAIN, Kind
from stillhere.manager import SessionManager
from stillhere.prometheus import SessionCollector
from stillhere.readings import METRICS, OUTCOMES, read_all
from stillhere.stores.memory import MemoryStore
from stillhere.tokens import TokenEvent, TokenNews, Tokens
from stillhere.tokens.provider.config import Provider
from tests.tokens.made import own_tokens
from tests.tokens.party import VAULT

if TYPE_CHECKING:
    from tests.support import FakeClock

PROVIDER = Provider(
    issuer="https://id.example",
    client_id="us",
    client_secret="nothing opens with this",
    redirect_uri="https://app.example/session/callback",
)


def scraped(manager: SessionManager) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Read a manager's metrics as Prometheus does: by name, then by labels."""
    registry = CollectorRegistry()
    registry.register(SessionCollector(manager))
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


async def test_every_metric_is_told(manager: SessionManager) -> None:
    """Each has its name, kind and help, once; those whose number is not known yet have no value."""
    readings = read_all(manager)
    assert tuple(reading.metric for reading in readings) == METRICS
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    empty = {reading.metric.name for reading in readings if not reading.samples and reading.histogram is None}
    assert empty == {
        *("stillhere_sessions_living", "stillhere_store_up", "stillhere_unavailable_answers", "stillhere_gate_answers"),
        *("stillhere_refreshes", "stillhere_provider_refreshes", "stillhere_provider_revocations"),
    }


async def test_prometheus_reads_what_was_counted(manager: SessionManager) -> None:
    """A small story comes out of the text format with the right names, labels and values."""
    secret = (await manager.start("reader@firm.example")).secret
    await manager.beat(secret, [PLAIN])
    await manager.metrics.refresh()
    await manager.end(secret)
    await manager.beat(secret, [PLAIN])
    manager.metrics.unavailable["beat"] += 1
    told = scraped(manager)
    assert told["stillhere_build_info"] == {(("store", "MemoryStore"), ("version", __version__)): 1}
    assert told["stillhere_sessions_living"] == told["stillhere_store_up"] == told["stillhere_sessions_started_total"] == {(): 1}
    assert told["stillhere_sessions_ended_total"] == {(("reason", by.value),): by is EndedBy.SIGNED_OUT for by in EndedBy}
    assert {labels for labels, value in told["stillhere_beats_total"].items() if value} == {
        (("kind", "beat"), ("outcome", "alive")),
        (("kind", "beat"), ("outcome", "over")),
    }
    assert set(told["stillhere_beats_total"]) == {
        (("kind", kind.value), ("outcome", outcome)) for kind, outcome in itertools.product(Kind, OUTCOMES)
    }
    assert told["stillhere_late_writes_refused_total"] == {(("kind", "beat"),): 1, (("kind", "extend"),): 0, (("kind", "touch"),): 0}
    assert told["stillhere_unavailable_answers_total"] == {(("route", "beat"),): 1}


async def test_a_histogram_is_cumulative(manager: SessionManager) -> None:
    """Buckets add up to the count, under bounds as Prometheus writes them."""
    for value in (0.0005, 0.002, 99):
        manager.metrics.batch_waits.observe(value)
    told = scraped(manager)
    buckets = told["stillhere_batch_wait_seconds_bucket"]
    assert [buckets[("le", bound),] for bound in ("0.0005", "0.001", "0.0025", "5.0", "+Inf")] == [1, 1, 2, 2, 3]
    assert told["stillhere_batch_wait_seconds_count"] == {(): 3}
    assert told["stillhere_batch_wait_seconds_sum"][()] == pytest.approx(99.0025)


async def test_refresh_tokens_are_counted_by_what_became_of_them(clock: FakeClock) -> None:
    """Turned, repeated, nobody's, reused, and presented when the session was over: each counts once, under its own word."""
    manager = SessionManager(MemoryStore(), clock=clock, tokens=own_tokens())
    assert manager.credentials is not None
    issued = await manager.credentials.issue((await manager.start("reader@firm.example")).session)
    other = await manager.credentials.issue((over := await manager.start("writer@firm.example")).session)
    assert issued is not None
    assert other is not None
    second, _ = await manager.credentials.turn(issued.refresh)
    await manager.credentials.turn(issued.refresh)
    await manager.credentials.turn("nobody's")
    await manager.credentials.turn(second.token)
    await manager.credentials.turn(issued.refresh)
    await manager.end(over.secret)
    await manager.credentials.turn(other.refresh)
    told = scraped(manager)
    assert {labels[0][1]: value for labels, value in told["stillhere_refreshes_total"].items()} == {
        "current": 2, "repeated": 1, "reused": 1, "over": 1, "unknown": 1,
    }  # fmt: skip
    assert told["stillhere_late_writes_refused_total"][("kind", "refresh"),] == 1
    await manager.close()


async def test_what_a_provider_said_is_counted(clock: FakeClock) -> None:
    """Each piece of news about provider tokens counts under its own word, those of reuse among them nowhere here."""
    manager = SessionManager(MemoryStore(), clock=clock, tokens=Tokens(provider=PROVIDER, vault=VAULT))
    assert manager.credentials is not None
    for news in TokenNews:
        manager.credentials.tell(TokenEvent(news=news, handle="handle-a"))
    told = scraped(manager)
    outcomes = [*told["stillhere_provider_refreshes_total"], *told["stillhere_provider_revocations_total"]]
    assert {labels[0][1] for labels in outcomes} == {news.value for news in TokenNews} - {TokenNews.REUSED}
    assert {*told["stillhere_provider_refreshes_total"].values(), *told["stillhere_provider_revocations_total"].values()} == {1}
    await manager.close()


async def test_gauges_of_others_are_told(manager: SessionManager) -> None:
    """A registered gauge is told with its labels, as it is at that moment."""
    lag = {"office": 1.5}
    manager.metrics.gauge_source("stillhere_lag_seconds", "Lag.", ("mirror",), lambda: [((name,), value) for name, value in lag.items()])
    assert scraped(manager)["stillhere_lag_seconds"] == {(("mirror", "office"),): 1.5}
    lag["crm"] = 2
    assert scraped(manager)["stillhere_lag_seconds"] == {(("mirror", "office"),): 1.5, (("mirror", "crm"),): 2}


async def test_a_gauge_in_trouble_is_left_out(manager: SessionManager, caplog: pytest.LogCaptureFixture) -> None:
    """One that fails, or tells labels it has not, is logged and left out; the others are told."""

    def fail() -> list[tuple[tuple[str, ...], float]]:
        raise OSError("away")

    manager.metrics.gauge_source("stillhere_broken", "Broken.", (), fail)
    manager.metrics.gauge_source("stillhere_crooked", "Crooked.", ("one",), lambda: [((), 1)])
    manager.metrics.gauge_source("stillhere_whole", "Whole.", (), lambda: [((), 1)])
    told = scraped(manager)
    assert "stillhere_whole" in told
    assert not {"stillhere_broken", "stillhere_crooked"} & told.keys()
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        f"the gauge {name} cannot be read" for name in ("stillhere_broken", "stillhere_crooked")
    ]
