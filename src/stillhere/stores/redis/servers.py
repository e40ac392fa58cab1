"""Talks to one Redis server: a few connections, each for one exchange at a time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import hiredis
from redis.exceptions import NoScriptError, ResponseError

from stillhere.errors import StoreError
from stillhere.stores.redis.connect import ANSWER_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis.asyncio.connection import Connection

    from stillhere.stores.redis.scripts import Script

MOST_CONNECTIONS: Final = 16
"""To one server. More wait for their turn; Redis runs one command at a time anyway."""

WAIT_MS: Final = 500
"""How long a server waits for its replicas to have a write."""


class NotReplicated(StoreError):
    """Something was done, but too few replicas have it.

    Attributes:
        answer: what it was answered.
    """

    def __init__(self, answer: Any, reached: int, wanted: int) -> None:  # noqa: ANN401  # answers are of many types
        """Keep the answer."""
        super().__init__(
            f"the session store wrote this, but {reached} of {wanted} replicas had it within {WAIT_MS} ms; "
            "repeating is safe. See that replicas run, or ask for fewer with wait_replicas",
        )
        self.answer = answer


class Command(NamedTuple):
    """Something to be done with keys of one slot.

    Attributes:
        part: in which part of the layout the keys are.
        words: the command; of a script, its keys and arguments, with their number in front.
        script: the script, or None for a plain command.
        again: the words to send if the first may have been heard.
    """

    part: int
    words: Sequence[bytes | str | int]
    script: Script | None = None
    again: Sequence[bytes | str | int] | None = None

    def packed(self, *, again: bool, whole: bool = False) -> bytes:
        """Write it for the wire, the script by its digest or as a whole."""
        words = self.again if again and self.again is not None else self.words
        if self.script is None:
            return pack(*words)
        name = (b"EVAL", self.script.source) if whole else (b"EVALSHA", self.script.digest)
        return pack(*name, *words)


def pack(*words: bytes | str | int) -> bytes:
    """Write one command for the wire."""
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # its stub means one word, it takes any number
    return packed


def script(part: int, script: Script, keys: Sequence[bytes], *arguments: bytes | str | int) -> Command:
    """Call a script."""
    return Command(part, (len(keys), *keys, *arguments), script)


class Server:
    """One server.

    Args:
        make: makes a connection to it that is not open yet.
        wait_replicas: how many replicas must have a write before it counts.
        timeout_s: how long an exchange may take, seconds.
        is_closed: no connection is kept after its exchange.
    """

    def __init__(
        self, make: Callable[[], Connection], *, wait_replicas: int = 0, timeout_s: float = ANSWER_TIMEOUT_S, is_closed: bool = False
    ) -> None:
        """Connect to nothing yet."""
        self._timeout_s = timeout_s
        self.make = make
        self._wait_replicas = wait_replicas
        self._idle: list[Connection] = []
        self._room = asyncio.Semaphore(MOST_CONNECTIONS)
        self._is_closed = is_closed

    async def send(self, commands: Sequence[Command], *, writes: bool, again: bool = False, asking: bool = False) -> list[Any]:
        """Send commands together; answer what each was answered, the server's errors among them.

        Args:
            commands: what to do, in order.
            writes: they may change something, so that replicas are waited for, where that is wanted.
            again: they may have been heard before.
            asking: their slot is just moving to this server.

        Returns:
            One for each; what was done, but fewer replicas have it than wanted, is in a `NotReplicated`.

        Raises:
            redis.exceptions.RedisError: if the server did not answer.
        """
        packed = [command.packed(again=again) for command in commands]
        answers = await self._exchange(packed, writes=writes, asking=asking)
        unknown = [n for n, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            packed = [commands[n].packed(again=again, whole=True) for n in unknown]
            for n, answer in zip(unknown, await self._exchange(packed, writes=writes, asking=asking), strict=True):
                answers[n] = answer
        return answers

    async def _exchange(self, packed: Sequence[bytes], *, writes: bool, asking: bool) -> list[Any]:
        if asking:
            packed = [part for command in packed for part in (pack(b"ASKING"), command)]
        waits = writes and self._wait_replicas > 0
        if waits:
            packed = [*packed, pack(b"WAIT", self._wait_replicas, WAIT_MS)]
        answers = await self._answers(b"".join(packed), len(packed))
        reached = answers.pop() if waits else self._wait_replicas
        if isinstance(reached, ResponseError):
            raise reached
        if asking:
            answers = answers[1::2]
        if reached >= self._wait_replicas:
            return answers
        # What was answered with an error was not done: that error is told, not the want of replicas.
        wanted = self._wait_replicas
        return [answer if isinstance(answer, ResponseError) else NotReplicated(answer, reached, wanted) for answer in answers]

    async def _answers(self, packed: bytes, count: int) -> list[Any]:
        async with asyncio.timeout(self._timeout_s), self._room:
            connection = self._idle.pop() if self._idle else self.make()
            try:
                if not connection.is_connected:
                    await connect(connection)
                await connection.send_packed_command(packed, check_health=False)
                answers = [await _answer(connection) for _ in range(count)]
            except BaseException:
                # Half an exchange: whoever used it next would get the answers to this one.
                await connection.disconnect(nowait=True)
                await self.disconnect_idle()
                raise
            if self._is_closed:
                await connection.disconnect(nowait=True)
            else:
                self._idle.append(connection)
            return answers

    async def disconnect_idle(self) -> None:
        """Let go of connections that are not in use: they are as old as the one that broke."""
        while self._idle:
            await self._idle.pop().disconnect(nowait=True)

    async def abandon(self) -> None:
        """Let go of all connections after their event loop was closed: nothing can be sent on them, nor waited for."""
        while self._idle:
            with suppress(RuntimeError):  # the loop would be asked to close them
                await self._idle.pop().disconnect(nowait=True)

    async def close(self) -> None:
        """Let go of all connections; those in use follow when they are done."""
        self._is_closed = True
        await self.disconnect_idle()


async def connect(connection: Connection) -> None:
    """Open a connection: reach the server, come as whoever the URL names, choose the database."""
    await connection.connect()  # type: ignore[no-untyped-call]  # redis-py gives it no types


async def _answer(connection: Connection) -> Any:  # noqa: ANN401  # an answer is of many types
    try:
        return await connection.read_response(disable_decoding=True)
    except ResponseError as error:
        return error
