"""What sessions hold of a provider, where it is kept: sealed, bound to its session, and replaced by a conditional swap only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from stillhere.core.grants import Grant, Held
from stillhere.core.policy import seconds
from stillhere.core.refreshing import PROVIDER, Holding
from stillhere.core.rules import deadline, ending
from stillhere.tokens.provider.records import ProviderTokens
from stillhere.tokens.vault import NONCE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from stillhere.core.records import Session
    from stillhere.stores.protocol import Granting
    from stillhere.tokens.provider.records import Identity
    from stillhere.tokens.vault import Vault

LOOK_AFTER_MS: Final = seconds(3600)
"""Who holds something is looked after so often at least, in case the process died that had to take it back."""

LATE_MS: Final = seconds(10)
"""How long after a lease ran out unanswered it is looked after: its session may have ended, with nobody to take the tokens back."""

_write: Final = msgspec.json.Encoder().encode
_read: Final = msgspec.json.Decoder(Holding).decode
_read_tokens: Final = msgspec.json.Decoder(ProviderTokens).decode


class Safe:
    """Keeps what sessions hold of a provider.

    Args:
        vault: seals it.
        store: keeps what is sealed.
        refresh_at: tells from when on an access token is to be replaced.
        clock: tells the milliseconds since 1970.
        random_bytes: draws so many random bytes.
    """

    def __init__(
        self,
        vault: Vault,
        store: Granting,
        *,
        refresh_at: Callable[[ProviderTokens], int],
        clock: Callable[[], int],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """Hold nothing."""
        self._vault = vault
        self._store = store
        self._refresh_at = refresh_at
        self._clock = clock
        self._random_bytes = random_bytes

    async def look(self, handle: str) -> Held:
        """Look at a session and its grant."""
        return await self._store.held(handle, PROVIDER)

    async def holding_of(self, handle: str) -> tuple[Session | None, Holding | None]:
        """Look at a session and at what it holds, and do nothing about it."""
        held = await self.look(handle)
        return held.session, None if held.grant is None else self.read(held.grant)

    @staticmethod
    def read(grant: Grant) -> Holding:
        """Read a grant."""
        return _read(grant.document)

    def open(self, handle: str, holding: Holding) -> ProviderTokens:
        """Open what a session holds.

        Raises:
            Unsealable: if a key is missing, or it was changed.
        """
        return _read_tokens(self._vault.open(holding.sealed, bound_to=(handle, PROVIDER)))

    def sealed(self, handle: str, tokens: ProviderTokens, who: Identity | Holding, generation: int) -> Holding:
        """Seal tokens as what their session holds.

        Args:
            handle: the session's.
            tokens: what to seal.
            who: whom the provider takes the person for.
            generation: counts the sets of tokens.
        """
        return Holding(
            iss=who.iss,
            sub=who.sub,
            sid=who.sid,
            sealed=self._vault.seal(_write(tokens), bound_to=(handle, PROVIDER), nonce=self._random_bytes(NONCE_BYTES)),
            can_refresh=tokens.refresh_token is not None,
            access_expires_at=tokens.access_expires_at,
            refresh_at=self._refresh_at(tokens),
            generation=generation,
        )

    async def change(self, handle: str, change: Callable[[Holding], Holding | None]) -> tuple[bool, Held]:
        """Swap what a session holds for what a rule makes of it, until nobody is faster; tell whether the rule made anything of it."""
        while True:
            held = await self.look(handle)
            if held.session is None or held.grant is None or is_over(held, now=self._clock()):
                return False, held
            changed = change(self.read(held.grant))
            if changed is None:
                return False, held
            if await self.swap(held.session, held.grant, changed):
                return True, held

    async def swap(self, session: Session, grant: Grant | None, holding: Holding) -> bool:
        """Put a holding in the place of what was looked at; tell whether it is kept.

        Args:
            session: as it was looked at.
            grant: the same, or None if it held none.
            holding: what it is to hold.
        """
        document, now = _write(holding).decode(), self._clock()
        check_at = min(deadline(session), now + LOOK_AFTER_MS if holding.lease is None else holding.leased_until + LATE_MS)
        version = 1 if grant is None else grant.version + 1
        fresh = Grant(handle=session.handle, kind=PROVIDER, version=version, document=document, check_at=check_at)
        return (await self._store.swap(fresh, now=now)).done

    async def drop(self, grant: Grant) -> None:
        """Forget a grant, if it is still the one."""
        await self._store.drop(grant.handle, PROVIDER, version=grant.version)

    async def due(self, *, limit: int, now: int, until: int) -> list[Held]:
        """Find what is to be looked after; others leave it alone until then."""
        return await self._store.due_grants(PROVIDER, limit=limit, now=now, until=until)


def is_over(held: Held, *, now: int) -> bool:
    """Tell whether a session is not there, or has ended."""
    return held.session is None or ending(held.session, now=now) is not None
