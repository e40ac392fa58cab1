"""Where the command line writes: to standard output, or to a file that is whole once it has its name."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stillhere.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_OPEN_FILES: Final = {"/dev", "/dev/fd", "/proc/self/fd"}
"""What has a name here is open already, or a device: it is never replaced."""


@contextmanager
def writing(output: Path | None, *, private: bool = False) -> Iterator[BinaryIO]:
    """Open where to write. A file that was there stays as it is until all is written, and if anything fails.

    Args:
        output: the file; a link stays a link, and what is no file, such as a pipe, is written through. None is standard output.
        private: nobody else may read a new file; otherwise that is as the umask says. One that was there keeps its mode.

    Raises:
        SettingsError: if it cannot be written.
    """
    try:
        with _standard_output() if output is None else _file(output, private=private) as file:
            yield file
    except OSError as error:
        if output is None and isinstance(error, BrokenPipeError):
            raise  # a reader that has enough, such as `head`, is no trouble: Typer ends without a word
        raise SettingsError(f"cannot write {output or 'to standard output'}: {error.strerror or error}") from error


def put(text: str) -> None:
    """Write text to standard output.

    Raises:
        SettingsError: if it cannot be written.
    """
    with writing(None) as file:
        file.write(text.encode("utf-8", "replace"))


@contextmanager
def _standard_output() -> Iterator[BinaryIO]:
    sys.stdout.flush()
    # With a buffer of its own: Python would try to write what is left in that of `sys.stdout` once more when it ends.
    with open(sys.stdout.fileno(), "wb", closefd=False) as file:  # it has no path
        yield file


@contextmanager
def _file(output: Path, *, private: bool) -> Iterator[BinaryIO]:
    mode = _mode_of(output)
    if (mode is not None and not stat.S_ISREG(mode)) or str(output.parent) in _OPEN_FILES:
        with output.open("ab") as file:
            yield file
        return
    target = Path(os.path.realpath(output))  # what links lead to is replaced, not the link
    number, name = tempfile.mkstemp(prefix=".stillhere-", suffix=".part", dir=target.parent)
    part = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            yield file
        if mode is not None or not private:
            part.chmod(_mode_of_new() if mode is None else stat.S_IMODE(mode))
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _mode_of(output: Path) -> int | None:
    try:
        return output.stat().st_mode
    except FileNotFoundError:
        return None


def _mode_of_new() -> int:
    mask = os.umask(0o077)  # it can only be read by setting it
    os.umask(mask)
    return 0o666 & ~mask
