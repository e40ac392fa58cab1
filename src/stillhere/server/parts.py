"""What the program is put together from: parts, each with its pages, what operators may ask of it, and its upkeep."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec
from starlette.routing import BaseRoute

from stillhere.server.admin.query import Query


class Upkeep(msgspec.Struct, frozen=True):
    """Work that is done now and then, as long as the program runs.

    Attributes:
        what: its name, for the log.
        work: does it once.
        interval_ms: time between two turns, milliseconds.
    """

    what: str
    work: Callable[[], Awaitable[object]]
    interval_ms: int


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the program.

    Attributes:
        routes: its pages.
        queries: what operators may ask of it.
        upkeep: its work in the background.
        close: lets go of what it holds; called when the program stops.
    """

    routes: Sequence[BaseRoute] = ()
    queries: Sequence[Query] = ()
    upkeep: Sequence[Upkeep] = ()
    close: Callable[[], Awaitable[object]] | None = None
