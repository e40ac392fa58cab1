"""The table of deadlines: which rows there are, when they fall, and which one applies."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stillhere.core.deadlines import NO_TOKENS, Deadline, TokenSpans, table_of
from stillhere.core.policy import BeatsExtend, Policy, RequestsExtend, days, hours, minutes, seconds
from stillhere.core.records import EndedBy, Session
from stillhere.core.refreshing import Holding
from stillhere.core.rules import deadline, end_session, ending, open_session, standing
from tests.support import START

ALL_TOKENS = TokenSpans(
    access_lifetime=minutes(5),
    replay_timeout=minutes(2),
    grace=seconds(10),
    provider_lifetime=minutes(5),
    refresh_margin=seconds(90),
)

HOLDING = Holding(
    iss="https://id.example",
    sub="42",
    sealed="…",
    can_refresh=True,
    access_expires_at=START + minutes(5),
    refresh_at=START + minutes(5) - seconds(90),
)


def fresh(policy: Policy | None = None) -> Session:
    """Begin a session at `START`."""
    return open_session("hash", "handle", "reader@fund.example", {}, policy=policy or Policy(), now=START)


def named(table: tuple[Deadline, ...]) -> dict[str, Deadline]:
    """Find rows by name; each is there once."""
    rows = {row.name: row for row in table}
    assert len(rows) == len(table)
    return rows


def test_the_plain_rules_have_six_rows() -> None:
    """Without tokens, touch interval and retention there is nothing to say of them; the idle timeout is what a new session meets first."""
    table = table_of(Policy())
    assert [(row.name, row.span_ms) for row in table] == [
        ("idle timeout", minutes(20)),
        ("absolute timeout", hours(24)),
        ("warning", minutes(2)),
        ("beat interval", minutes(3)),
        ("activity window", minutes(2)),
        ("visit gap", minutes(30)),
    ]
    assert [row.name for row in table if row.is_effective] == ["idle timeout"]
    assert all(row.at is None and row.remaining_ms(START) is None for row in table)


def test_everything_that_is_set_up_has_its_rows() -> None:
    """Tokens of ours, a provider's, the touch interval and the retention each add theirs."""
    rows = named(table_of(Policy(touch_interval=seconds(30)), ALL_TOKENS, retention=days(90)))
    assert rows.keys() - named(table_of(Policy())).keys() == {
        "touch interval",
        "access token",
        "refresh token",
        "replay of a refresh token",
        "refresh of the provider's token",
        "presence for a refresh",
        "provider's access token",
        "provider's refresh token",
        "retention",
    }
    assert rows["refresh of the provider's token"].span_ms == seconds(90)
    assert rows["presence for a refresh"].span_ms == minutes(3)


def test_rows_of_a_session_fall_where_its_record_says() -> None:
    """Spans are the session's own, instants follow from its record and from what it holds of the provider."""
    policy = Policy(touch_interval=seconds(30))
    session = replace(fresh(policy), idle_timeout=minutes(10), last_active_at=START + minutes(4))
    rows = named(table_of(policy, ALL_TOKENS, retention=days(90), session=session, holding=HOLDING))
    assert (rows["idle timeout"].span_ms, rows["idle timeout"].at) == (minutes(10), START + minutes(14))
    assert rows["absolute timeout"].at == START + hours(24)
    assert rows["warning"].at == START + minutes(12)
    assert rows["touch interval"].at == START + minutes(4) + seconds(30)
    assert rows["refresh token"].at == START + minutes(14)
    assert rows["provider's access token"].at == START + minutes(5)
    assert rows["refresh of the provider's token"].at == START + seconds(210)
    assert rows["presence for a refresh"].at == START + minutes(7)
    assert {name for name, row in rows.items() if row.at is None} == {
        "beat interval",
        "activity window",
        "access token",
        "replay of a refresh token",
        "provider's refresh token",
        "visit gap",
        "retention",
    }
    assert rows["warning"].remaining_ms(START + minutes(13)) == 0


def test_what_was_ended_is_forgotten_after_the_retention() -> None:
    """The retention counts from the end."""
    session = end_session(fresh(), EndedBy.SIGNED_OUT, now=START + minutes(1))
    assert named(table_of(Policy(), retention=days(1), session=session))["retention"].at == START + minutes(1) + days(1)


def test_a_holding_without_a_session_is_nothing() -> None:
    """Without a session no row has an instant."""
    assert all(row.at is None for row in table_of(Policy(), ALL_TOKENS, holding=HOLDING))


def test_what_extends_is_said_as_the_policy_has_it() -> None:
    """The idle row says what moves it; a choice to stay always does."""

    def moved_by(beats: BeatsExtend, requests: RequestsExtend) -> str:
        return table_of(Policy(beats_extend=beats, requests_extend=requests))[0].moved_by

    assert moved_by(BeatsExtend.ACTIVITY, RequestsExtend.ALL) == "input told by beats, ordinary requests, a choice to stay"
    assert moved_by(BeatsExtend.ALWAYS, RequestsExtend.NAVIGATION) == "every beat, navigations, a choice to stay"
    assert moved_by(BeatsExtend.NEVER, RequestsExtend.NONE) == "a choice to stay"


def test_equal_timeouts_are_the_absolute_one() -> None:
    """Where both fall at once the absolute one is named, as the end would be."""
    policy = Policy(idle_timeout=hours(1), absolute_timeout=hours(1))
    for session in (None, fresh(policy)):
        assert [row.name for row in table_of(policy, session=session) if row.is_effective] == ["absolute timeout"]


SPANS = st.integers(seconds(1), days(2))


@st.composite
def sessions(draw: st.DrawFn) -> Session:
    """Draw any record that a store could hold, of whatever policy it began under."""
    created_at = START + draw(st.integers(-days(2), 0))
    active_at = created_at + draw(st.integers(0, days(1)))
    session = Session(
        id_hash="hash",
        handle="handle",
        subject="reader@fund.example",
        created_at=created_at,
        last_active_at=active_at,
        last_seen_at=active_at + draw(st.integers(0, days(1))),
        absolute_end_at=created_at + draw(SPANS),
        idle_timeout=draw(SPANS),
    )
    by = draw(st.none() | st.sampled_from(EndedBy))
    return session if by is None else end_session(session, by, now=START)


@given(session=sessions(), tokens=st.sampled_from([NO_TOKENS, ALL_TOKENS]), ago=st.integers(-days(2), days(2)))
def test_the_effective_row_is_the_deadline(session: Session, tokens: TokenSpans, ago: int) -> None:
    """For any session one row is effective, it falls at the deadline, no row that ends a session falls before it, and it names the end."""
    table = table_of(Policy(), tokens, session=session, holding=HOLDING)
    (effective,) = [row for row in table if row.is_effective]
    assert effective.at == deadline(session) == min(row.at for row in table if row.ends_session and row.at is not None)
    over = ending(replace(session, ended_at=None, ended_by=None), now=deadline(session) + max(0, ago))
    assert over is not None
    assert effective.then == f"the session ends: {over.by}"


@given(session=sessions(), warning=st.integers(1, minutes(19)), ago=st.integers(-days(2), days(2)))
def test_rows_never_contradict_the_standing(session: Session, warning: int, ago: int) -> None:
    """What a row leaves is what an answer to a beat leaves, whenever it is asked."""
    policy, now = Policy(warning_timeout=warning), START + ago
    rows, stands = named(table_of(policy, session=session)), standing(session, policy=policy, now=now)
    assert rows["idle timeout"].remaining_ms(now) == stands.idle_in_ms
    assert rows["absolute timeout"].remaining_ms(now) == stands.absolute_in_ms
    assert rows["warning"].remaining_ms(now) == stands.warn_in_ms
    (effective,) = [row for row in rows.values() if row.is_effective]
    assert effective.remaining_ms(now) == stands.expires_in_ms
    if stands.expires_in_ms:
        assert (effective.moved_by != "nothing") == stands.can_extend
