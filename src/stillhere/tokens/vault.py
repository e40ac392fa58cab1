"""The vault seals secrets that have to be kept, such as a provider's tokens, so that a stolen database opens nothing.

AES-256-GCM (NIST SP 800-38D) with the name of the key in front. What is sealed is bound to its place: session and field go into the
associated data, so that a row put in another's place is refused, not opened (OWASP ASVS 5.0 item 11.3.3).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stillhere.errors import SettingsError, Unsealable
from stillhere.tokens import base64url

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION: Final = "v1"
"""Of the form. Another cipher would be another version."""

NONCE_BYTES: Final = 12
"""Drawn anew for each sealing. At random that holds for 2^32 sealings with one key (NIST SP 800-38D section 8.3)."""

_TAG_BYTES: Final = 16
_KEY_ID: Final = r"[A-Za-z0-9_-]{1,64}"
_KEY: Final = re.compile(rf"({_KEY_ID}):([A-Za-z0-9+/]{{43}}|[A-Za-z0-9_-]{{43}})=?\Z")
_URL_SAFE: Final = str.maketrans("+/", "-_")
_SEALED: Final = re.compile(rf"([a-z0-9]{{1,8}})\.({_KEY_ID})\.([A-Za-z0-9_-]+)\Z")


class VaultKey:
    """A key with its name.

    Attributes:
        key_id: its name, which every text sealed with it begins with.
    """

    __slots__ = ("cipher", "key_id")

    def __init__(self, key_id: str, cipher: AESGCM) -> None:
        """Keep a key that was read by `read_vault_key`."""
        self.key_id = key_id
        self.cipher = cipher

    def __repr__(self) -> str:
        """Show the name only."""
        return f"VaultKey({self.key_id!r})"


def read_vault_key(text: str) -> VaultKey:
    """Read `name:key`, the key being 32 random bytes in base64 of either alphabet.

    Raises:
        SettingsError: if it is not so written, or is shorter or longer.
    """
    found = _KEY.match(text.strip())
    secret = None if found is None else base64url.read(found[2].translate(_URL_SAFE))
    if found is None or secret is None:
        raise SettingsError(
            "a key of the vault is written name:key, the name being letters, digits, _ or -, the key 32 random bytes in base64, "
            "as `openssl rand -base64 32` makes them"
        )
    return VaultKey(found[1], AESGCM(secret))


class Vault:
    """Seals with the first key, opens with all."""

    __slots__ = ("_by_id", "_sealing")

    def __init__(self, keys: Sequence[VaultKey]) -> None:
        """Put keys on a ring, the newest first.

        Args:
            keys: at least one.

        Raises:
            SettingsError: if there is none, or two have the same name.
        """
        if not keys:
            raise SettingsError("a vault needs a key, written name:key; `openssl rand -base64 32` makes one")
        self._sealing: Final = keys[0]
        self._by_id: Final = {key.key_id: key for key in keys}
        if len(self._by_id) != len(keys):
            raise SettingsError(f"each key of a vault needs a name of its own, not {', '.join(key.key_id for key in keys)}")

    def __repr__(self) -> str:
        """Show names only."""
        return f"Vault({', '.join(self._by_id)})"

    def seal(self, plain: bytes, *, bound_to: tuple[str, ...], nonce: bytes) -> str:
        """Seal bytes.

        Args:
            plain: what to keep.
            bound_to: where it is kept, such as the session's handle and the field. It opens nowhere else.
            nonce: 12 random bytes, never used before.

        Raises:
            ValueError: if the nonce has another length, or it is bound to nothing.
        """
        if len(nonce) != NONCE_BYTES:
            raise ValueError(f"a nonce has {NONCE_BYTES} random bytes, not {len(nonce)}")
        key = self._sealing
        body = nonce + key.cipher.encrypt(nonce, plain, _associated(VERSION, key.key_id, bound_to))
        return f"{VERSION}.{key.key_id}.{base64url.write(body)}"

    def open(self, sealed: str, *, bound_to: tuple[str, ...]) -> bytes:
        """Open what was sealed.

        Args:
            sealed: the text.
            bound_to: where it was kept.

        Raises:
            Unsealable: if its key is not on the ring, or it was changed or kept elsewhere. Nobody is signed out for that.
            ValueError: if it is said to be bound to nothing.
        """
        found = _SEALED.match(sealed)
        if found is None or found[1] != VERSION:
            raise Unsealable("it was not sealed by this version of the vault")
        key = self._by_id.get(found[2])
        if key is None:
            raise Unsealable(f"its key {found[2]!r} is not among {', '.join(self._by_id)}; load it behind them", key_id=found[2])
        body = base64url.read(found[3])
        associated = _associated(VERSION, key.key_id, bound_to)
        plain = None if body is None or len(body) < NONCE_BYTES + _TAG_BYTES else _opened(key, body, associated)
        if plain is None:
            raise Unsealable(f"it was changed, or moved from another place, or key {key.key_id!r} is another one now", key_id=key.key_id)
        return plain

    def is_current(self, sealed: str) -> bool:
        """Tell whether it was sealed as it would be now. If not, seal it anew when it is written next, so that the old key can go."""
        return sealed.startswith(f"{VERSION}.{self._sealing.key_id}.")


def _opened(key: VaultKey, body: bytes, associated: bytes) -> bytes | None:
    try:
        return key.cipher.decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], associated)
    except InvalidTag:
        return None


def _associated(version: str, key_id: str, bound_to: tuple[str, ...]) -> bytes:
    """Write the place so that no other is written alike: each part has its length in front."""
    if not bound_to:
        raise ValueError("what is sealed is bound to its place; say which session and field it belongs to")
    parts = [part.encode("utf-8", "surrogatepass") for part in (version, key_id, *bound_to)]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
