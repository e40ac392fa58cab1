"""What can be seen of a store from outside, without opening it: nothing is made, migrated or written."""

from __future__ import annotations

import msgspec


class StoreFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen.

    Attributes:
        software: what answers, with its version.
        revision: of the tables or keys there, or None if there are none yet.
        newest: the revision that this release works with.
        clock_at: the clock of the machine it runs on, milliseconds since 1970, or None if that is this machine or it does not tell.
        problems: what a crash, a full memory or the next start could make of it, a sentence each.
    """

    software: str
    revision: str | None = None
    newest: str | None = None
    clock_at: int | None = None
    problems: tuple[str, ...] = ()
