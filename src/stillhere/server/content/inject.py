"""Puts the client into pages that lack it, so that time is counted in whatever HTML there is. Pure."""

from __future__ import annotations

import re
from html import escape
from typing import Final

MOST_HELD: Final = 5_000_000
"""Bytes that may wait behind a `</body>` for another one. If more come, that was none of the page's, but one in a text or a script."""

_END: Final = re.compile(rb"</body\s{0,16}>", re.IGNORECASE)
_LONGEST_END: Final = len("</body>") + 16
_PAGE: Final = re.compile(rb"\A(?:\xef\xbb\xbf)?\s{0,64}<(?:!doctype html|html)\b", re.IGNORECASE)
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


def tag_of(client_url: str, gate: str) -> bytes:
    """Write the tag that loads the client.

    Args:
        client_url: where the client is.
        gate: path of the gate, to which the page goes when its session is over.
    """
    return f'<script src="{escape(client_url)}" data-login="{escape(gate)}" data-heat defer></script>\n'.encode()


class Injector:
    """Looks at a page as it passes, piece by piece, and puts a tag before its last `</body>`.

    What comes after a `</body>` waits until the page ends: there may be another, for scripts write pages, too. A page without one, or
    with far too much behind it, gets the tag at its end, however long it is. What is no whole page, such as a fragment that a script
    asked for, stays as it is; so does a page that has the client already.

    Args:
        tag: the tag.
        client_url: what a page that has the client mentions.
    """

    def __init__(self, tag: bytes, client_url: str) -> None:
        """Nothing has passed yet."""
        self._tag = tag
        self._mention = client_url.encode()
        self._keeps = max(_LONGEST_END, len(self._mention), 100)
        self._held = bytearray()
        self._searched = 0
        self._has_end = False
        self._passed = 0
        self._is_page = False
        self._is_done = False

    def feed(self, piece: bytes) -> bytes:
        """Take a piece; give what may go on."""
        if self._is_done:
            return piece
        self._held += piece
        held = self._held
        if self._passed == 0:
            self._is_page = _PAGE.match(held) is not None
            if held.startswith(_UTF_16):
                return self._leave(bytes(held))
        # What was looked at is not looked at again, or a long page in small pieces would take the square of its length.
        begin = max(0, self._searched - self._keeps)
        new = bytes(held[begin:])
        if self._mention in new:
            return self._leave(bytes(held))
        at = _last_end(new)
        split, self._has_end = (0, self._has_end) if at is None else (begin + at, True)
        self._has_end = self._has_end and len(held) - split <= MOST_HELD
        if not self._has_end:
            split = max(0, len(held) - self._keeps)
        going = bytes(held[:split])
        del held[:split]
        self._searched = len(held)
        self._passed += split
        return going

    def finish(self) -> bytes:
        """Give the rest."""
        held = bytes(self._held)
        at = _last_end(held)
        if self._is_done:
            return b""
        if at is not None:
            return self._leave(held[:at] + self._tag + held[at:])
        return self._leave(held + self._tag if self._is_page else held)

    def _leave(self, rest: bytes) -> bytes:
        self._is_done, self._held = True, bytearray()
        return rest


def injected(page: bytes, tag: bytes, client_url: str) -> bytes:
    """Put the tag into a page that is there as a whole."""
    injector = Injector(tag, client_url)
    return injector.feed(page) + injector.finish()


def _last_end(text: bytes) -> int | None:
    return max((found.start() for found in _END.finditer(text)), default=None)
