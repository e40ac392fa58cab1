"""The sessions that stores are held to their promises with: made from names, under one short policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stillhere.core.grants import Grant
from stillhere.core.ids import hash_secret
from stillhere.core.policy import Policy, seconds
from stillhere.core.records import Claim, Outcome
from stillhere.core.rules import open_session
from stillhere.testing.clock import START

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stillhere.core.records import Session

POLICY: Final = Policy(
    idle_timeout=seconds(60),
    absolute_timeout=seconds(240),
    warning_timeout=seconds(20),
    beat_interval=seconds(20),
    activity_window=seconds(20),
)

IDLE: Final = POLICY.idle_timeout

ABSOLUTE: Final = POLICY.absolute_timeout

GAP: Final = 30_000
"""Absence after which a new visit begins, milliseconds."""

UNKNOWN: Final = Outcome(session=None)
"""What becomes of a claim for a session that is not there, or that is somebody else's."""


def id_of(name: str) -> str:
    """Hash a made-up secret id."""
    return hash_secret(name)


def claim_of(name: str, **says: Any) -> Claim:  # noqa: ANN401  # a claim's members are of many types
    """Make a claim for the session of `session_of(name)`."""
    return Claim(handle=f"handle-{name}", id_hash=id_of(name), **says)


def session_of(
    name: str, attributes: Mapping[str, object] | None = None, *, subject: str = "first@fund.example", now: int = START
) -> Session:
    """Begin a session with an id and a handle made from a name."""
    return open_session(id_of(name), f"handle-{name}", subject, attributes or {}, policy=POLICY, now=now)


def grant_of(name: str, version: int = 1, document: str = "{}", *, kind: str = "provider", check_at: int = START + 1_000) -> Grant:
    """Make a grant of the session of `session_of(name)`."""
    return Grant(handle=f"handle-{name}", kind=kind, version=version, document=document, check_at=check_at)
