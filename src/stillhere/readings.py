"""What a manager has counted, by name: the one table from which Prometheus, OpenTelemetry and `docs/metrics.md` come.

Names follow the conventions of Prometheus: base units, `_total` for what only grows (added where it is written). Labels are few and
known beforehand; none names a person, a page or a session.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from stillhere import __version__
from stillhere.core.wire import Kind
from stillhere.metrics import Histogram
from stillhere.tokens.events import TokenNews

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stillhere.manager import SessionManager
    from stillhere.metrics import GaugeSource, Tally

logger = logging.getLogger("stillhere")

Samples = list[tuple[tuple[str, ...], float]]
"""A value for each combination of labels."""

OUTCOMES: Final = ("alive", "over", "unknown", "unavailable")

REFRESHES: Final = ("current", "repeated", "reused", "over", "unknown")

_REVOCATIONS: Final = (TokenNews.REVOKED, TokenNews.NOT_REVOKED)
_PROVIDER: Final = (TokenNews.REFRESHED, TokenNews.REFUSED, TokenNews.LOST, TokenNews.ALARM, TokenNews.TROUBLE)


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One metric.

    Attributes:
        name: without the suffix of its kind.
        kind: what it is.
        help: one sentence, in the words of the glossary.
        labels: names of its labels.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A metric and how it stands.

    Attributes:
        metric: which.
        samples: its values; of a histogram none.
        histogram: the histogram, of one.
    """

    metric: Metric
    samples: Samples = []
    histogram: Histogram | None = None


def sources_of(manager: SessionManager) -> Iterator[tuple[Metric, Callable[[], Reading | None]]]:
    """List every metric, and what reads it without waiting; the living sessions as of the last `Metrics.refresh`.

    What others registered is None if they are in trouble; the rest is told all the same.
    """
    metrics = manager.metrics
    for metric, read in _TABLE:
        yield metric, partial(_own, metric, read, manager)
    yield _BATCH_SIZE, lambda: Reading(metric=_BATCH_SIZE, histogram=metrics.batch_sizes)
    yield _BATCH_WAIT, lambda: Reading(metric=_BATCH_WAIT, histogram=metrics.batch_waits)
    for source in metrics.sources.values():
        metric = _gauge(source.name, source.help, *source.labels)
        yield metric, partial(_of_another, metric, source)


def read_all(manager: SessionManager) -> list[Reading]:
    """Read every metric that can be read now."""
    return [reading for reading in (read() for _, read in sources_of(manager)) if reading is not None]


def _counter(name: str, help_: str, *labels: str) -> Metric:
    return Metric(name=name, kind="counter", help=help_, labels=labels)


def _gauge(name: str, help_: str, *labels: str) -> Metric:
    return Metric(name=name, kind="gauge", help=help_, labels=labels)


def _tallied(tally: Tally, *labels: str) -> Iterator[tuple[tuple[str, ...], float]]:
    for outcome in OUTCOMES:
        yield (*labels, outcome), getattr(tally, outcome)


def _beats(manager: SessionManager) -> Samples:
    return [sample for kind, tally in manager.metrics.beats.items() for sample in _tallied(tally, kind.value)]


def _late(manager: SessionManager) -> Samples:
    metrics, credentials = manager.metrics, manager.credentials
    samples: Samples = [(("beat",), metrics.beats[Kind.BEAT].over), (("extend",), metrics.beats[Kind.EXTEND].over)]
    samples += [(("touch",), metrics.late_touches)]
    samples += [] if credentials is None else [(("refresh",), credentials.turns["over"])]
    return samples


def _withheld(manager: SessionManager) -> Samples:
    return [(("beat",), manager.metrics.withheld_beats), (("touch",), manager.metrics.withheld_touches)]


def _turns(manager: SessionManager) -> Samples:
    credentials = manager.credentials
    return [] if credentials is None or credentials.refresh is None else [((word,), credentials.turns[word]) for word in REFRESHES]


def _news(manager: SessionManager, wanted: tuple[TokenNews, ...]) -> Samples:
    credentials = manager.credentials
    return [] if credentials is None or credentials.provider is None else [((news.value,), credentials.news[news]) for news in wanted]


def _living(manager: SessionManager) -> Samples:
    return [] if manager.metrics.living is None else [((), manager.metrics.living)]


def _store_up(manager: SessionManager) -> Samples:
    return [] if manager.metrics.is_store_up is None else [((), float(manager.metrics.is_store_up))]


_TABLE: Final[tuple[tuple[Metric, Callable[[SessionManager], Samples]], ...]] = (
    (
        _gauge("stillhere_build_info", "Always 1: which version runs, on which store.", "version", "store"),
        lambda manager: [((__version__, type(manager.store).__name__), 1)],
    ),
    (_gauge("stillhere_sessions_living", "Sessions that live, in the whole store; asked at most every 15 s."), _living),
    (_gauge("stillhere_store_up", "Whether the store answered when it was asked last: 1 or 0."), _store_up),
    (
        _counter("stillhere_sessions_started", "Sessions that began here."),
        lambda manager: [((), manager.metrics.started)],
    ),
    (
        _counter("stillhere_sessions_ended", "Sessions whose end was recorded here, by reason.", "reason"),
        lambda manager: [((reason.value,), count) for reason, count in manager.metrics.ended.items()],
    ),
    (_counter("stillhere_beats", "Beats by kind, and by what was found of their session.", "kind", "outcome"), _beats),
    (
        _counter("stillhere_touches", "Ordinary requests with a secret id, by what was found of their session.", "outcome"),
        lambda manager: list(_tallied(manager.metrics.touches)),
    ),
    (
        _counter("stillhere_late_writes_refused", "What came for a session that was over, and revived nobody.", "kind"),
        _late,
    ),
    (
        _counter("stillhere_withheld_extensions", "Checks, X-Heartbeat requests included, that would have extended otherwise.", "kind"),
        _withheld,
    ),
    (
        _gauge("stillhere_claims_waiting", "Claims that wait for the next batch."),
        lambda manager: [((), manager.batching.waiting)],
    ),
    (
        _counter("stillhere_claims_refused", "Claims turned away because too many waited."),
        lambda manager: [((), manager.batching.refused)],
    ),
    (
        _counter("stillhere_claims_failed", "Claims that the store did not answer."),
        lambda manager: [((), manager.batching.failed)],
    ),
    (
        _counter("stillhere_unavailable_answers", "Answers 503 because store or provider could not be reached, by route.", "route"),
        lambda manager: [((route,), count) for route, count in sorted(manager.metrics.unavailable.items())],
    ),
    (
        _counter("stillhere_gate_answers", "What the gate answered to an address or a code, by outcome.", "outcome"),
        lambda manager: [((outcome,), count) for outcome, count in manager.metrics.gate.items()],
    ),
    (
        _gauge("stillhere_streams_open", "Streams that are open."),
        lambda manager: [((), manager.push.streams.count)],
    ),
    (
        _counter("stillhere_streams_opened", "Streams that were opened."),
        lambda manager: [((), manager.push.streams.opened)],
    ),
    (_counter("stillhere_refreshes", "Refresh tokens of ours that were presented, by what became of them.", "outcome"), _turns),
    (
        _counter("stillhere_provider_refreshes", "Refreshes at the provider, by how they ended.", "outcome"),
        lambda manager: _news(manager, _PROVIDER),
    ),
    (
        _counter("stillhere_provider_revocations", "Provider tokens of sessions that ended, taken back or not yet.", "outcome"),
        lambda manager: _news(manager, _REVOCATIONS),
    ),
)

_BATCH_SIZE: Final = Metric(name="stillhere_batch_claims", kind="histogram", help="Claims in one batch.")
_BATCH_WAIT: Final = Metric(name="stillhere_batch_wait_seconds", kind="histogram", help="How long a claim waited for its batch to leave.")

METRICS: Final = (*(metric for metric, _ in _TABLE), _BATCH_SIZE, _BATCH_WAIT)
"""All that a manager counts itself."""


def _own(metric: Metric, read: Callable[[SessionManager], Samples], manager: SessionManager) -> Reading:
    return Reading(metric=metric, samples=read(manager))


def _of_another(metric: Metric, source: GaugeSource) -> Reading | None:
    try:
        return Reading(metric=metric, samples=_samples_of(source))
    except Exception:  # whoever gave it may be in trouble; the others' numbers are told all the same
        logger.exception("the gauge %s cannot be read", source.name)
        return None


def _samples_of(source: GaugeSource) -> Samples:
    samples = [(labels, float(value)) for labels, value in source.read()]
    if any(len(labels) != len(source.labels) for labels, _ in samples):
        raise ValueError(f"{source.name} has the labels {source.labels}")
    return samples
