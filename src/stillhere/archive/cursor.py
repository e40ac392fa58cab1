"""Cursors: where a list goes on. Each says of which list it is, so that none is taken for one of another."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from typing import Final, Literal

from stillhere.errors import BadCursor

VisitorSort = Literal["last", "visible", "visits"]
"""Visitors: the most recent first, or who has the most visible time, or the most visits."""

# Start, handle and number; as many digits as a database holds.
_CURSOR: Final = re.compile(r"(\d{1,18})\.([A-Za-z0-9_-]{1,64})\.(\d{1,9})\Z", re.ASCII)
_NAMED: Final = re.compile(r"([a-z]{1,20})\.(\d{1,18})\.([A-Za-z0-9_-]{0,8000})\Z", re.ASCII)


def read_cursor(cursor: str) -> tuple[int, str, int]:
    """Read a cursor of visits: start, handle and number.

    Raises:
        BadCursor: if it is none.
    """
    found = _CURSOR.match(cursor)
    if found is None:
        raise BadCursor(cursor)
    return int(found[1]), found[2], int(found[3])


def named_cursor(number: int, name: str, order: str) -> str:
    """Write where a list goes on that is sorted by a falling number, then by name; `order` says which list it is."""
    return f"{order}.{number}.{urlsafe_b64encode(name.encode()).decode().rstrip('=')}"


def read_named_cursor(cursor: str, order: str) -> tuple[int, str]:
    """Read what `named_cursor` wrote.

    Raises:
        BadCursor: if it is none, or of another list.
    """
    found = _NAMED.match(cursor)
    try:
        name = None if found is None else urlsafe_b64decode(found[3] + "==").decode()
    except (Error, ValueError):
        name = None
    if found is None or name is None or found[1] != order:
        raise BadCursor(cursor)
    return int(found[2]), name
