"""From the path of a request to a file of a folder, and never to one outside of it."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from io import BufferedReader

_FORBIDDEN: Final = "\\:" if os.name == "nt" else "\\"
"""What some systems take for a way to another folder, drive or stream; and a proxy anywhere may read a backslash as a slash."""


_HAS_STEPS: Final = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
"""Whether this system can go down step by step, and follow no link. Windows cannot."""


class Found(msgspec.Struct, frozen=True):
    """A file or folder that may be shown.

    Attributes:
        file: where it really is, links followed.
        is_folder: whether it is a folder.
        size: of a file, bytes.
        changed_at: milliseconds since 1970.
        mark: differs as soon as the file does, for caches.
    """

    file: Path
    is_folder: bool
    size: int
    changed_at: int
    mark: str


class Root:
    """A folder out of which nothing leads.

    Args:
        folder: the folder; it must be there.
    """

    def __init__(self, folder: Path) -> None:
        """Follow links to it once."""
        self._root = folder.resolve(strict=True)

    def find(self, path: str) -> Found | None:
        """Find what a path names; None for what is not there, hidden, no plain file, or outside.

        Source: OWASP ASVS 5.0 item 5.3.2, CWE-22, CWE-59.

        Args:
            path: of the request, decoded once: begins with `/`; a folder's may end with one.
        """
        segments = path.split("/")[1:]
        if segments and segments[-1] == "":
            segments.pop()
        if not all(map(is_shown, segments)):
            return None
        return self.look(self._root.joinpath(*segments))

    def look(self, file: Path) -> Found | None:
        """Look at a file of the folder, links followed; None if it may not be shown."""
        try:
            real = file.resolve(strict=True)
            facts = real.stat()
        except (OSError, RuntimeError, ValueError):  # a loop of links, a name too long, a name that no file can have
            return None
        if not real.is_relative_to(self._root) or not all(map(is_shown, real.relative_to(self._root).parts)):
            return None
        is_folder = stat.S_ISDIR(facts.st_mode)
        if not is_folder and not stat.S_ISREG(facts.st_mode):  # whoever opens a pipe waits for ever
            return None
        return _found(real, facts)

    def open(self, found: Found) -> tuple[BufferedReader, Found]:
        """Open a file that was found, and tell what it is now.

        Whoever can write into the folder may have put a link in the place of the file, or of a folder on the way, since it was looked at:
        none is followed, and what is no plain file is not waited for.

        Source: CWE-367, OWASP ASVS 5.0 item 5.3.2.

        Raises:
            OSError: if it is not there any more, or no longer what it was.
        """
        descriptor = self._descriptor(found.file)
        try:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode) or not (_HAS_STEPS or self._is_still(found.file, facts)):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        except OSError:
            os.close(descriptor)
            raise
        return os.fdopen(descriptor, "rb"), _found(found.file, facts)

    def _descriptor(self, real: Path) -> int:
        if _HAS_STEPS:
            return _descend(self._root, real.relative_to(self._root).parts)
        return os.open(real, os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def _is_still(self, real: Path, facts: os.stat_result) -> bool:
        again = self.look(real)
        return again is not None and again.file == real and os.path.samestat(facts, real.stat())


def _found(real: Path, facts: os.stat_result) -> Found:
    return Found(
        file=real,
        is_folder=stat.S_ISDIR(facts.st_mode),
        size=facts.st_size,
        changed_at=facts.st_mtime_ns // 1_000_000,
        mark=f"{facts.st_mtime_ns:x}-{facts.st_size:x}",
    )


def _descend(root: Path, names: Sequence[str]) -> int:
    # A folder is only gone through: it need not be one that may be listed.
    through = os.O_DIRECTORY | getattr(os, "O_PATH", os.O_RDONLY)
    at = os.open(root, through)
    try:
        for name in names[:-1]:
            above, at = at, os.open(name, through | os.O_NOFOLLOW, dir_fd=at)
            os.close(above)
        return os.open(names[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=at)
    finally:
        os.close(at)


def is_shown(name: str) -> bool:
    """Tell whether a file of this name is shown: no dot at its beginning, nothing that is a way or that no address can carry."""
    return bool(name) and not name.startswith(".") and name.isprintable() and not any(sign in name for sign in _FORBIDDEN)
