"""Signed texts in compact form (RFC 7515 section 7.1), read strictly and without belief.

Keys and signatures are joserfc's. The form is read here, for a general reader knows many forms and this one has to know one: three parts,
one text for each run of bytes, no member named twice, nothing long enough to be a burden. Whose key it is, and what the claims mean, is for
the caller to judge.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from stillhere.tokens import base64url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stillhere.tokens.keys import SigningKey

LONGEST_TEXT: Final = 8_192
"""Characters of a token; servers commonly take no longer header."""

_SHAPE: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)\Z")


class Compact(msgspec.Struct, frozen=True, kw_only=True):
    """A text in compact form, taken apart. Nothing in it is to be believed before its signature was verified.

    Attributes:
        header: the protected header.
        payload: what was signed.
        signing_input: the bytes that the signature is over.
        signature: the signature; empty if there is none.
    """

    header: dict[str, Any]
    payload: bytes
    signing_input: bytes
    signature: bytes


def looks_like(text: str) -> bool:
    """Tell cheaply whether text has the form of a signed token. A secret id has one full stop and so never does."""
    return len(text) <= LONGEST_TEXT and _SHAPE.match(text) is not None


def read_compact(text: str) -> Compact | None:
    """Take a text in compact form apart, or give None if it is none."""
    found = _SHAPE.match(text) if len(text) <= LONGEST_TEXT else None
    if found is None:
        return None
    header_bytes, payload, signature = (base64url.read(part) for part in found.groups())
    header = None if header_bytes is None else read_object(header_bytes)
    if header is None or payload is None or signature is None:
        return None
    signing_input = text[: found.end(2)].encode("ascii")
    return Compact(header=header, payload=payload, signing_input=signing_input, signature=signature)


def write_compact(payload: bytes, key: SigningKey, *, header: Mapping[str, str]) -> str:
    """Sign bytes.

    Args:
        payload: what to sign.
        key: signs; its algorithm and `kid` go into the header.
        header: more members.

    Raises:
        ValueError: if the key has no private half.
    """
    members = {"alg": key.algorithm.value, "kid": key.kid, **header}
    signing_input = f"{base64url.write(msgspec.json.encode(members))}.{base64url.write(payload)}"
    return f"{signing_input}.{base64url.write(key.sign(signing_input.encode('ascii')))}"


def read_object(raw: bytes) -> dict[str, Any] | None:
    """Read one JSON object in UTF-8, or None if it is none, or names a member twice (RFC 7515 section 4, RFC 7519 section 4)."""
    try:
        found = _decoder.decode(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is named twice")
    return members


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


_decoder: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_number)
