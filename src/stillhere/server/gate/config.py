"""What a gate is: a record that the program makes of its settings, and an application of its own."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from stillhere.core.gate import Lists
from stillhere.core.lists import AddressList
from stillhere.errors import SettingsError
from stillhere.server.gate.colours import accents

if TYPE_CHECKING:
    from stillhere.server.options.gate import GateOptions

LARGEST_LOGO: Final = 512 * 1024
LARGEST_TERMS: Final = 256 * 1024

_IMAGES: Final = {
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
}


class Logo(msgspec.Struct, frozen=True):
    """A picture shown at the gate instead of our mark."""

    content: bytes
    media_type: str


class Terms(msgspec.Struct, frozen=True):
    """What somebody has to accept to enter.

    Attributes:
        version: tells which text it was: the beginning of its hash, or its address.
        text: to be shown by the gate, or None.
        url: where it is to be read, or None.
    """

    version: str
    text: str | None = None
    url: str | None = None


class GateConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A gate.

    Attributes:
        path: where its routes begin.
        ask_path: where it asks. The program asks at `/`, a gate before an application at `path`.
        after: path to go to from the gate, if the visitor came for none.
        assets: where the site's styles and scripts are served (`server/static`).
        site_name: what the mail calls the site. Pages show the `site_name` that they were made with.
        lists: who may enter.
        asks_for_code: whether a code is mailed, which has to be typed.
        access_code_hash: SHA-256 of what everybody has to know, or None.
        terms: what has to be accepted, or None.
        welcome: what to say to who comes, or None.
        logo: a picture, or None.
        style: a style sheet of its own, or None.
    """

    path: str = "/gate"
    ask_path: str = "/gate"
    after: str = "/"
    assets: str = "/static"
    site_name: str = "stillhere"
    lists: Lists = Lists()
    asks_for_code: bool = False
    access_code_hash: bytes | None = None
    terms: Terms | None = None
    welcome: str | None = None
    logo: Logo | None = None
    style: str | None = None

    @property
    def untouched(self) -> str:
        """Everything below this path is the same for everybody and needs no session."""
        return f"{self.path}/brand/"

    @property
    def style_path(self) -> str:
        """Where the style sheet of its own is, if it has one."""
        return f"{self.untouched}style.css"

    @property
    def logo_path(self) -> str:
        """Where the picture is, if it has one."""
        return f"{self.untouched}logo"


def gate_config(options: GateOptions, *, path: str = "/gate", ask_path: str = "/", assets: str = "/static") -> GateConfig:
    """Make a gate of settings.

    Args:
        options: the settings.
        path: see `GateConfig`.
        ask_path: see `GateConfig`.
        assets: see `GateConfig`.

    Raises:
        SettingsError: if a file cannot be used.
    """
    access_code = options.gate_access_code
    return GateConfig(
        path=path,
        ask_path=ask_path,
        after=options.after_gate,
        assets=assets,
        site_name=options.site_name,
        lists=Lists(AddressList(options.gate_block), AddressList(options.gate_allow), AddressList(options.gate_deny)),
        asks_for_code=options.gate_code == "email",
        access_code_hash=None if access_code is None else hash_access_code(access_code.get_secret_value()),
        terms=None if options.gate_terms is None else _terms(options.gate_terms),
        welcome=options.gate_welcome,
        logo=None if options.gate_logo is None else _logo(options.gate_logo),
        style=None if options.gate_colour is None else accents(options.gate_colour),
    )


def hash_access_code(code: str) -> bytes:
    """Hash an access code, so that it is compared in constant time, of whatever length a guess is."""
    return sha256(code.strip().encode("utf-8", "replace")).digest()


def _terms(told: str) -> Terms:
    if told.startswith(("https://", "http://")):
        return Terms(version=told, url=told)
    content = _read(told, "gate_terms", LARGEST_TERMS)
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeError as error:
        raise SettingsError(f"gate_terms: {told} is no text in UTF-8; save it as such") from error
    if not text:
        raise SettingsError(f"gate_terms: {told} is empty")
    return Terms(version=f"sha256:{sha256(text.encode()).hexdigest()}", text=text)


def _logo(told: str) -> Logo:
    media_type = _IMAGES.get(Path(told).suffix.lower())
    if media_type is None:
        raise SettingsError(f"gate_logo: {told} is no picture; give one that ends with {', '.join(_IMAGES)}")
    return Logo(_read(told, "gate_logo", LARGEST_LOGO), media_type)


def _read(told: str, setting: str, largest: int) -> bytes:
    try:
        with Path(told).open("rb") as file:
            content = file.read(largest + 1)
    except OSError as error:
        raise SettingsError(f"{setting}: the file {told} cannot be read: {error.strerror}") from error
    if len(content) > largest:
        raise SettingsError(f"{setting}: {told} is larger than {largest // 1024} KiB; give a smaller one")
    return content
