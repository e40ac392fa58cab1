"""What a manager has counted, as OpenTelemetry reads it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from stillhere.core.wire import PLAIN
from stillhere.manager import SessionManager
from stillhere.readings import METRICS
from stillhere.telemetry import observe
from tests.manager.doubles import settle

if TYPE_CHECKING:
    from collections.abc import Iterator

Values = dict[str, dict[tuple[Any, ...], float]]


class Read:
    """What a meter of the real SDK sees of a manager."""

    def __init__(self) -> None:
        """Export to nobody but the test."""
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader])
        self.meter = self.provider.get_meter("test")
        self.units: dict[str, str | None] = {}

    def values(self) -> Values:
        """Read everything: by name, then by the values of the attributes."""
        data = self._reader.get_metrics_data()
        found: Values = {}
        for resource in [] if data is None else data.resource_metrics:
            for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                self.units[metric.name] = metric.unit
                points: Any = metric.data.data_points
                found[metric.name] = {tuple((point.attributes or {}).values()): point.value for point in points}
        return found


@pytest.fixture
def read() -> Iterator[Read]:
    """Give a meter, and shut it down afterwards."""
    read = Read()
    yield read
    read.provider.shutdown()


async def test_opentelemetry_reads_what_was_counted(manager: SessionManager, read: Read) -> None:
    """A small story comes out with names in dots, attributes and units."""
    observe(manager, read.meter)
    secret = (await manager.start("reader@firm.example")).secret
    await manager.beat(secret, [PLAIN])
    await manager.end(secret)
    manager.metrics.batch_waits.observe(0.25)
    manager.metrics.batch_waits.observe(0.5)
    told = read.values()
    assert told["stillhere.beats"]["beat", "alive"] == told["stillhere.sessions_started"][()] == 1
    assert told["stillhere.sessions_ended"]["signed_out",] == 1
    assert (told["stillhere.batch_wait.count"][()], told["stillhere.batch_wait.sum"][()]) == (2, 0.75)
    assert (read.units["stillhere.batch_wait.sum"], read.units["stillhere.beats"]) == ("s", "1")


async def test_every_metric_is_observed(manager: SessionManager, read: Read) -> None:
    """Each metric of the table is there under its own name, also those whose first value comes later."""
    observe(manager, read.meter)
    read.values()
    await settle()
    manager.metrics.unavailable["beat"] += 1
    manager.metrics.gate["entered"] += 1
    expected = set()
    for metric in METRICS:
        name = "stillhere." + metric.name.removeprefix("stillhere_").removesuffix("_seconds")
        expected |= {f"{name}.count", f"{name}.sum"} if metric.kind == "histogram" else {name}
    without_tokens = {f"stillhere.{name}" for name in ("refreshes", "provider_refreshes", "provider_revocations")}
    assert set(read.values()) == expected - without_tokens


async def test_the_living_are_told_the_next_time(manager: SessionManager, read: Read) -> None:
    """A reader waits for nobody: it has the store asked, and hears the number when it comes again, from whatever thread."""
    observe(manager, read.meter)
    await manager.start("reader@firm.example")
    assert "stillhere.sessions_living" not in read.values()
    await settle()
    told = await asyncio.to_thread(read.values)
    assert told["stillhere.sessions_living"] == told["stillhere.store_up"] == {(): 1}


async def test_gauges_of_others_are_observed(manager: SessionManager, read: Read, caplog: pytest.LogCaptureFixture) -> None:
    """A registered gauge is there with its unit; one in trouble has no value."""

    def fail() -> list[tuple[tuple[str, ...], float]]:
        raise OSError("away")

    manager.metrics.gauge_source("stillhere_lag_seconds", "Lag.", ("mirror",), lambda: [(("office",), 1.5)])
    manager.metrics.gauge_source("stillhere_broken", "Broken.", (), fail)
    observe(manager, read.meter)
    told = read.values()
    assert told["stillhere.lag"] == {("office",): 1.5}
    assert read.units["stillhere.lag"] == "s"
    assert "stillhere.broken" not in told
    assert "the gauge stillhere_broken cannot be read" in caplog.text


def test_a_reader_that_comes_when_the_loop_is_closed_harms_nobody(read: Read) -> None:
    """The last export of a process that stops still tells the counts."""

    async def live() -> None:
        manager = SessionManager("memory://")
        observe(manager, read.meter)
        await manager.start("reader@firm.example")

    asyncio.run(live())
    assert read.values()["stillhere.sessions_started"] == {(): 1}


async def test_without_a_meter_provider_nothing_happens(manager: SessionManager) -> None:
    """The global meter is asked by default; where nobody set one up it takes everything and does nothing."""
    observe(manager)
    await manager.start("reader@firm.example")
    assert manager.metrics.started == 1
