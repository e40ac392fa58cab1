"""The rulebook: what keeps a session alive, what ends it, what a message may change. Pure; every rule is told the time.

Theory of operation. A session has three clocks. *Last seen* moves with any message. *Last active* moves only with evidence of
input, an ordinary request, or a person's choice to stay. The *absolute end* never moves. Its deadline is the earlier of
`last_active_at + idle_timeout` and `absolute_end_at`; at that instant it is over, whoever notices and when.

A message is taken in by `apply_claim`, in this order, which is the whole security of it:

1. judge the session as it was: what has lapsed stays lapsed, whatever the message claims;
2. credit activity, only to a living session, never before what is known and never after `now`;
3. bring the view and its visit up to date, up to the *horizon*: when the message was made, or the session's end.

Totals are cumulative and only grow, so every message may be lost, repeated, reordered or late. All of it commutes except the
union over tabs, which is bounded instead: a visit's visible time never exceeds its open span.

The memory store calls these functions. The SQL store restates them as statements, and a differential test demands equal
records after every step of random timelines.
"""

from __future__ import annotations

import json
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from stillhere.core.policy import BeatsExtend, Policy
from stillhere.core.records import ON_SCREEN, Claim, EndedBy, Ending, Session, Standing, View, Visit
from stillhere.core.wire import PLAIN, Beat, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping


# A member of an enumeration is looked up through its metaclass, every time.
_CHECK, _EXTEND, _LEAVE = Kind.CHECK, Kind.EXTEND, Kind.LEAVE

LONGEST_SUBJECT: Final = 2_000
"""Bytes of a subject; an e-mail address has at most 254 (RFC 5321), and a database's index an end."""

EXACT_MS: Final = 1_000
"""Visible time is exact to a second: less is but how long messages travel. The stores' statements have it, too."""

UNNUMBERED: Final = -1
"""`seq` of a view that has had no numbered message yet."""


def open_session(id_hash: str, handle: str, subject: str, attributes: Mapping[str, Any], *, policy: Policy, now: int) -> Session:
    """Begin a session.

    Args:
        id_hash: SHA-256 of a fresh secret id, base64url.
        handle: a fresh public name.
        subject: whom it belongs to.
        attributes: what the application stores with it, JSON; a copy is kept.
        policy: the rules it begins under; its timeouts are kept with the session.
        now: milliseconds since 1970.

    Raises:
        ValueError: if not every store could keep the subject or the attributes and give them back unchanged.
    """
    if "\0" in subject or len(_utf_8(subject, "subject")) > LONGEST_SUBJECT:
        raise ValueError(f"a subject is text without U+0000, of at most {LONGEST_SUBJECT} bytes in UTF-8, not {subject[:40]!r}")
    try:
        written = json.dumps(attributes, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"attributes must be JSON: {error}") from error
    return Session(
        id_hash=id_hash,
        handle=handle,
        subject=subject,
        created_at=now,
        last_active_at=now,
        last_seen_at=now,
        absolute_end_at=now + policy.absolute_timeout,
        idle_timeout=policy.idle_timeout,
        attributes=json.loads(_utf_8(written, "attributes")),
    )


def _utf_8(text: str, name: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} must be text that UTF-8 can write: {error.reason} at {error.start}") from error


def deadline(session: Session) -> int:
    """Tell when the session is over unless activity comes first."""
    return min(session.last_active_at + session.idle_timeout, session.absolute_end_at)


def ending(session: Session, *, now: int) -> Ending | None:
    """Tell when and why the session ended, or None while it lives. A lapsed session ended at its deadline."""
    if session.ended_at is not None and session.ended_by is not None:
        return Ending(at=session.ended_at, by=session.ended_by)
    over_at = deadline(session)
    if now < over_at:
        return None
    return Ending(at=over_at, by=EndedBy.ABSOLUTE if over_at == session.absolute_end_at else EndedBy.IDLE)


def standing(session: Session, *, policy: Policy, now: int) -> Standing:
    """Tell how a living session stands. No span goes below 0."""
    idle_in, absolute_in = session.last_active_at + session.idle_timeout - now, session.absolute_end_at - now
    expires_in = min(idle_in, absolute_in)
    warn_in = max(0, expires_in - policy.warning_timeout)
    return Standing(
        expiring=warn_in == 0,
        expires_in_ms=max(0, expires_in),
        idle_in_ms=max(0, idle_in),
        absolute_in_ms=max(0, absolute_in),
        warn_in_ms=warn_in,
        can_extend=expires_in < absolute_in,
    )


def next_beat_in(policy: Policy, visible_ms: int | None) -> int:
    """Tell how much more visible time may pass before the next beat: up to the next mark of the ramp, then the interval.

    Args:
        policy: has the ramp and the interval.
        visible_ms: how long the view has been visible, or None if nothing is known of it; then the interval.
    """
    if visible_ms is None:
        return policy.beat_interval
    for mark in policy.ramp:
        if mark > visible_ms:
            return min(mark - visible_ms, policy.beat_interval)
    return policy.beat_interval


def claim_of(beat: Beat, *, handle: str, id_hash: str, policy: Policy, withheld: bool = False) -> Claim:
    """Turn what a message says into what it may ask, under a policy.

    Args:
        beat: the message, validated but not believed.
        handle: of the session it speaks for.
        id_hash: of the secret id that came with it.
        policy: says what a beat may extend.
        withheld: the request carried `X-Heartbeat: true`; all that is left is a check.
    """
    kind = beat.kind
    if withheld or kind is _CHECK:
        return Claim(handle=handle, id_hash=id_hash)
    if beat is PLAIN:  # the most frequent message by far
        active_ago_ms = 0 if policy.beats_extend is BeatsExtend.ALWAYS else None
        return Claim(handle=handle, id_hash=id_hash, active_ago_ms=active_ago_ms, on_screen=True, opens=True)
    age_ms = beat.age_ms or 0
    leaves = kind is _LEAVE
    on_screen = not leaves and (beat.lifecycle in ON_SCREEN or beat.is_plain)
    return Claim(
        handle=handle,
        id_hash=id_hash,
        age_ms=age_ms,
        active_ago_ms=_activity_claimed(beat, policy, age_ms),
        on_screen=on_screen,
        chosen=kind is _EXTEND,
        opens=not leaves and (on_screen or (beat.visible_ms or 0) > 0),
        leaves=leaves,
        view=beat.view,
        tab=beat.tab,
        page=beat.page,
        title=beat.title,
        visible_ms=beat.visible_ms or 0,
        active_ms=beat.active_ms or 0,
        scroll_pct=beat.scroll_pct or 0.0,
        lifecycle=beat.lifecycle,
        seq=beat.seq,
        heat=beat.heat,
        bands=beat.bands,
    )


def _activity_claimed(beat: Beat, policy: Policy, age_ms: int) -> int | None:
    if beat.kind is _LEAVE:
        return None
    if beat.kind is _EXTEND:
        return age_ms
    if policy.beats_extend is BeatsExtend.ALWAYS and (beat.lifecycle is None or beat.lifecycle in ON_SCREEN):
        return age_ms
    if policy.beats_extend is BeatsExtend.ACTIVITY and beat.idle_ms is not None:
        return age_ms + beat.idle_ms
    return None


def apply_claim(
    session: Session,
    view: View | None,
    visit: Visit | None,
    claim: Claim,
    *,
    visit_gap: int,
    touch_interval: int,
    now: int,
) -> tuple[Session, View | None, Visit | None]:
    """Take a message in: judge, then credit, then remember.

    Args:
        session: the record as it is; the claim speaks for it (`is_id_of`).
        view: the record of the claim's view, or None if there is none.
        visit: the view's visit, or the session's latest if the view is new, or None if there is none.
        claim: what the message asks.
        visit_gap: absence after which a new view begins a new visit, milliseconds.
        touch_interval: clocks that would move by less stay where they are, milliseconds; 0 moves them always.
        now: milliseconds since 1970.

    Returns:
        The three records afterwards; unchanged ones are the very same objects.
    """
    over = ending(session, now=now)
    made_at = now - claim.age_ms
    horizon = max(session.created_at, made_at if over is None else min(made_at, over.at))
    if over is not None:
        session = _record_end(session, over)
    else:
        session = _credit(session, claim, now=now, is_old=_is_old(view, claim), touch_interval=touch_interval)
        if view is None and claim.opens:
            visit = _visit_for_opening(session, visit, claim, visit_gap=visit_gap, horizon=horizon)
            if claim.view is None:
                return session, None, _attended(visit, claim, touch_interval=touch_interval, horizon=horizon)
            view = _open_view(session, visit, claim, horizon=horizon)
    if view is None or visit is None:
        return session, view, visit
    grown = _grown(view, claim, horizon)
    return session, grown, _visited(visit, claim, view, grown, over=over, horizon=horizon)


def is_id_of(id_hash: str, session: Session) -> bool:
    """Tell whether somebody came with a session's own secret id. Compares in constant time."""
    return compare_digest(id_hash, session.id_hash)


def _is_old(view: View | None, claim: Claim) -> bool:
    """Repeated or overtaken, so that later evidence is in already. A choice to stay counts even if words of leaving overtook it."""
    if view is None or claim.seq is None:
        return False
    return claim.seq == view.seq if claim.chosen else claim.seq <= view.seq


def _credit(session: Session, claim: Claim, *, now: int, is_old: bool, touch_interval: int) -> Session:
    active_at = session.last_active_at
    if claim.active_ago_ms is not None and not is_old:
        active_at = max(active_at, now - claim.active_ago_ms)
    seen_at = max(session.last_seen_at, now)
    moved_ms = max(active_at - session.last_active_at, seen_at - session.last_seen_at)
    if moved_ms == 0 or (moved_ms < touch_interval and not claim.chosen):
        return session
    return replace(session, last_active_at=active_at, last_seen_at=seen_at)


def _record_end(session: Session, over: Ending) -> Session:
    if session.ended_at is not None:
        return session
    return replace(session, ended_at=over.at, ended_by=over.by)


def _opened_at(session: Session, claim: Claim, horizon: int) -> int:
    # The opening message may be the second one made (the first was lost): the view began that much earlier.
    return max(session.created_at, horizon - (claim.visible_ms if claim.view is not None else 0))


def _visit_for_opening(session: Session, visit: Visit | None, claim: Claim, *, visit_gap: int, horizon: int) -> Visit:
    opened_at = _opened_at(session, claim, horizon)
    if visit is not None and opened_at - visit.last_seen_at <= visit_gap:
        return visit
    return Visit(
        handle=session.handle,
        number=1 if visit is None else visit.number + 1,
        subject=session.subject,
        started_at=opened_at,
        last_seen_at=opened_at,
        covered_until_at=opened_at,
    )


def _open_view(session: Session, visit: Visit, claim: Claim, *, horizon: int) -> View:
    opened_at = _opened_at(session, claim, horizon)
    return View(
        handle=session.handle,
        view=claim.view or "",
        visit=visit.number,
        tab=claim.tab,
        page=claim.page,
        title=claim.title,
        opened_at=opened_at,
        last_seen_at=opened_at,
        seq=UNNUMBERED,
        heat=claim.heat,
        bands=claim.bands,
    )


def _grown(view: View, claim: Claim, horizon: int) -> View:
    visible_ms = max(view.visible_ms, min(claim.visible_ms, horizon - view.opened_at))
    newest = _is_latest(view, claim)
    return replace(
        view,
        last_seen_at=max(view.last_seen_at, horizon),
        visible_ms=visible_ms,
        active_ms=max(view.active_ms, min(claim.active_ms, visible_ms)),
        scroll_pct=max(view.scroll_pct, claim.scroll_pct),
        page=claim.page if newest and claim.page is not None else view.page,
        title=claim.title if newest and claim.title is not None else view.title,
        lifecycle=claim.lifecycle if newest and claim.lifecycle is not None else view.lifecycle,
        seq=view.seq if claim.seq is None else max(view.seq, claim.seq),
        heat=claim.heat if newest and claim.heat is not None else view.heat,
        bands=claim.bands if newest and claim.bands is not None else view.bands,
    )


def _is_latest(view: View, claim: Claim) -> bool:
    """Neither repeated nor overtaken by a later message of its view."""
    return claim.seq is None or claim.seq > view.seq


def _visited(visit: Visit, claim: Claim, view: View, grown: View, *, over: Ending | None, horizon: int) -> Visit:
    newest = _is_latest(view, claim)
    least_ms = 0 if over is not None else min(grown.visible_ms, horizon - visit.started_at)
    counted = visit if grown.visible_ms == view.visible_ms else _counted(visit, view, grown, least_ms=least_ms, horizon=horizon)
    credit = counted.visible_ms - visit.visible_ms
    last_seen_at, left_at = visit.last_seen_at, visit.left_at
    if over is not None:
        # Words after the end say how long the page was read, not that somebody was there at the end.
        last_seen_at = min(max(last_seen_at, counted.covered_until_at), last_seen_at + credit)
    elif (claim.on_screen and newest) or counted is not visit:
        last_seen_at = max(last_seen_at, horizon)
    if claim.leaves and newest:
        left_at = max(visit.last_seen_at, horizon)
    elif claim.on_screen and newest and over is None:
        left_at = None
    active_ms = min(visit.active_ms + grown.active_ms - view.active_ms, counted.visible_ms)
    return replace(counted, last_seen_at=last_seen_at, active_ms=active_ms, left_at=left_at)


def _counted(visit: Visit, view: View, grown: View, *, least_ms: int, horizon: int) -> Visit:
    """Count by how much a view grew as the span before the horizon, as far as no tab was counted for it yet: the union over tabs.

    What was passed over can still be filled, as far back as the view has not told of; of such spans only the latest is known, and none
    shorter than what is exact. A visit is no shorter than any of its views (`least_ms`): what that adds
    was held back by a late message, and lies where something seemed to be passed over.
    """
    covered_at, from_at, until_at = visit.covered_until_at, visit.uncounted_from_at, visit.uncounted_until_at
    begun_at = horizon - (grown.visible_ms - view.visible_ms)
    fills_at = max(begun_at, view.last_seen_at, from_at)
    filled_ms = max(0, min(until_at, horizon) - fills_at)
    visible_ms = visit.visible_ms + filled_ms + max(0, horizon - max(covered_at, begun_at))
    if begun_at - covered_at >= EXACT_MS:
        from_at, until_at = covered_at, begun_at
    elif filled_ms > 0 and horizon < until_at:
        from_at = horizon
    elif filled_ms > 0:
        until_at = fills_at
    return replace(
        visit,
        covered_until_at=max(covered_at, horizon),
        uncounted_from_at=from_at,
        uncounted_until_at=max(from_at, until_at - max(0, least_ms - visible_ms)),
        visible_ms=max(visible_ms, least_ms),
    )


def _attended(visit: Visit, claim: Claim, *, touch_interval: int, horizon: int) -> Visit:
    """Bring a visit up to date with a claim that names no view: presence, and no more."""
    if horizon - visit.last_seen_at < touch_interval and visit.left_at is None:
        return visit
    latest = max(visit.last_seen_at, horizon)
    left_at = latest if claim.leaves else None if claim.on_screen else visit.left_at
    return replace(visit, last_seen_at=latest if claim.on_screen else visit.last_seen_at, left_at=left_at)


def end_session(session: Session, by: EndedBy, *, now: int) -> Session:
    """End a session; if it is over already, the first reason stays. One that has lapsed ended at its deadline."""
    over = ending(session, now=now)
    return _record_end(session, over or Ending(at=max(now, session.created_at), by=by))


def rotate_id(session: Session, id_hash: str, new_id_hash: str, *, now: int) -> Session | None:
    """Give a living session a new secret id, or None if it is over or has another id than the one presented."""
    if not is_id_of(id_hash, session) or ending(session, now=now) is not None:
        return None
    return replace(session, id_hash=new_id_hash)
