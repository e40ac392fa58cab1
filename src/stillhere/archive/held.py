"""Parts of summaries that were read lately, held in memory: a dashboard asks one question after the other of the same year."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from stillhere.archive.packing import Bodies

MOST_BYTES: Final = 64 * 1024 * 1024
"""More than any question reads of a year with a million visits."""

BESIDES: Final = 400
"""Bytes that a part takes besides its own: its key, and its place among all."""

Versions = dict[int, bytes]
"""By the first instant of each day or block: a hash of what it is made of, and of who does not count."""


class _Part(msgspec.Struct):
    version: bytes
    body: bytes
    sweep: int
    """After how many sweeps it was asked for last."""


class Held:
    """Parts of days and blocks, up to so many bytes; what was asked for longest ago makes room. Threads share it.

    Args:
        most_bytes: of all that is held.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        """Hold nothing yet."""
        self._most_bytes = most_bytes
        self._parts: OrderedDict[tuple[int, str], _Part] = OrderedDict()
        self._bytes = 0
        self._sweep = 0
        self._lock = Lock()

    def take(self, versions: Versions, wanted: Mapping[int, Collection[str]]) -> dict[int, Bodies]:
        """Give what is held of some days or blocks, and let go of what they were made of before.

        Args:
            versions: of which ones.
            wanted: of each, the names of parts.
        """
        with self._lock:
            return {begin: self._of(begin, versions[begin], names) for begin, names in wanted.items()}

    def _of(self, begin: int, version: bytes, names: Collection[str]) -> Bodies:
        found: Bodies = {}
        for key in [(begin, name) for name in names if (begin, name) in self._parts]:
            part = self._parts[key]
            if part.version == version:
                part.sweep = self._sweep
                self._parts.move_to_end(key)
                found[key[1]] = part.body
            else:
                self._drop(key)
        return found

    def keep(self, versions: Versions, found: Mapping[int, Bodies]) -> None:
        """Hold what was read, unless it is more than there is room for in all: it would only drive out what others need, and itself.

        Args:
            versions: of which days or blocks.
            found: their parts, by their names.
        """
        if sum(len(body) + BESIDES for bodies in found.values() for body in bodies.values()) > self._most_bytes:
            return
        # Copied, so that nothing of a database's answer stays; and before anybody has to wait for it.
        parts = [
            ((begin, name), _Part(versions[begin], bytes(body), 0)) for begin, bodies in found.items() for name, body in bodies.items()
        ]
        with self._lock:
            for key, part in parts:
                self._drop(key)
                part.sweep = self._sweep
                self._parts[key] = part
                self._bytes += len(part.body) + BESIDES
            while self._bytes > self._most_bytes:
                self._drop(next(iter(self._parts)))

    def sweep(self) -> None:
        """Let go of what was not asked for since the last sweep."""
        with self._lock:
            for key in [key for key, part in self._parts.items() if part.sweep < self._sweep]:
                self._drop(key)
            self._sweep += 1

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._parts.clear()
            self._bytes = 0

    def _drop(self, key: tuple[int, str]) -> None:
        part = self._parts.pop(key, None)
        self._bytes -= 0 if part is None else len(part.body) + BESIDES
