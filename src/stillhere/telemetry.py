"""Metrics for OpenTelemetry: the same numbers as for Prometheus, as observable instruments. Needs `opentelemetry-api`."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from opentelemetry.metrics import Observation, get_meter

from stillhere import __version__
from stillhere.readings import sources_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.metrics import CallbackOptions, Meter

    from stillhere.manager import SessionManager
    from stillhere.metrics import Histogram
    from stillhere.readings import Metric, Reading

    Read = Callable[[], Reading | None]


def observe(manager: SessionManager, meter: Meter | None = None) -> None:
    """Have a meter observe a manager. Call it once, in the event loop of the manager.

    Instruments are called as for Prometheus, with dots: `stillhere.beats`. A histogram becomes two counters, `….count` and `….sum`, for
    OpenTelemetry has none that is only observed. Gauges that others registered must be there by now.

    Args:
        manager: the sessions.
        meter: observes. Default: `stillhere`, of the global meter provider; without one that is set up this costs nothing.
    """
    meter = meter or get_meter("stillhere", __version__)
    living = _Living(manager)
    for metric, read in sources_of(manager):
        name, unit = _called(metric)
        if metric.kind == "histogram":
            meter.create_observable_counter(f"{name}.count", [partial(_count, read)], "1", f"How many values: {metric.help}")
            meter.create_observable_counter(f"{name}.sum", [partial(_sum, read)], unit, f"Their sum: {metric.help}")
        elif metric.kind == "counter":
            meter.create_observable_counter(name, [partial(_values, read)], unit, metric.help)
        else:
            meter.create_observable_gauge(name, [partial(_values, living.before(metric, read))], unit, metric.help)


def _called(metric: Metric) -> tuple[str, str]:
    """Tell name and unit as OpenTelemetry writes them."""
    name = metric.name.removeprefix("stillhere_")
    unit = "s" if name.endswith("_seconds") else "1"
    return f"stillhere.{name.removesuffix('_seconds')}", unit


class _Living:
    """Has the store asked how many sessions live, from the thread of whoever reads; the answer is told the next time."""

    def __init__(self, manager: SessionManager) -> None:
        self._manager = manager
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None

    def before(self, metric: Metric, read: Read) -> Read:
        """Give what reads a metric and, if it is one of these, has the next answer fetched."""
        if metric.name not in {"stillhere_sessions_living", "stillhere_store_up"}:
            return read

        def reading() -> Reading | None:
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._start)
            return read()

        return reading

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._manager.metrics.refresh())


def _values(read: Read, _: CallbackOptions) -> Iterable[Observation]:
    reading = read()
    if reading is None:
        return []
    labels = reading.metric.labels
    return [Observation(value, dict(zip(labels, values, strict=True))) for values, value in reading.samples]


def _count(read: Read, _: CallbackOptions) -> Iterable[Observation]:
    return [Observation(sum(histogram.counts)) for histogram in _histograms(read)]


def _sum(read: Read, _: CallbackOptions) -> Iterable[Observation]:
    return [Observation(histogram.total) for histogram in _histograms(read)]


def _histograms(read: Read) -> list[Histogram]:
    reading = read()
    return [] if reading is None or reading.histogram is None else [reading.histogram]
