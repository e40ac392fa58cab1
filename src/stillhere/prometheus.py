"""Metrics for Prometheus: a collector for a registry of yours, or of the program's. Needs `prometheus-client`.

REGISTRY.register(SessionCollector(manager))
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from stillhere.readings import read_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from stillhere.manager import SessionManager
    from stillhere.metrics import Histogram
    from stillhere.readings import Reading


class SessionCollector(Collector):
    """Tells Prometheus what a manager counts: `REGISTRY.register(SessionCollector(manager))`.

    How many sessions live is told as of the last `await manager.metrics.refresh()`; call it before a scrape, or now and then. It asks the
    store at most once in 15 s.

    Args:
        manager: the sessions.
    """

    def __init__(self, manager: SessionManager) -> None:
        """Read nothing yet."""
        self._manager = manager

    def describe(self) -> list[Metric]:
        """Name nothing beforehand, so that to register reads nothing."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Read everything."""
        for reading in read_all(self._manager):
            yield _family(reading)


def _family(reading: Reading) -> Metric:
    metric = reading.metric
    if reading.histogram is not None:
        return HistogramMetricFamily(metric.name, metric.help, buckets=_buckets(reading.histogram), sum_value=reading.histogram.total)
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=metric.labels)
    for labels, value in reading.samples:
        family.add_metric(labels, value)
    return family


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    bounds = [*map(floatToGoString, histogram.bounds), "+Inf"]
    return list(zip(bounds, accumulate(histogram.counts), strict=True))
