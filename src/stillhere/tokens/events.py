"""What happens to tokens that somebody should hear of."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class TokenNews(StrEnum):
    """What happened."""

    REFRESHED = "refreshed"
    """A provider gave new tokens, and they are kept."""
    REFUSED = "refused"
    """The provider says that the grant is over, or speaks of somebody else: the session ended."""
    LOST = "token_lost"
    """As refused; but an earlier answer never reached us, so that it was most likely we who spent the token: a crash, not a theft."""
    ALARM = "operator_alarm"
    """The provider refuses us, not the person: a wrong client secret, say. Nobody is signed out, and nothing gets better by itself."""
    TROUBLE = "trouble"
    """The provider is away, busy or talks nonsense."""
    REVOKED = "revoked"
    """What an ended session held was taken back at the provider."""
    NOT_REVOKED = "not_revoked"
    """That did not work; it is tried again."""
    REUSED = "token_reuse"
    """A refresh token of ours was used twice: the session ended, and only this one."""


class TokenEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What happened, to whom, and why. It holds no token.

    Attributes:
        news: what happened.
        handle: the session's public name.
        why: one word of ours, or an error code of a standard; empty where there is nothing to add.
    """

    news: TokenNews
    handle: str
    why: str = ""
