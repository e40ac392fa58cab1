"""Where a person may be sent back to: a place of this application, and nowhere else (RFC 9700 section 4.11, OWASP ASVS 5.0 item 3.7.2)."""

from __future__ import annotations

import re
from typing import Final

LONGEST_PATH: Final = 2_000
"""Characters. It travels in a cookie and in a header."""

# A slash that no other follows, then what may stand in a URL (RFC 3986), which no browser reads as something else.
_LOCAL: Final = re.compile(r"/(?!/)(?:[A-Za-z0-9._~!$&'()*+,;=:@/?#\[\]-]|%[0-9A-Fa-f]{2})*\Z")

# What is nothing yet becomes something once somebody decodes it: control characters, backslashes, two slashes in a row.
_DECODED: Final = re.compile(r"%(?:[01][0-9a-f]|7f|5c)", re.IGNORECASE)


def local_path(text: str | None) -> str | None:
    """Give a path of our own origin back, or None if the text is anything else.

    Whatever a browser, a proxy or a framework could read as another host is refused, also where it would only do so after decoding it once.

    Args:
        text: what somebody asks to be sent back to; query and fragment may follow the path.
    """
    if text is None or len(text) > LONGEST_PATH or _LOCAL.match(text) is None:
        return None
    path = re.split("[?#]", text, maxsplit=1)[0]
    if _DECODED.search(text) or "//" in re.sub("%2f", "/", path, flags=re.IGNORECASE):
        return None
    return text
