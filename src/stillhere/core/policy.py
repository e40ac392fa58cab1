"""The rules of one application, as one frozen record, and the presets of the standards."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from stillhere.errors import PolicyError


def seconds(amount: float) -> int:
    """Turn seconds into whole milliseconds."""
    return round(amount * 1000)


def minutes(amount: float) -> int:
    """Turn minutes into whole milliseconds."""
    return seconds(amount * 60)


def hours(amount: float) -> int:
    """Turn hours into whole milliseconds."""
    return minutes(amount * 60)


def days(amount: float) -> int:
    """Turn days into whole milliseconds."""
    return hours(amount * 24)


class BeatsExtend(StrEnum):
    """What a beat may extend."""

    NEVER = "never"
    """Nothing: only ordinary requests and an explicit choice to stay do."""
    ACTIVITY = "activity"
    """As far as its evidence of input goes."""
    ALWAYS = "always"
    """Everything: an open, visible page keeps its session alive."""


class RequestsExtend(StrEnum):
    """Which ordinary requests extend."""

    ALL = "all"
    """Every one, as frameworks commonly do."""
    NAVIGATION = "navigation"
    """Those by which a person went somewhere, as Fetch Metadata says."""
    NONE = "none"
    """None: only the client's evidence counts."""


class SessionLimitBy(StrEnum):
    """What gives way when a subject has more sessions than the limit."""

    EVICT_OLDEST = "evict_oldest"
    """Whoever signed in first."""
    EVICT_LEAST_RECENT = "evict_least_recent"
    """Whoever has been inactive for longest."""
    REFUSE = "refuse"
    """Nobody: the new sign-in is refused."""


RAMP: Final = (seconds(5), seconds(15), seconds(30), seconds(60))
"""Visible time at which the early beats are sent, unless a policy says otherwise."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps a session alive, and for how long. All spans are whole milliseconds.

    Attributes:
        idle_timeout: how long a session survives without activity. Default 20 minutes.
        absolute_timeout: how long it may last in all, whatever happens. Default 24 hours.
        warning_timeout: how long before the deadline the warning shows. Default 2 minutes. WCAG 2.2.1 asks for 20 s or more.
        beat_interval: visible time between two beats, once the ramp is over. Default 3 minutes.
        activity_window: how long after an input a person still counts as active. Default 2 minutes.
        visit_gap: absence after which the next view begins a new visit. Default 30 minutes.
        touch_interval: clocks of a session that would move by less are not written, which spares the store. A session may so
            end by as much earlier than its last activity would give; what a client is told is the earlier instant. A choice to stay is
            always written. Default 0: everything is.
        ramp: marks of visible time at which the early beats are sent, rising. Default 5, 15, 30 and 60 seconds.
        beats_extend: what a beat may extend. Default `activity`.
        requests_extend: which ordinary requests extend. Default `all`.
        session_limit: how many sessions a subject may have at once, 1 to 1,000, or None for any number. Default None.
        session_limit_by: what gives way at one more. Default `evict_oldest`.
        fresh_timeout: how long after they signed in, or did so again, people may end their other sessions without doing it once
            more. No shorter than `absolute_timeout` asks nobody. Default 15 minutes.
        preset: name of the preset whose ceilings hold, or None. See `PRESETS`.

    Raises:
        PolicyError: if two fields contradict each other, a span is not positive, or a preset's ceiling is passed. The
            message names both values.
    """

    idle_timeout: int = minutes(20)
    absolute_timeout: int = hours(24)
    warning_timeout: int = minutes(2)
    beat_interval: int = minutes(3)
    activity_window: int = minutes(2)
    visit_gap: int = minutes(30)
    touch_interval: int = 0
    ramp: tuple[int, ...] = RAMP
    beats_extend: BeatsExtend = BeatsExtend.ACTIVITY
    requests_extend: RequestsExtend = RequestsExtend.ALL
    session_limit: int | None = None
    session_limit_by: SessionLimitBy = SessionLimitBy.EVICT_OLDEST
    fresh_timeout: int = minutes(15)
    preset: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        self._refuse_wrong_values()
        self._refuse_impossible_relations()
        self._refuse_passed_ceilings()

    def _refuse_wrong_values(self) -> None:
        for name in SPANS:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= LONGEST_SPAN:
                raise PolicyError(f"{name} must be a whole number of milliseconds from 1 to {LONGEST_SPAN}, not {value!r}")
        if type(self.touch_interval) is not int or not 0 <= self.touch_interval <= LONGEST_SPAN:
            raise PolicyError(
                f"touch_interval must be a whole number of milliseconds from 0 to {LONGEST_SPAN}, not {self.touch_interval!r}"
            )
        if any(type(mark) is not int or mark <= 0 for mark in self.ramp) or list(self.ramp) != sorted(set(self.ramp)):
            raise PolicyError(f"ramp must rise from above 0 in whole milliseconds, not {self.ramp!r}")
        if self.session_limit is not None and (type(self.session_limit) is not int or not 1 <= self.session_limit <= MOST_SESSIONS):
            raise PolicyError(f"session_limit must be a whole number from 1 to {MOST_SESSIONS}, or None, not {self.session_limit!r}")
        for name, kind in (
            ("beats_extend", BeatsExtend),
            ("requests_extend", RequestsExtend),
            ("session_limit_by", SessionLimitBy),
        ):
            if getattr(self, name) not in tuple(kind):
                raise PolicyError(f"{name} must be one of {', '.join(kind)}, not {getattr(self, name)!r}")
            # A plain "always" is equal to the member but is not it, and the rules ask which it is.
            msgspec.structs.force_setattr(self, name, kind(getattr(self, name)))

    def _refuse_impossible_relations(self) -> None:
        for smaller, larger, why in (
            ("idle_timeout", "absolute_timeout", "or the idle timeout could never apply"),
            ("activity_window", "idle_timeout", "or an active person could be signed out"),
        ):
            low, high = getattr(self, smaller), getattr(self, larger)
            if low > high:
                raise PolicyError(f"{smaller} ({low} ms) must not be longer than {larger} ({high} ms), {why}")
        if self.warning_timeout >= self.idle_timeout:
            raise PolicyError(
                f"warning_timeout ({self.warning_timeout} ms) must be shorter than idle_timeout ({self.idle_timeout} ms), "
                "or everybody would be warned at once",
            )
        if self.beat_interval * 2 > self.idle_timeout:
            raise PolicyError(
                f"beat_interval ({self.beat_interval} ms) must be at most half of idle_timeout ({self.idle_timeout} ms), "
                "or one lost beat would sign an active person out",
            )

        if self.touch_interval and self.touch_interval + self.beat_interval + self.warning_timeout > self.idle_timeout:
            raise PolicyError(
                f"touch_interval ({self.touch_interval} ms), beat_interval ({self.beat_interval} ms) and warning_timeout "
                f"({self.warning_timeout} ms) must fit into idle_timeout ({self.idle_timeout} ms), or an active person could be warned",
            )

    def _refuse_passed_ceilings(self) -> None:
        if self.preset is None:
            return
        chosen = find_preset(self.preset)
        for name in ("idle_timeout", "absolute_timeout"):
            value, ceiling = getattr(self, name), getattr(chosen, name)
            if ceiling is not None and value > ceiling:
                raise PolicyError(f"{name} ({value} ms) is above the ceiling of preset {self.preset} ({ceiling} ms): {chosen.source}")


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """The ceilings that a standard sets, and the defaults that keep them.

    Attributes:
        idle_timeout: ceiling in milliseconds, or None where the standard sets none.
        absolute_timeout: the same for the absolute timeout.
        defaults: what a policy of this preset starts from.
        source: where the figures come from.
    """

    idle_timeout: int | None
    absolute_timeout: int | None
    defaults: Mapping[str, int]
    source: str


SPANS: Final = ("idle_timeout", "absolute_timeout", "warning_timeout", "beat_interval", "activity_window", "visit_gap", "fresh_timeout")

LONGEST_SPAN: Final = days(400)
"""Longer is surely a wrong unit; it is also the longest a browser keeps a cookie (RFC 6265bis)."""

MOST_SESSIONS: Final = 1_000
"""A limit above that limits nobody; so many are listed at a time."""

PRESETS: Final[Mapping[str, Preset]] = {
    "owasp": Preset(
        idle_timeout=minutes(30),
        absolute_timeout=hours(12),
        defaults={"idle_timeout": minutes(20), "absolute_timeout": hours(8)},
        source="OWASP Session Management Cheat Sheet: 15 to 30 min idle for low-risk applications, 4 to 8 h in all for a working day",
    ),
    "nist-aal1": Preset(
        idle_timeout=None,
        absolute_timeout=days(30),
        defaults={"idle_timeout": hours(24), "absolute_timeout": days(30)},
        source="NIST SP 800-63B-4 section 2.1.3: 30 days overall",
    ),
    "nist-aal2": Preset(
        idle_timeout=hours(1),
        absolute_timeout=hours(24),
        defaults={"idle_timeout": minutes(30), "absolute_timeout": hours(12)},
        source="NIST SP 800-63B-4 section 2.2.3: 1 h idle, 24 h overall",
    ),
    "nist-aal3": Preset(
        idle_timeout=minutes(15),
        absolute_timeout=hours(12),
        defaults={"idle_timeout": minutes(15), "absolute_timeout": hours(12)},
        source="NIST SP 800-63B-4 section 2.3.3: 15 min idle, 12 h overall",
    ),
    "pci": Preset(
        idle_timeout=minutes(15),
        absolute_timeout=None,
        defaults={"idle_timeout": minutes(15), "absolute_timeout": hours(12)},
        source="PCI DSS 4.0 requirement 8.2.8: 15 min idle",
    ),
    "hipaa": Preset(
        idle_timeout=minutes(15),
        absolute_timeout=None,
        defaults={"idle_timeout": minutes(10), "absolute_timeout": hours(12)},
        source="45 CFR 164.312(a)(2)(iii) asks for automatic logoff and sets no figure; 15 min is the ceiling chosen and documented here",
    ),
}


def find_preset(name: str) -> Preset:
    """Look a preset up by its name.

    Raises:
        PolicyError: if there is none of that name; the message lists those there are.
    """
    chosen = PRESETS.get(name)
    if chosen is None:
        raise PolicyError(f"there is no preset {name!r}; there are {', '.join(PRESETS)}")
    return chosen


def build_policy(preset: str | None = None, **changes: object) -> Policy:
    """Build a policy from a preset's defaults and your changes.

    Args:
        preset: a name from `PRESETS`, or None for the plain defaults.
        changes: fields of `Policy`, spans in milliseconds.

    Raises:
        PolicyError: if the preset is unknown, a ceiling is passed, or the fields contradict each other.
    """
    defaults: Mapping[str, int] = {} if preset is None else find_preset(preset).defaults
    try:
        return msgspec.convert({**defaults, **changes, "preset": preset}, Policy)
    except msgspec.ValidationError as error:
        raise PolicyError(str(error)) from error
