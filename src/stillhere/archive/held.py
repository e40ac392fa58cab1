"""Parts of summaries that were read lately, held in memory: a dashboard asks one question after the other of the same year. Pure."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from stillhere.archive.packing import Bodies

MOST_BYTES: Final = 64 * 1024 * 1024
"""What the questions of a dashboard read of a year with a million visits, whatever the filter."""

Versions = dict[int, bytes]
"""What each day or block is made of, told by a hash, by its first instant."""


class _Part(msgspec.Struct):
    version: bytes
    body: bytes
    sweep: int
    """Before which sweep it was asked for last."""


class Held:
    """Parts of days and blocks, up to so many bytes; what was asked for longest ago makes room. Threads share it.

    Args:
        most_bytes: of all that is held. What is more than that at once is not held at all.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        """Hold nothing yet."""
        self._most_bytes = most_bytes
        self._parts: OrderedDict[tuple[int, str], _Part] = OrderedDict()
        self._bytes = 0
        self._sweep = 0
        self._lock = Lock()

    def take(self, versions: Versions, names: Collection[str]) -> dict[int, Bodies]:
        """Give what is held of some days or blocks, and let go of what they were made of before.

        Args:
            versions: of which ones.
            names: of parts.
        """
        found: dict[int, Bodies] = {}
        with self._lock:
            for key in ((begin, name) for begin in versions for name in names):
                part = self._parts.get(key)
                if part is None:
                    continue
                if part.version != versions[key[0]]:
                    self._drop(key)
                    continue
                part.sweep = self._sweep
                self._parts.move_to_end(key)
                found.setdefault(key[0], {})[key[1]] = part.body
        return found

    def keep(self, versions: Versions, found: Mapping[int, Bodies]) -> None:
        """Hold what was read.

        Args:
            versions: of which days or blocks.
            found: their parts, by their names.
        """
        if sum(len(body) for bodies in found.values() for body in bodies.values()) > self._most_bytes:
            return
        with self._lock:
            for begin, bodies in found.items():
                for name, body in bodies.items():
                    self._drop((begin, name))
                    self._parts[begin, name] = _Part(versions[begin], bytes(body), self._sweep)  # a copy frees the database's answer
                    self._bytes += len(body)
            while self._bytes > self._most_bytes:
                self._drop(next(iter(self._parts)))

    def sweep(self) -> None:
        """Let go of what was not asked for since the last sweep."""
        with self._lock:
            for key in [key for key, part in self._parts.items() if part.sweep < self._sweep]:
                self._drop(key)
            self._sweep += 1

    def _drop(self, key: tuple[int, str]) -> None:
        part = self._parts.pop(key, None)
        self._bytes -= 0 if part is None else len(part.body)
