"""Tokens for tests: keys that open nothing."""

from __future__ import annotations

from typing import Final

from stillhere.core.policy import minutes
from stillhere.tokens.access import AccessTokens
from stillhere.tokens.keys import Algorithm, SigningKeys, draw_key
from stillhere.tokens.settings import Tokens

ISSUER: Final = "https://app.example"
LIFETIME: Final = minutes(5)


def access_tokens() -> AccessTokens:
    """Make access tokens with a key that is always the same."""
    key = draw_key(Algorithm.EDDSA, random_bytes=lambda size: b"\x07" * size, kid="one")
    return AccessTokens(SigningKeys([key]), issuer=ISSUER, audience=ISSUER, lifetime=LIFETIME)


def own_tokens() -> Tokens:
    """Make access tokens and refresh tokens of ours."""
    return Tokens(access=access_tokens(), refresh=True)
