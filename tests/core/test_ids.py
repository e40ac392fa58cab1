"""Ids: how they are written, hashed and recognised."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.core.ids import HANDLE_BYTES, SECRET_BYTES, hash_secret, read_id, write_handle, write_id


@given(
    handle_bytes=st.binary(min_size=HANDLE_BYTES, max_size=HANDLE_BYTES),
    random_bytes=st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES),
)
def test_every_id_that_is_drawn_names_its_session(handle_bytes: bytes, random_bytes: bytes) -> None:
    """Whatever bits are drawn, the cookie's value is 64 characters from which handle and hash are read back."""
    handle = write_handle(handle_bytes)
    secret = write_id(handle, random_bytes)
    assert len(secret) == 64
    assert read_id(secret) == (handle, hash_secret(secret))


@given(text=st.text())
def test_the_hash_is_of_the_whole(text: str) -> None:
    """A secret moved under another handle has another hash: it proves nothing there."""
    secrets = [write_id(handle, text.encode().ljust(SECRET_BYTES)[:SECRET_BYTES]) for handle in ("one", "two")]
    assert len({hash_secret(secret) for secret in secrets}) == 2


@given(text=st.text())
def test_a_hash_never_looks_into_text(text: str) -> None:
    """Any text has a hash of 43 characters, its own, and never itself."""
    assert len(hash_secret(text)) == 43
    assert hash_secret(text) != text
    assert hash_secret(text) != hash_secret(f"{text}.")


def test_a_hash_is_the_sha_256_in_base64url() -> None:
    """Other programs can find a session in the store from its secret."""
    assert hash_secret("abc") == "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"


def test_half_a_character_has_a_hash_too() -> None:
    """A cookie that no encoding can write is looked up in vain, not an accident."""
    assert len(hash_secret("\ud800")) == 43


def test_ids_are_as_long_as_promised() -> None:
    """256 bits for a secret, 96 for a handle, which is 16 characters."""
    assert (SECRET_BYTES * 8, HANDLE_BYTES * 8, len(write_handle(bytes(HANDLE_BYTES)))) == (256, 96, 20)


A, H = "a" * 43, "handle"


@pytest.mark.parametrize(
    "text",
    [
        "",
        A,
        f".{A}",
        f"{H}{A}",
        f"{H}.{A[1:]}",
        f"{H}.{A}a",
        f"{H}.{A[1:]}=",
        f"{H}.{A[1:]}ü",
        f"{H}.{A}\n",
        f" {H}.{A}",
        f"{H}.{H}.{A}",
        f"h\x00.{A}",
        f"{'h' * 65}.{A}",
        f"{{1}}.{A}",
        "�" * 64,
    ],
    ids=ascii,
)
def test_what_cannot_be_an_id_is_told_at_sight(text: str) -> None:
    """Only a handle, a full stop and 43 characters of base64url can be one; for anything else the store need not be asked."""
    assert read_id(text) is None


@given(random_bytes=st.binary(min_size=HANDLE_BYTES, max_size=HANDLE_BYTES))
def test_a_handle_can_be_typed(random_bytes: bytes) -> None:
    """Small letters and digits only: no handle looks like an option of the command line or ends a path."""
    assert re.fullmatch(r"[a-z2-7]{20}", write_handle(random_bytes))
