"""The table of deadlines: every timeout that touches a session, from where it counts, who moves it, and which one applies. Pure.

Theory of operation. Many timeouts are at work at once, of the session, of tokens, of the browser, and people who look at one of them
wonder why another one came first (Duende's users ask which of five applies: Support issues 243, 1321, 1540). Only two end a session, the
idle timeout and the absolute one, and the earlier of them is its deadline: the *effective* row. Every other row says what else happens, and
that it does not end the session. Without a session the table shows the spans; with one, the instants too, as far as its record knows them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from stillhere.core.policy import BeatsExtend, RequestsExtend
from stillhere.core.rules import deadline

if TYPE_CHECKING:
    from stillhere.core.policy import Policy
    from stillhere.core.records import Session
    from stillhere.core.refreshing import Holding

SERVER: Final = "server"
CLIENT: Final = "client"
PROVIDER: Final = "provider"
VERIFIER: Final = "whoever verifies it"


class TokenSpans(msgspec.Struct, frozen=True, kw_only=True):
    """What of the tokens beside a session is a matter of time. Spans are whole milliseconds.

    Attributes:
        access_lifetime: of an access token of ours; None if there are none.
        replay_timeout: how long a used refresh token of ours is repeated at most; None if there are none.
        grace: how long still once its successor was seen in use.
        provider_lifetime: of a provider's access token, as far as is known before one is there; None if there is no provider.
        refresh_margin: how much of it is to be left when it is replaced, as set. What is used is never more than half of the life.
        asks_offline: `offline_access` is asked for, which most providers want before they give a refresh token.
    """

    access_lifetime: int | None = None
    replay_timeout: int | None = None
    grace: int = 0
    provider_lifetime: int | None = None
    refresh_margin: int = 0
    asks_offline: bool = True

    @property
    def used_margin(self) -> int:
        """How much of a provider's token is left when it is replaced."""
        return min(self.refresh_margin, (self.provider_lifetime or 0) // 2)


NO_TOKENS: Final = TokenSpans()


class Deadline(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One timeout.

    Attributes:
        name: what it is called; the words are the glossary's.
        setting: where its span is set.
        span_ms: how long it is, or None if that is not for us to say.
        counts_from: what it counts from.
        moved_by: what moves it.
        then: what happens when it has passed.
        enforced_by: who sees to that.
        at: when it falls in this session, or None if its record does not tell, or there is no session.
        ends_session: it ends the session.
        is_effective: it is the one that ends it first, if nothing else happens.
    """

    name: str
    setting: str
    span_ms: int | None
    counts_from: str
    moved_by: str
    then: str
    enforced_by: str = SERVER
    at: int | None = None
    ends_session: bool = False
    is_effective: bool = False

    def remaining_ms(self, now: int) -> int | None:
        """Tell how much of it is left, never below 0; None if nothing is known of when it falls."""
        return None if self.at is None else max(0, self.at - now)


def table_of(
    policy: Policy,
    tokens: TokenSpans = NO_TOKENS,
    *,
    retention: int | None = None,
    session: Session | None = None,
    holding: Holding | None = None,
) -> tuple[Deadline, ...]:
    """Write the table.

    Args:
        policy: the rules.
        tokens: what tokens there are.
        retention: how long after its end a session is kept, or None for ever.
        session: one to explain, or None; then the effective row is the one of a session that just began.
        holding: what that session holds of a provider, or None.

    Returns:
        The two that end a session first, exactly one of all is effective.
    """
    return (
        *_ends(policy, session),
        _warning(policy, session),
        *_beats(policy, session),
        *_of_ours(tokens, session),
        *_of_the_provider(policy, tokens, session, holding),
        *_afterwards(policy, retention, session),
    )


def _ends(policy: Policy, session: Session | None) -> tuple[Deadline, Deadline]:
    idle_span = policy.idle_timeout if session is None else session.idle_timeout
    absolute_span = policy.absolute_timeout if session is None else session.absolute_end_at - session.created_at
    idle_at = None if session is None else session.last_active_at + session.idle_timeout
    # As `rules.ending` has it: of two at the same instant the absolute one is named, for nothing could have moved the end.
    is_absolute = absolute_span <= idle_span if session is None else deadline(session) == session.absolute_end_at
    return (
        Deadline(
            name="idle timeout",
            setting="idle_timeout",
            span_ms=idle_span,
            counts_from="last activity",
            moved_by=_what_extends(policy),
            then="the session ends: idle",
            at=idle_at,
            ends_session=True,
            is_effective=not is_absolute,
        ),
        Deadline(
            name="absolute timeout",
            setting="absolute_timeout",
            span_ms=absolute_span,
            counts_from="sign-in",
            moved_by="nothing",
            then="the session ends: absolute",
            at=None if session is None else session.absolute_end_at,
            ends_session=True,
            is_effective=is_absolute,
        ),
    )


_OF_BEATS: Final = {BeatsExtend.ACTIVITY: "input told by beats", BeatsExtend.ALWAYS: "every beat"}
_OF_REQUESTS: Final = {RequestsExtend.ALL: "ordinary requests", RequestsExtend.NAVIGATION: "navigations"}


def _what_extends(policy: Policy) -> str:
    found = (_OF_BEATS.get(policy.beats_extend), _OF_REQUESTS.get(policy.requests_extend), "a choice to stay")
    return ", ".join(word for word in found if word is not None)


def _warning(policy: Policy, session: Session | None) -> Deadline:
    return Deadline(
        name="warning",
        setting="warning_timeout",
        span_ms=policy.warning_timeout,
        counts_from="back from the deadline",
        moved_by="what moves the deadline",
        then="the page warns; one click stays, unless the end is the absolute one",
        enforced_by=CLIENT,
        at=None if session is None else deadline(session) - policy.warning_timeout,
    )


def _beats(policy: Policy, session: Session | None) -> tuple[Deadline, ...]:
    interval = Deadline(
        name="beat interval",
        setting="beat_interval",
        span_ms=policy.beat_interval,
        counts_from="last beat, in visible time",
        moved_by="every beat; shorter on the ramp and before a provider's token is due",
        then="the page beats",
        enforced_by=CLIENT,
    )
    window = Deadline(
        name="activity window",
        setting="activity_window",
        span_ms=policy.activity_window,
        counts_from="last input",
        moved_by="input",
        then="active time stops counting",
        enforced_by=CLIENT,
    )
    if not policy.touch_interval:
        return interval, window
    written = Deadline(
        name="touch interval",
        setting="touch_interval",
        span_ms=policy.touch_interval,
        counts_from="last activity that was written",
        moved_by="activity that is written; a choice to stay always is",
        then="activity is written again; until then the deadlines stay where they are",
        at=None if session is None else session.last_active_at + policy.touch_interval,
    )
    return interval, window, written


def _of_ours(tokens: TokenSpans, session: Session | None) -> tuple[Deadline, ...]:
    rows: tuple[Deadline, ...] = ()
    if tokens.access_lifetime is not None:
        access = Deadline(
            name="access token",
            setting="AccessTokens(lifetime)",
            span_ms=tokens.access_lifetime,
            counts_from="when it was minted",
            moved_by="nothing; the next one has its own",
            then="the token counts for nothing; here it does so already when its session ends",
            enforced_by=VERIFIER,
        )
        rows = (access,)
    if tokens.replay_timeout is None:
        return rows
    lasting = Deadline(
        name="refresh token",
        setting="the session's own",
        span_ms=None,
        counts_from="as the session",
        moved_by="what moves the deadline; a refresh moves nothing",
        then="it counts for nothing: it lasts as long as its session",
        at=None if session is None else deadline(session),
    )
    repeating = Deadline(
        name="replay of a refresh token",
        setting="Tokens(replay_timeout, grace)",
        span_ms=tokens.replay_timeout,
        counts_from="its use",
        moved_by="nothing; cut short by `grace` once its successor was seen in use",
        then="presented again it is theft: the session ends with token_reuse",
    )
    return (*rows, lasting, repeating)


def _of_the_provider(policy: Policy, tokens: TokenSpans, session: Session | None, holding: Holding | None) -> tuple[Deadline, ...]:
    if tokens.provider_lifetime is None:
        return ()
    holding = None if session is None else holding
    window = max(policy.activity_window, policy.beat_interval)
    due = Deadline(
        name="refresh of the provider's token",
        setting="Provider(refresh_margin, least_margin)",
        span_ms=tokens.used_margin,
        counts_from="back from the end of the provider's access token",
        moved_by="a refresh",
        then="the next beat that brings input, or activity of the last while, refreshes it",
        at=None if holding is None else holding.refresh_at,
    )
    presence = Deadline(
        name="presence for a refresh",
        setting="the longer of activity_window and beat_interval",
        span_ms=window,
        counts_from="last activity",
        moved_by="activity",
        then="nothing refreshes the provider's token until there is input again",
        at=None if session is None else session.last_active_at + window,
    )
    return (due, presence, *_at_the_provider(tokens.provider_lifetime, holding))


def _at_the_provider(lifetime: int, holding: Holding | None) -> tuple[Deadline, Deadline]:
    access = Deadline(
        name="provider's access token",
        setting="the provider; if it does not say, Provider(access_lifetime)",
        span_ms=lifetime,
        counts_from="when the provider gave it",
        moved_by="a refresh",
        then="calls to the provider wait for input; the session goes on",
        enforced_by=PROVIDER,
        at=None if holding is None else holding.access_expires_at,
    )
    refresh = Deadline(
        name="provider's refresh token",
        setting="the provider",
        span_ms=None,
        counts_from="as the provider says",
        moved_by="as the provider says; mostly each use",
        then="the provider refuses the next refresh, and the session ends: provider",
        enforced_by=PROVIDER,
    )
    return access, refresh


def _afterwards(policy: Policy, retention: int | None, session: Session | None) -> tuple[Deadline, ...]:
    gap = Deadline(
        name="visit gap",
        setting="visit_gap",
        span_ms=policy.visit_gap,
        counts_from="when somebody was last seen on a page",
        moved_by="presence",
        then="the next view begins a new visit; the session goes on",
    )
    if retention is None:
        return (gap,)
    ended_at = None if session is None else session.ended_at
    kept = Deadline(
        name="retention",
        setting="retention",
        span_ms=retention,
        counts_from="the end of the session",
        moved_by="nothing",
        then="the session and its visits are forgotten",
        at=None if ended_at is None else ended_at + retention,
    )
    return gap, kept
