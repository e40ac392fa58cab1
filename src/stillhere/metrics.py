"""What a process counts of itself: plain numbers, so that counting costs a beat next to nothing. Nobody is named in them.

`readings.py` tells them by name; `prometheus.py` and `telemetry.py` hand them on.
"""

from __future__ import annotations

import logging
import re
from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace

from stillhere.core.policy import seconds
from stillhere.core.records import EndedBy
from stillhere.core.rules import claim_of
from stillhere.core.wire import Kind
from stillhere.errors import StoreError
from stillhere.stores.protocol import Listable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from stillhere.core.policy import Policy
    from stillhere.core.records import Session
    from stillhere.core.wire import Beat
    from stillhere.stores.protocol import Store
    from stillhere.verdicts import Verdict

logger = logging.getLogger("stillhere")

COUNT_INTERVAL_MS: Final = seconds(15)
"""How often the store is asked at most how many sessions live, however often one asks here."""

BATCH_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)

WAITS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)

_NAME: Final = re.compile(r"stillhere_[a-z]+(_[a-z]+)*\Z")

_BEAT, _CHECK, _EXTEND = Kind.BEAT, Kind.CHECK, Kind.EXTEND


class Histogram:
    """How often values fell below which bounds.

    Args:
        bounds: upper bounds, each part of its bucket, ascending.

    Attributes:
        counts: how many values each bucket has; one more than there are bounds.
        total: the sum of all values.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Nothing was observed yet."""
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total: float = 0

    def observe(self, value: float) -> None:
        """Take a value in."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Tally:
    """What became of messages of one kind.

    Attributes:
        alive: their session lives.
        over: it is over.
        unknown: there is no such session, or it has another secret id.
        unavailable: the store could not be reached.
    """

    __slots__ = ("alive", "over", "unavailable", "unknown")

    def __init__(self) -> None:
        """None came yet."""
        self.alive = self.over = self.unknown = self.unavailable = 0

    def add(self, verdict: Verdict) -> None:
        """Count one message by what was found of its session."""
        if verdict.standing is not None:
            self.alive += 1
        elif verdict.session is not None:
            self.over += 1
        else:
            self.unknown += 1


class GaugeSource(NamedTuple):
    """A gauge that somebody else knows; its fields are the arguments of `Metrics.gauge_source`."""

    name: str
    help: str
    labels: tuple[str, ...]
    read: Callable[[], Iterable[tuple[tuple[str, ...], float]]]


class Metrics:
    """What one manager's process has counted since it began.

    Args:
        store: asked how many sessions live.
        policy: says what would have extended.
        clock: tells the milliseconds since 1970.
        batch_sizes: how many claims travelled in each batch.
        batch_waits: how long each claim waited for its batch to leave, seconds.

    Attributes:
        beats: what became of beats, by kind.
        touches: what became of ordinary requests.
        late_touches: ordinary requests that count as activity and came for a session that was over.
        withheld_beats: messages marked with `X-Heartbeat: true`, and checks, that would have moved a deadline otherwise.
        withheld_touches: ordinary requests marked so that would have.
        started: sessions that began.
        ended: ends recorded here, by reason.
        gate: what gates before these sessions answered, by outcome; empty where there is none.
        unavailable: answers 503 because store or provider could not be reached, by session route; `touch` for ordinary requests.
        living: how many sessions lived when the store was asked last, or None if it cannot tell or could not be reached.
        is_store_up: whether the store answered then; None before that.
        sources: gauges that others know.
        askers: called by `refresh`, for sources that have to wait for an answer.
    """

    def __init__(self, store: Store, policy: Policy, clock: Callable[[], int], batch_sizes: Histogram, batch_waits: Histogram) -> None:
        """Count from 0."""
        self.batch_sizes = batch_sizes
        self.batch_waits = batch_waits
        self._store = store
        self._policy = policy
        self._clock = clock
        self._asked_at: int | None = None
        self.beats = {kind: Tally() for kind in Kind}
        self._plain = self.beats[_BEAT]
        self.touches = Tally()
        self.late_touches = self.withheld_beats = self.withheld_touches = self.started = 0
        self.ended = dict.fromkeys(EndedBy, 0)
        self.gate, self.unavailable = Counter[str](), Counter[str]()
        self.living: int | None = None
        self.is_store_up: bool | None = None
        self.sources: dict[str, GaugeSource] = {}
        self.askers: list[Callable[[], Awaitable[object]]] = []

    def took(self, beats: Sequence[Beat], verdict: Verdict, *, withheld: bool) -> None:
        """Count the beats of one message by what was found after the last.

        Args:
            beats: as they came.
            verdict: what was found.
            withheld: the request carried `X-Heartbeat: true`, so each was a check.
        """
        has_checks = withheld
        for beat in beats:
            if beat.kind is _BEAT and not withheld:
                self._plain.add(verdict)
            else:
                self._tally(beat, withheld=withheld).add(verdict)
                has_checks |= beat.kind is _CHECK
        if has_checks and self._would_extend(beats, verdict, withheld=withheld):
            self.withheld_beats += 1

    def missed(self, beats: Sequence[Beat], *, withheld: bool) -> None:
        """Count beats that the store did not answer; arguments as of `took`."""
        for beat in beats:
            self._tally(beat, withheld=withheld).unavailable += 1

    def touched(self, verdict: Verdict, *, extends: bool, withheld: bool) -> None:
        """Count an ordinary request.

        Args:
            verdict: what was found.
            extends: it counts as activity.
            withheld: it would, but carried `X-Heartbeat: true`.
        """
        self.touches.add(verdict)
        if verdict.standing is None:
            self.late_touches += extends and verdict.session is not None
        elif withheld and self._would_move(verdict, 0):
            self.withheld_touches += 1

    def chose(self, verdict: Verdict) -> Verdict:
        """Count a choice to stay that the application passed on, and hand its verdict back."""
        self.beats[_EXTEND].add(verdict)
        return verdict

    def announced(self, session: Session) -> None:
        """Count the beginning of a session, or its end."""
        if session.ended_by is None:
            self.started += 1
        else:
            self.ended[session.ended_by] += 1

    async def refresh(self) -> None:
        """Ask the store how many sessions live, and whoever else is to be asked, if that was not done a moment ago."""
        now = self._clock()
        if self._asked_at is not None and now - self._asked_at < COUNT_INTERVAL_MS:
            return
        self._asked_at = now
        try:
            if isinstance(self._store, Listable):
                self.living = await self._store.count(now=now)
            else:
                await self._store.ping()
            self.is_store_up = True
        except StoreError as error:
            self.living, self.is_store_up = None, False
            logger.warning("the living sessions cannot be counted: %s", error)
        for ask in self.askers:
            try:
                await ask()
            except StoreError as error:
                logger.warning("a gauge cannot be read: %s", error)

    def gauge_source(
        self,
        name: str,
        help: str,  # noqa: A002  # what Prometheus calls it
        labels: tuple[str, ...],
        read: Callable[[], Iterable[tuple[tuple[str, ...], float]]],
    ) -> None:
        """Have a gauge told with the others.

        Args:
            name: `stillhere_…`, with its base unit at the end: `stillhere_mirror_lag_seconds`.
            help: one sentence, in the words of the glossary.
            labels: names of its labels. Never a person, a page or a session: those are in the archive.
            read: gives a value for each combination of labels, at once and without waiting; called from any thread.

        Raises:
            ValueError: if the name is not one, or is taken.
        """
        if _NAME.match(name) is None or name in self.sources:
            raise ValueError(f"a gauge is called stillhere_something, once, in lower case; not {name!r}")
        self.sources[name] = GaugeSource(name, help, labels, read)

    def _tally(self, beat: Beat, *, withheld: bool) -> Tally:
        return self.beats[_CHECK if withheld else beat.kind or _BEAT]

    def _would_extend(self, beats: Sequence[Beat], verdict: Verdict, *, withheld: bool) -> bool:
        """Tell whether messages would have moved the deadline, had nobody marked them."""
        session = verdict.session
        if session is None or verdict.standing is None:
            return False
        for beat in beats:
            if withheld or beat.kind is _CHECK:
                meant = replace(beat, kind=_BEAT) if beat.kind is _CHECK else beat
                claim = claim_of(meant, handle=session.handle, id_hash=session.id_hash, policy=self._policy)
                if claim.active_ago_ms is not None and self._would_move(verdict, claim.active_ago_ms):
                    return True
        return False

    def _would_move(self, verdict: Verdict, active_ago_ms: int) -> bool:
        session, standing = verdict.session, verdict.standing
        if session is None or standing is None or not standing.can_extend:
            return False
        return self._clock() - active_ago_ms - session.last_active_at >= max(1, self._policy.touch_interval)
