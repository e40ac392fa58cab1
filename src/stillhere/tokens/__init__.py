"""Tokens: our own and a provider's, fresh while people work and dead when they stop. Needs the extra `stillhere[tokens]`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from stillhere.tokens.access import AccessTokens
    from stillhere.tokens.events import TokenEvent, TokenNews
    from stillhere.tokens.keys import SigningKeys
    from stillhere.tokens.provider.config import Provider
    from stillhere.tokens.settings import Tokens
    from stillhere.tokens.signing_in import SignIn
    from stillhere.tokens.vault import Vault

__all__ = ["AccessTokens", "Provider", "SignIn", "SigningKeys", "TokenEvent", "TokenNews", "Tokens", "Vault"]

_HOMES: Final = {
    "AccessTokens": "access",
    "Provider": "provider.config",
    "SignIn": "signing_in",
    "SigningKeys": "keys",
    "TokenEvent": "events",
    "TokenNews": "events",
    "Tokens": "settings",
    "Vault": "vault",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # a module's names are of many types
    """Load a name when it is asked for: whoever needs one need not have the libraries of the others."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
