"""Connections on which statements are pipelined: many verbs under way at once, each answered in one round trip.

Goes to libpq itself, which psycopg offers as `psycopg.pq`: a statement costs a quarter of what psycopg's cursors take. All statements
are prepared when a connection is made. Those sent together are one transaction, which ends with them: PostgreSQL treats what
comes before a Sync message so, and a lost client leaves nothing half done.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
from psycopg import AsyncConnection, OperationalError, pq
from psycopg import Error as PsycopgError

from stillhere.errors import StoreError, StoreRefused
from stillhere.stores.postgresql.connect import is_at_fault, refusal_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Call: TypeAlias = "tuple[str, Sequence[bytes | None]]"
"""Name of a statement, and its parameters as text."""

ANSWER_TIMEOUT_S: Final = 5.0
"""How long to wait for a server that does not answer; longer than its own timeout of a statement."""


class Undone(StoreError):
    """PostgreSQL undid a transaction, and not for what it was given.

    Attributes:
        sqlstate: its code for the reason.
    """

    def __init__(self, message: str, sqlstate: str) -> None:
        """Keep the code."""
        super().__init__(f"the session store did not answer: {message}")
        self.sqlstate = sqlstate


class _Request(msgspec.Struct):
    """Statements on their way, and what has come back."""

    answered: asyncio.Future[list[bytes | None]]
    sent_at: float
    values: list[bytes | None]
    refusal: StoreError | StoreRefused | None = None


class Wire:
    """One connection in pipeline mode.

    Args:
        connection: an open one, in autocommit; nobody else may use it.
        on_lost: called once when it is of no use any more.
    """

    def __init__(self, connection: AsyncConnection, on_lost: Callable[[Wire], None]) -> None:
        """Take the connection over, in the running loop."""
        self._connection = connection
        self._libpq = connection.pgconn
        self._libpq.nonblocking = 1
        self._libpq.enter_pipeline_mode()
        self._socket = self._libpq.socket
        self._loop = asyncio.get_running_loop()
        self._on_lost = on_lost
        self._under_way: deque[_Request] = deque()
        self._watchdog: asyncio.TimerHandle | None = None
        self._is_open = True
        self._loop.add_reader(self._socket, self._read)

    @property
    def load(self) -> int:
        """How many requests are under way."""
        return len(self._under_way)

    def prepare(self, statements: Mapping[str, bytes]) -> asyncio.Future[list[bytes | None]]:
        """Send statements to be prepared under their names."""
        for name, sql in statements.items():
            self._libpq.send_prepare(name.encode(), sql)
        return self._sent()

    def send(self, calls: Sequence[Call]) -> asyncio.Future[list[bytes | None]]:
        """Send statements as one transaction.

        Returns:
            For each statement the first value of its first row, or None if it has no row.

        Raises:
            StoreRefused: if a parameter holds U+0000; libpq would end the text there.
            StoreError: if the connection is lost.
        """
        if any(parameter is not None and b"\0" in parameter for _, parameters in calls for parameter in parameters):
            raise StoreRefused("the session store cannot keep U+0000; leave it out")
        try:
            for name, parameters in calls:
                self._libpq.send_query_prepared(name.encode(), parameters)
            return self._sent()
        except PsycopgError as error:
            self.lose(f"{error}")
            raise _unanswered(f"{error}") from error

    def _sent(self) -> asyncio.Future[list[bytes | None]]:
        self._libpq.pipeline_sync()
        request = _Request(self._loop.create_future(), self._loop.time(), [])
        self._under_way.append(request)
        if self._watchdog is None:
            self._watchdog = self._loop.call_later(ANSWER_TIMEOUT_S, self._check_silence)
        self._write()
        return request.answered

    def _write(self) -> None:
        if self._libpq.flush():
            self._loop.add_writer(self._socket, self._write_more)

    def _write_more(self) -> None:
        if not self._libpq.flush():
            self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        try:
            self._libpq.consume_input()
            while self._under_way and not self._libpq.is_busy():
                self._take(self._libpq.get_result())
        except OperationalError as error:
            self.lose(f"{error}")

    def _take(self, result: pq.abc.PGresult | None) -> None:
        if result is None:  # between two statements, or no more at all
            if self._libpq.status == pq.ConnStatus.BAD:
                self.lose("the connection was lost")
            return
        request = self._under_way[0]
        match result.status:
            case pq.ExecStatus.PIPELINE_SYNC:
                self._under_way.popleft()
                _answer(request)
            case pq.ExecStatus.TUPLES_OK:
                request.values.append(result.get_value(0, 0) if result.ntuples else None)
            case pq.ExecStatus.FATAL_ERROR:
                sqlstate = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
                # The primary sentence alone: details may quote values.
                message = (result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"connection lost").decode("utf-8", "replace")
                request.refusal = StoreRefused(refusal_of(message)) if is_at_fault(sqlstate) else Undone(message, sqlstate)

    def _check_silence(self) -> None:
        self._watchdog = None
        if not self._under_way:
            return
        waits_until = self._under_way[0].sent_at + ANSWER_TIMEOUT_S
        if waits_until <= self._loop.time():
            self.lose(f"no answer within {ANSWER_TIMEOUT_S:.0f} seconds")
        else:
            self._watchdog = self._loop.call_at(waits_until, self._check_silence)

    def lose(self, reason: str) -> None:
        """Let go of the connection; whoever waits is told why."""
        if not self._is_open:
            return
        self._is_open = False
        if not self._loop.is_closed():
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
        if self._watchdog is not None:
            self._watchdog.cancel()
        self._libpq.finish()
        self._on_lost(self)
        while self._under_way:
            request = self._under_way.popleft()
            request.refusal = request.refusal or _unanswered(reason)
            _answer(request)


def _answer(request: _Request) -> None:
    if request.answered.done():  # its caller went away; what it asked is done all the same
        return
    if request.refusal is not None:
        request.answered.set_exception(request.refusal)
    else:
        request.answered.set_result(request.values)


def _unanswered(reason: str) -> StoreError:
    return StoreError(f"the session store did not answer: {' '.join(reason.split())}")
