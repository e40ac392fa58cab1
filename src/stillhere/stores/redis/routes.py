"""Finds the server that has a part of the keys, follows it when it moves, and sends each command there."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    ClusterDownError,
    MovedError,
    NoPermissionError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from stillhere.errors import StoreError
from stillhere.stores.redis.connect import CALL_TIMEOUT_S
from stillhere.stores.redis.layout import TAGS
from stillhere.stores.redis.servers import Command, Server

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence

    from stillhere.stores.redis.connect import Target

Answer = TypeVar("Answer")

_MOVING: Final = (AskError, MovedError, TryAgainError, ClusterDownError, ReadOnlyError, RedisConnectionError)
LOOK_TIMEOUT_S: Final = 1
"""How long a node or a sentinel may take to tell who has what. One that hangs must not hold up the question to the next."""

_FINAL: Final = (AuthenticationError, AuthorizationError)

_LOST: Final = (TimeoutError, RedisTimeoutError, RedisConnectionError)
_TROUBLE: Final = (RedisError, OSError, TimeoutError)


class Routes(ABC):
    """The servers of one store. Belongs to one event loop.

    Args:
        target: where they are.

    Attributes:
        closed: set when these are.
        pauses_s: how long to wait before each new try to reach a part that moved.
    """

    pauses_s: ClassVar[Sequence[float]] = (0,)

    def __init__(self, target: Target) -> None:
        """Connect to nothing yet."""
        self._target = target
        self._servers: dict[tuple[str, int], Server] = {}
        self.closed = asyncio.Event()

    @abstractmethod
    async def server_of(self, part: int) -> Server:
        """Find the server that has a part."""

    @abstractmethod
    async def look_again(self) -> None:
        """Forget where parts are, because one was not there."""

    def server(self, host: str, port: int) -> Server:
        """Name a server by its address."""
        found = self._servers.get((host, port))
        if found is None:
            target = self._target
            # A call that was under way when these were closed leaves nothing open.
            found = Server(partial(target.connection, host, port), wait_replicas=target.wait_replicas, is_closed=self.closed.is_set())
            self._servers[host, port] = found
        return found

    async def drop(self, host: str, port: int) -> None:
        """Let go of a server that is no longer where it was."""
        await self._servers.pop((host, port)).close()

    async def parts(self) -> list[int]:
        """Give one part for each server that has any."""
        async with asyncio.timeout(CALL_TIMEOUT_S):
            return list({await self.server_of(part): part for part in range(2 * TAGS)}.values())

    async def run(self, commands: Sequence[Command], *, writes: bool) -> list[Any]:
        """Send commands, together where they go to one server. Those of one part are done in order. It takes `CALL_TIMEOUT_S` at most.

        Returns:
            What each was answered. What was not, or with an error, has that error in its place: of the others it is known that they
            were done.
        """
        unanswered = TimeoutError()
        answers: list[Any] = [unanswered] * len(commands)
        with suppress(TimeoutError):
            async with asyncio.timeout(CALL_TIMEOUT_S):
                await self._try(commands, answers, writes=writes)
        if any(isinstance(answer, _LOST) for answer in answers):
            await self.look_again()  # for the next command; this one has waited long enough
        return answers

    async def _try(self, commands: Sequence[Command], answers: list[Any], *, writes: bool) -> None:
        open_ones: Sequence[int] = range(len(commands))
        for pause_s in (None, *self.pauses_s):
            if pause_s is not None:
                await asyncio.sleep(pause_s)
                await self._look_again(answers, open_ones)
            await self._send(commands, open_ones, answers, writes=writes, again=pause_s is not None)
            open_ones = [n for n in open_ones if isinstance(answers[n], _MOVING) and not isinstance(answers[n], _FINAL)]
            if not open_ones:
                break

    async def _look_again(self, answers: Sequence[Any], open_ones: Sequence[int]) -> None:
        if any(not isinstance(answers[n], (AskError, TryAgainError)) or isinstance(answers[n], MovedError) for n in open_ones):
            await self.look_again()

    async def _send(self, commands: Sequence[Command], open_ones: Sequence[int], answers: list[Any], *, writes: bool, again: bool) -> None:
        groups: dict[tuple[Server, bool], list[int]] = {}
        try:
            for n in open_ones:
                groups.setdefault(await self._place(commands[n], answers[n]), []).append(n)
        except RedisError as error:  # nobody knows who has what: to ask again for the next command would take as long again
            for n in open_ones:
                answers[n] = error
            return

        async def send(server: Server, numbers: list[int], *, asking: bool) -> None:
            found: Sequence[Any]
            try:
                found = await server.send([commands[n] for n in numbers], writes=writes, again=again, asking=asking)
            except _TROUBLE as error:
                found = [error] * len(numbers)
            for n, answer in zip(numbers, found, strict=True):
                answers[n] = answer

        if len(groups) == 1:
            (((server, asking), numbers),) = groups.items()
            await send(server, numbers, asking=asking)
        elif groups:
            await asyncio.gather(*(send(server, numbers, asking=asking) for (server, asking), numbers in groups.items()))

    async def _place(self, command: Command, before: object) -> tuple[Server, bool]:
        if isinstance(before, AskError) and not isinstance(before, MovedError):
            return self.server(before.host, before.port), True
        return await self.server_of(command.part), False

    async def abandon(self) -> None:
        """Let go of all connections after their event loop was closed."""
        for server in self._servers.values():
            await server.abandon()

    async def close(self) -> None:
        """Let go of all connections."""
        self.closed.set()
        for server in self._servers.values():
            await server.close()


async def agreed(asked: Iterable[Coroutine[Any, Any, Answer]], question: str, *, voices: int = 1) -> Answer:
    """Wait until so many give the same answer, and give up the others: whoever is silent holds up nobody.

    Args:
        asked: whom to hear.
        question: what they could not tell, if none answers.
        voices: so many have to agree. Where fewer do, the answer that most gave counts.

    Raises:
        redis.exceptions.RedisError: if none does.
    """
    tasks = [asyncio.ensure_future(one) for one in asked]
    troubles, answers = list[Exception](), list[Answer]()
    try:
        for done in asyncio.as_completed(tasks):
            try:
                answers.append(await done)
            except _TROUBLE as error:
                troubles.append(error)
            else:
                if answers.count(answers[-1]) >= voices:
                    return answers[-1]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if answers:
        return max(answers, key=answers.count)
    for trouble in troubles:
        if isinstance(trouble, (NoPermissionError, *_FINAL)):
            raise trouble
    told = (str(trouble) for trouble in troubles if str(trouble))
    raise RedisConnectionError(f"{question}: {next(told, f'not within {LOOK_TIMEOUT_S} s')}")


class SingleRoutes(Routes):
    """One server has it all."""

    async def server_of(self, part: int) -> Server:  # noqa: ARG002  # the same for every part
        """See `Routes.server_of`."""
        return self.server(*self._target.hosts[0])

    async def look_again(self) -> None:
        """See `Routes.look_again`."""


class SentinelRoutes(Routes):
    """One server has it all: the one that the sentinels call the primary.

    More than half of them have to say so. One that has not heard of a failover yet, or is cut off, names who was the primary before; should
    that one be back, it would take writes that are lost, or know nobody.
    """

    pauses_s = (0, 0.2, 0.5)

    def __init__(self, target: Target) -> None:
        """Ask no sentinel yet."""
        super().__init__(target)
        self._primary: tuple[str, int] | None = None

    async def server_of(self, part: int) -> Server:  # noqa: ARG002  # the same for every part
        """See `Routes.server_of`."""
        if self._primary is None:
            asked = (self._ask(host, port) for host, port in self._target.hosts)
            question = f"no sentinel could tell where {self._target.primary!r} is"
            self._primary = await agreed(asked, question, voices=len(self._target.hosts) // 2 + 1)
        return self.server(*self._primary)

    async def look_again(self) -> None:
        """See `Routes.look_again`."""
        primary, self._primary = self._primary, None
        if primary is not None:
            await self.drop(*primary)

    async def _ask(self, host: str, port: int) -> tuple[str, int]:
        question = Command(0, (b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", self._target.primary))
        sentinel = Server(partial(self._target.sentinel_connection, host, port), timeout_s=LOOK_TIMEOUT_S)
        try:
            (answer,) = await sentinel.send([question], writes=False)
        finally:
            await sentinel.close()
        if isinstance(answer, list):
            return answer[0].decode(), int(answer[1])
        raise answer or RedisConnectionError("no sentinel knows it")


class ClusterRoutes(Routes):
    """Each server has some of the slots, and each part is in one slot."""

    pauses_s = (0, 0.1, 0.3, 0.6)

    def __init__(self, target: Target) -> None:
        """Ask no node yet."""
        super().__init__(target)
        self._homes: list[Server] = []
        self._looking = asyncio.Lock()
        names = [f"{{{tag}}}" for tag in range(TAGS)] + [f"{{u{tag}}}" for tag in range(TAGS)]
        self._slots = [key_slot(name.encode()) for name in names]

    async def server_of(self, part: int) -> Server:
        """See `Routes.server_of`."""
        homes = self._homes
        if not homes:
            async with self._looking:
                if not self._homes:
                    self._homes = await self._look()
                homes = self._homes
        return homes[part]

    async def look_again(self) -> None:
        """See `Routes.look_again`."""
        self._homes = []

    async def _look(self) -> list[Server]:
        nodes = dict.fromkeys([*self._servers, *self._target.hosts])
        return await agreed((self._ask(host, port) for host, port in nodes), "no node of the cluster could tell who has what")

    async def _ask(self, host: str, port: int) -> list[Server]:
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                (answer,) = await self.server(host, port).send([Command(0, (b"CLUSTER", b"SLOTS"))], writes=False)
        except _TROUBLE:
            await self.drop(host, port)
            raise
        if isinstance(answer, ResponseError):
            if "cluster support disabled" in str(answer):
                raise StoreError("the session store is no Redis Cluster; write redis:// instead of redis+cluster:// in its URL")
            raise answer
        homes = [self._home(answer, slot, host) for slot in self._slots]
        known = [home for home in homes if home is not None]
        if len(known) < len(homes):
            raise RedisConnectionError("some slots are served by no node")
        return known

    def _home(self, ranges: Sequence[Any], slot: int, asked: str) -> Server | None:
        for first, last, (host, port, *_), *_ in ranges:
            if first <= slot <= last:
                return self.server(host.decode() if host else asked, int(port))
        return None


def routes_to(target: Target) -> Routes:
    """Choose by the kind of the URL."""
    kinds: dict[str, type[SingleRoutes | ClusterRoutes | SentinelRoutes]]
    kinds = {"single": SingleRoutes, "cluster": ClusterRoutes, "sentinel": SentinelRoutes}
    return kinds[target.kind](target)
