"""The few connections of one process: opened when they are needed, replaced when they are lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from psycopg import AsyncConnection
from psycopg import Error as PsycopgError

from stillhere.errors import StoreError
from stillhere.stores.postgresql.connect import reason_of
from stillhere.stores.postgresql.wire import Undone, Wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stillhere.stores.postgresql.wire import Call

LIMIT: Final = 4
"""Connections of one process. Beats take one; the others are for what comes between them."""

TRIES: Final = 4

_UNDONE: Final = frozenset({"40001", "40P01"})
"""Serialization failure, deadlock: the transaction was undone, and may succeed when it is sent again."""

_STALE: Final = frozenset({"0A000", "25006", "26000"})
"""A plan that no longer fits its table, a server that only reads, a statement that a pooler forgot: connect anew."""


class Wires:
    """Sends statements over whichever connection has the least to do.

    Args:
        parameters: of libpq, from `read_url`.
    """

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        """Connect to nothing yet."""
        self._parameters = parameters
        self._statements = _statements()
        self._wires: list[Wire] = []
        self._opening: asyncio.Task[Wire] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False

    async def __call__(self, *calls: Call) -> list[bytes | None]:
        """Run statements as one transaction, in one round trip.

        Returns:
            For each statement the first value of its first row, or None if it has no row.

        Raises:
            StoreRefused: if PostgreSQL undid the transaction for what the parameters say.
            StoreError: if it cannot be reached, or undid the transaction for another reason.
        """
        tries = 0
        while True:
            wire = await self._wire()
            try:
                return await wire.send(calls)
            except Undone as undone:
                tries += 1
                if undone.sqlstate not in _UNDONE | _STALE or tries == TRIES:
                    raise
                if undone.sqlstate in _STALE:
                    wire.lose(str(undone))

    async def _wire(self) -> Wire:
        """Choose an idle connection, or the least busy one while another is being opened, or wait for the first."""
        self._refuse_if_closed()
        if self._loop is not asyncio.get_running_loop():
            self._forget_other_loop()
        best = min(self._wires, key=lambda wire: wire.load, default=None)
        if best is not None and (best.load == 0 or len(self._wires) == LIMIT):
            return best
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(self._opened)
        return best if best is not None else await asyncio.shield(self._opening)

    def _forget_other_loop(self) -> None:
        for wire in self._wires.copy():
            wire.lose("its event loop has ended")
        self._loop, self._opening = asyncio.get_running_loop(), None

    async def _open(self) -> Wire:
        try:
            connection = await AsyncConnection.connect(**self._parameters, autocommit=True)
        except (PsycopgError, OSError) as error:
            raise StoreError(f"the session store cannot be reached: {reason_of(error)}") from error
        wire = Wire(connection, self._wires.remove)
        self._wires.append(wire)
        try:
            self._refuse_if_closed()
            await wire.prepare(self._statements)
            await wire.send([("settings", ())])
        except BaseException:
            wire.lose("it could not be made ready")
            raise
        return wire

    def _opened(self, opening: asyncio.Task[Wire]) -> None:
        self._opening = None
        with suppress(asyncio.CancelledError):
            opening.exception()  # somebody waits for it, or another connection is there

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise StoreError("the session store is closed")

    async def close(self) -> None:
        """Let go of all connections; what is under way fails."""
        self._is_closed = True
        if self._opening is not None and self._loop is asyncio.get_running_loop():
            await asyncio.wait([self._opening])
        for wire in self._wires.copy():
            wire.lose("the session store is closed")


def _statements() -> dict[str, bytes]:
    folder = files("stillhere.stores.postgresql")
    return {file.name.removesuffix(".sql"): file.read_bytes() for file in folder.iterdir() if file.name.endswith(".sql")}
