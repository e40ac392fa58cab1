"""Cursors: where a list goes on."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from typing import Final

from stillhere.errors import BadCursor

# Start, handle and number; as many digits as a database holds.
_CURSOR: Final = re.compile(r"(\d{1,18})\.([A-Za-z0-9_-]{1,64})\.(\d{1,9})\Z", re.ASCII)
_NAMED: Final = re.compile(r"(\d{1,18})\.([A-Za-z0-9_-]{0,8000})\Z", re.ASCII)


def read_cursor(cursor: str) -> tuple[int, str, int]:
    """Read a cursor of visits: start, handle and number.

    Raises:
        BadCursor: if it is none.
    """
    found = _CURSOR.match(cursor)
    if found is None:
        raise BadCursor(cursor)
    return int(found[1]), found[2], int(found[3])


def named_cursor(number: int, name: str) -> str:
    """Write where a list goes on that is sorted by a falling number, then by name."""
    return f"{number}.{urlsafe_b64encode(name.encode()).decode().rstrip('=')}"


def read_named_cursor(cursor: str) -> tuple[int, str]:
    """Read what `named_cursor` wrote.

    Raises:
        BadCursor: if it is none.
    """
    found = _NAMED.match(cursor)
    try:
        name = None if found is None else urlsafe_b64decode(found[2] + "==").decode()
    except (Error, ValueError):
        name = None
    if found is None or name is None:
        raise BadCursor(cursor)
    return int(found[1]), name
