"""Explains which of all timeouts applies, when, and what would move it: of a manager's rules, or of one session of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from stillhere.core.deadlines import NO_TOKENS, Deadline, table_of
from stillhere.core.findings import Finding, by_level, findings_of, findings_of_session
from stillhere.core.records import Ending, Session
from stillhere.core.refreshing import PROVIDER, Holding
from stillhere.core.rules import ending
from stillhere.stores.protocol import Granting

if TYPE_CHECKING:
    from stillhere.core.deadlines import TokenSpans
    from stillhere.core.policy import Policy
    from stillhere.manager import SessionManager

_read: Final = msgspec.json.Decoder(Holding).decode


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Which timeouts there are, and which applies.

    Attributes:
        deadlines: the table; exactly one row is effective.
        findings: what cannot work or is worth knowing, the worst first.
        now: as of when, milliseconds since 1970; None if it is of no session.
        session: the session that was explained, or None.
        ending: when and why it ended, or None while it lives.
    """

    deadlines: tuple[Deadline, ...]
    findings: tuple[Finding, ...]
    now: int | None = None
    session: Session | None = None
    ending: Ending | None = None

    @property
    def effective(self) -> Deadline:
        """The row that ends the session first, if nothing else happens."""
        return next(row for row in self.deadlines if row.is_effective)


def explain_rules(policy: Policy, tokens: TokenSpans = NO_TOKENS, *, retention: int | None = None) -> Explanation:
    """Explain settings. Asks no store.

    Args:
        policy: the rules.
        tokens: what tokens there are.
        retention: how long after its end a session is kept, or None for ever.
    """
    return Explanation(deadlines=table_of(policy, tokens, retention=retention), findings=findings_of(policy, tokens))


def explain_session(
    rules: Explanation,
    policy: Policy,
    tokens: TokenSpans,
    session: Session,
    holding: Holding | None = None,
    *,
    now: int,
    retention: int | None = None,
) -> Explanation:
    """Explain one session. Asks no store.

    Args:
        rules: the explanation of the settings, whose findings hold for every session.
        policy: the rules.
        tokens: what tokens there are.
        session: its record.
        holding: what it holds of a provider, or None.
        now: as of when, milliseconds since 1970.
        retention: how long after its end a session is kept, or None for ever.
    """
    found = findings_of_session(policy, session, holding, now=now)
    return Explanation(
        deadlines=table_of(policy, tokens, retention=retention, session=session, holding=holding),
        findings=by_level([*found, *rules.findings]),
        now=now,
        session=session,
        ending=ending(session, now=now),
    )


async def holding_of(store: object, handle: str) -> Holding | None:
    """Look up what a session holds of a provider; None if nothing, or if its store keeps no grants.

    Raises:
        StoreError: if the store cannot be reached.
    """
    if not isinstance(store, Granting):
        return None
    grant = (await store.held(handle, PROVIDER)).grant
    return None if grant is None else _read(grant.document)


async def explain(manager: SessionManager, session: Session | None = None, *, now: int | None = None) -> Explanation:
    """Explain a manager's rules; or one session of it, which is looked at and not touched.

    Args:
        manager: the sessions.
        session: the record, as a verdict or a list gave it; or None for the rules alone.
        now: as of when, milliseconds since 1970. Default: the manager's clock.

    Raises:
        StoreError: if the store cannot be reached for what the session holds of a provider.
    """
    policy, retention, credentials = manager.policy, manager.retention, manager.credentials
    tokens = NO_TOKENS if credentials is None else credentials.spans
    rules = explain_rules(policy, tokens, retention=retention)
    if session is None:
        return rules
    holding = None if tokens.provider_lifetime is None else await holding_of(manager.store, session.handle)
    as_of = manager.clock() if now is None else now
    return explain_session(rules, policy, tokens, session, holding, now=as_of, retention=retention)
