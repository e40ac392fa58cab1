"""The vault: what is sealed opens in its place, with its key, unchanged, and nowhere else."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import assume, given
from hypothesis import strategies as st

from stillhere.errors import SettingsError, StoreError, Unsealable
from stillhere.tokens import base64url
from stillhere.tokens.vault import NONCE_BYTES, Vault, VaultKey, read_vault_key

if TYPE_CHECKING:
    from collections.abc import Callable

NONCE: Final = bytes(range(NONCE_BYTES))
PLACE: Final = ("handle", "provider", "refresh_token")
PLAIN: Final = b"a refresh token that opens a house"

PLACES = st.lists(st.text(max_size=9), min_size=1, max_size=4).map(tuple)


def secret_of(name: str) -> bytes:
    """Draw the key of a name: the same one each time."""
    return sha256(name.encode()).digest()


def key_of(name: str) -> VaultKey:
    """Load the key of a name."""
    return read_vault_key(f"{name}:{b64encode(secret_of(name)).decode()}")


def vault(*names: str) -> Vault:
    """Give a vault with the keys of these names."""
    return Vault([key_of(name) for name in names or ("new",)])


SEALED: Final = vault().seal(PLAIN, bound_to=PLACE, nonce=NONCE)


@given(plain=st.binary(max_size=300), bound_to=PLACES, nonce=st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES))
def test_what_is_sealed_opens_in_its_place(plain: bytes, bound_to: tuple[str, ...], nonce: bytes) -> None:
    """Whatever it is and wherever it is kept: it comes back, from plain text that any database keeps."""
    sealed = vault().seal(plain, bound_to=bound_to, nonce=nonce)
    assert sealed.isascii()
    assert sealed.startswith("v1.new.")
    assert vault().open(sealed, bound_to=bound_to) == plain
    assert vault("other", "new").open(sealed, bound_to=bound_to) == plain


def test_the_form_is_as_described() -> None:
    """Another program with the key can open it: AES-256-GCM over nonce and ciphertext, the place written with its lengths."""
    version, key_id, body = SEALED.split(".")
    raw = base64url.read(body) or b""
    associated = b"".join(len(part).to_bytes(4, "big") + part.encode() for part in (version, key_id, *PLACE))
    assert (version, key_id, raw[:12]) == ("v1", "new", NONCE)
    assert AESGCM(secret_of("new")).decrypt(raw[:12], raw[12:], associated) == PLAIN


@given(bound_to=PLACES, other=PLACES)
def test_what_is_sealed_opens_nowhere_else(bound_to: tuple[str, ...], other: tuple[str, ...]) -> None:
    """In another session's row or another field it is refused, however alike the two are written."""
    assume(other != bound_to)
    with pytest.raises(Unsealable):
        vault().open(vault().seal(PLAIN, bound_to=bound_to, nonce=NONCE), bound_to=other)


@pytest.mark.parametrize(
    "other",
    [
        ("handle", "provider"),
        ("handle", "providerrefresh_token"),
        ("handleprovider", "refresh_token"),
        ("handle", "provider", "refresh_token", ""),
        ("", "handle", "provider", "refresh_token"),
        ("handle", "refresh_token", "provider"),
        ("handle\0", "provider", "refresh_token"),
        ("Handle", "provider", "refresh_token"),
    ],
)
def test_places_are_written_apart(other: tuple[str, ...]) -> None:
    """Parts that run together, are left away, added or changed about are another place."""
    with pytest.raises(Unsealable, match="moved from another place"):
        vault().open(SEALED, bound_to=other)


def test_rows_that_were_swapped_are_refused() -> None:
    """Two sessions' secrets put in each other's place open in neither."""
    places = [("one", "provider"), ("two", "provider")]
    rows = [vault().seal(place[0].encode(), bound_to=place, nonce=NONCE) for place in places]
    for row, place in zip(reversed(rows), places, strict=True):
        with pytest.raises(Unsealable):
            vault().open(row, bound_to=place)


@given(data=st.data())
def test_what_was_changed_is_refused(data: st.DataObject) -> None:
    """Change any one character, leave one away or put one in: it does not open."""
    at = data.draw(st.integers(0, len(SEALED) - 1))
    other = data.draw((st.sampled_from("ABCxyz019-_.=") | st.characters()).filter(lambda character: character != SEALED[at]))
    for changed in (SEALED[:at] + other + SEALED[at + 1 :], SEALED[:at] + SEALED[at + 1 :], SEALED[:at] + other + SEALED[at:]):
        with pytest.raises(Unsealable):
            vault().open(changed, bound_to=PLACE)


@given(at=st.integers(0, 8 * (NONCE_BYTES + len(PLAIN) + 16) - 1))
def test_a_changed_bit_is_refused(at: int) -> None:
    """Each bit of nonce, ciphertext and tag counts."""
    raw = bytearray(base64url.read(SEALED.rpartition(".")[2]) or b"")
    raw[at // 8] ^= 1 << at % 8
    with pytest.raises(Unsealable):
        vault().open(f"v1.new.{base64url.write(bytes(raw))}", bound_to=PLACE)


@given(text=st.text() | st.from_regex(r"\Av1\.new\.[A-Za-z0-9_-]{0,99}\Z"))
def test_what_was_never_sealed_is_refused(text: str) -> None:
    """No text opens by chance, and none breaks anything."""
    with pytest.raises(Unsealable):
        vault().open(text, bound_to=PLACE)


@pytest.mark.parametrize(
    "body", ["", "A", "AA", base64url.write(bytes(12)), base64url.write(bytes(27)), base64url.write(bytes(28)), "A" * 41]
)
def test_what_is_too_short_was_never_sealed(body: str) -> None:
    """Less than a nonce and a tag, or an empty content that nobody sealed, is refused."""
    with pytest.raises(Unsealable):
        vault().open(f"v1.new.{body}", bound_to=PLACE)


def test_the_key_named_is_bound_too() -> None:
    """A text whose key was renamed does not open with the key of that name, even if it is the same key."""
    same = Vault([key_of("new"), read_vault_key(f"alias:{b64encode(secret_of('new')).decode()}")])
    with pytest.raises(Unsealable):
        same.open(SEALED.replace("v1.new.", "v1.alias."), bound_to=PLACE)
    with pytest.raises(Unsealable, match="not sealed by this version"):
        same.open(SEALED.replace("v1.", "v2."), bound_to=PLACE)


@given(names=st.lists(st.from_regex(r"\A[A-Za-z0-9_-]{1,64}\Z"), min_size=2, max_size=6, unique=True))
def test_old_rows_stay_readable(names: list[str]) -> None:
    """However often keys are replaced: what any key of the ring sealed opens, and only what the newest sealed is current."""
    plain = {name: vault(name).seal(name.encode(), bound_to=PLACE, nonce=NONCE) for name in names}
    ring = vault(*names)
    for name, sealed in plain.items():
        assert ring.open(sealed, bound_to=PLACE) == name.encode()
        assert ring.is_current(sealed) is (name == names[0])
        anew = ring.seal(ring.open(sealed, bound_to=PLACE), bound_to=PLACE, nonce=NONCE)
        assert ring.is_current(anew)
        assert vault(names[0]).open(anew, bound_to=PLACE) == name.encode()


def test_a_key_that_is_missing_is_named() -> None:
    """The operator is told which key to load; whoever asks waits, and nobody is signed out."""
    with pytest.raises(Unsealable, match="its key 'new' is not among later, latest; load it behind them") as caught:
        vault("later", "latest").open(SEALED, bound_to=PLACE)
    assert caught.value.key_id == "new"
    assert (caught.value.status_hint, caught.value.retry_after) == (503, 60)
    assert isinstance(caught.value, StoreError)


def test_a_key_that_was_replaced_under_its_name_is_told() -> None:
    """The right name with another key says so."""
    other = Vault([read_vault_key(f"new:{b64encode(bytes(32)).decode()}")])
    with pytest.raises(Unsealable, match="key 'new' is another one now") as caught:
        other.open(SEALED, bound_to=PLACE)
    assert caught.value.key_id == "new"


FAILURES: Final[dict[str, Callable[[], object]]] = {
    "another place": lambda: vault().open(SEALED, bound_to=("elsewhere",)),
    "no key": lambda: vault("later").open(SEALED, bound_to=PLACE),
    "changed": lambda: vault().open(f"{SEALED[:-4]}AAAA", bound_to=PLACE),
    "plain": lambda: vault().open(PLAIN.decode(), bound_to=PLACE),
    "a key in front": lambda: vault().open(f"v1.{b64encode(secret_of('new')).decode()}.AAAA", bound_to=PLACE),
}


@pytest.mark.parametrize("fail", FAILURES.values(), ids=FAILURES)
def test_nothing_is_seen_of_what_is_sealed(fail: Callable[[], object]) -> None:
    """Neither an error nor what led to it, nor what a log shows of a vault, holds anything of content or key."""
    with pytest.raises(Unsealable) as caught:
        fail()
    shown = ""
    error: BaseException | None = caught.value
    while error is not None:
        shown += f"{error!r} {error.args} {vars(error)}"
        error = error.__cause__ or error.__context__
    shown += f"{vault()!r} {key_of('new')!r} {vault()}"
    for secret in (PLAIN.decode(), SEALED.rpartition(".")[2], b64encode(secret_of("new")).decode(), secret_of("new").hex()):
        assert secret not in shown
    assert (repr(vault("b", "a")), repr(key_of("new"))) == ("Vault(b, a)", "VaultKey('new')")


@given(plain=st.binary(min_size=4, max_size=60))
def test_what_is_sealed_is_not_there_to_be_read(plain: bytes) -> None:
    """The content stands in the text neither as it is nor in base64."""
    raw = base64url.read(vault().seal(plain, bound_to=PLACE, nonce=NONCE).rpartition(".")[2]) or b""
    assert plain not in raw[NONCE_BYTES:]


@pytest.mark.parametrize("nonce", [b"", bytes(11), bytes(13), bytes(16)], ids=len)
def test_a_nonce_has_its_length(nonce: bytes) -> None:
    """Any other length is the caller's mistake, told at once."""
    with pytest.raises(ValueError, match="a nonce has 12 random bytes"):
        vault().seal(PLAIN, bound_to=PLACE, nonce=nonce)


def test_nothing_is_sealed_for_nowhere() -> None:
    """What is bound to no place could be put anywhere."""
    with pytest.raises(ValueError, match="bound to its place"):
        vault().seal(PLAIN, bound_to=(), nonce=NONCE)
    with pytest.raises(ValueError, match="bound to its place"):
        vault().open(SEALED, bound_to=())


SECRET: Final = b"\xfb\xff\xbf" * 10 + b"\xfb\xff"


@pytest.mark.parametrize(
    "text",
    [
        f"k:{b64encode(SECRET).decode()}",
        f"k:{b64encode(SECRET).decode().rstrip('=')}",
        f"k:{urlsafe_b64encode(SECRET).decode()}",
        f"  k:{urlsafe_b64encode(SECRET).decode().rstrip('=')}\n",
    ],
)
def test_a_key_is_read_in_either_alphabet(text: str) -> None:
    """As openssl writes it or for URLs, padded or not, with the line feed of its file: the same key."""
    sealed = Vault([read_vault_key(text)]).seal(PLAIN, bound_to=PLACE, nonce=NONCE)
    raw = base64url.read(sealed.rpartition(".")[2]) or b""
    associated = b"".join(len(part).to_bytes(4, "big") + part.encode() for part in ("v1", "k", *PLACE))
    assert AESGCM(SECRET).decrypt(raw[:12], raw[12:], associated) == PLAIN


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "k:",
        f"k:{b64encode(bytes(16)).decode()}",
        f"k:{b64encode(bytes(24)).decode()}",
        f"k:{b64encode(bytes(31)).decode()}",
        f"k:{b64encode(bytes(33)).decode()}",
        f"k:{b64encode(bytes(64)).decode()}",
        f"k:{'ab' * 32}",
        b64encode(bytes(32)).decode(),
        f":{b64encode(bytes(32)).decode()}",
        f"a.b:{b64encode(bytes(32)).decode()}",
        f"{'k' * 65}:{b64encode(bytes(32)).decode()}",
        f"k:{b64encode(bytes(32)).decode()}=",
        f"k:{'+' * 20}{'_' * 23}",
        f"k:{'A' * 42}B=",
        f"k: {b64encode(bytes(32)).decode()}",
    ],
)
def test_a_key_of_another_length_or_form_is_refused(text: str) -> None:
    """Only a name and 256 bits are a key; the error says how to make one, and shows nothing of it."""
    with pytest.raises(SettingsError, match="openssl rand -base64 32") as caught:
        read_vault_key(text)
    assert len(text) < 9 or text[2:] not in str(caught.value)


def test_a_vault_has_keys_with_names_of_their_own() -> None:
    """An empty vault and one with a name twice are refused at start."""
    with pytest.raises(SettingsError, match="a vault needs a key"):
        Vault([])
    with pytest.raises(SettingsError, match="a name of its own, not a, a"):
        vault("a", "a")


def test_what_is_current_is_told_by_its_name() -> None:
    """A name that another begins with is another name."""
    assert not vault("new").is_current(vault("newer").seal(PLAIN, bound_to=PLACE, nonce=NONCE))
    assert not vault("newer").is_current(SEALED)
    assert not vault().is_current("")
