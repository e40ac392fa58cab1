"""Cursors: where a list of visits goes on."""

from __future__ import annotations

import re
from typing import Final

from stillhere.errors import BadCursor

# Start, handle and number; as many digits as a database holds.
_CURSOR: Final = re.compile(r"(\d{1,18})\.([A-Za-z0-9_-]{1,64})\.(\d{1,9})\Z", re.ASCII)


def read_cursor(cursor: str) -> tuple[int, str, int]:
    """Read a cursor's start, handle and number.

    Raises:
        BadCursor: if it is none.
    """
    found = _CURSOR.match(cursor)
    if found is None:
        raise BadCursor(cursor)
    return int(found[1]), found[2], int(found[3])
