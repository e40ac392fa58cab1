"""Where the command line writes: what was there is neither lost nor half written, and what cannot be written is one sentence."""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from stillhere.errors import SettingsError
from stillhere.server.reports import show
from stillhere.server.writing import put, writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COLUMNS = ("visitor", ">visits", "last (UTC)")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
ROWS = [("somebody.with.a.long.name@a-long-domain.example", "12", "2026-11-27 12:00:00"), ("[b]@x.example", "1", "2026-11-27 12:00:01")]


def mode_of(file: Path) -> int:
    """Tell who may do what with a file."""
    return stat.S_IMODE(file.stat().st_mode)


@pytest.fixture
def umask() -> Iterator[None]:
    """Let new files be read by the group, and by nobody else."""
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_a_new_file_is_as_the_umask_says_or_private(tmp_path: Path) -> None:
    """What is of a person is for nobody else to read; nothing else is left in the folder."""
    for name, private in (("open", False), ("private", True)):
        with writing(tmp_path / name, private=private) as file:
            file.write(b"new")
    assert (mode_of(tmp_path / "open"), mode_of(tmp_path / "private")) == (0o640, 0o600)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["open", "private"]


@pytest.mark.parametrize("private", [False, True])
def test_a_file_that_was_there_keeps_its_mode_and_a_link_stays_one(tmp_path: Path, *, private: bool) -> None:
    """Written through a link, also through a broken one, it is the file that is replaced; who may read it does not change."""
    (tmp_path / "there").write_bytes(b"old")
    (tmp_path / "there").chmod(0o604)
    for name in ("there", "nowhere"):
        (tmp_path / f"to-{name}").symlink_to(name)
        with writing(tmp_path / f"to-{name}", private=private) as file:
            file.write(b"new")
        assert (tmp_path / f"to-{name}").is_symlink()
        assert (tmp_path / name).read_bytes() == b"new"
    assert mode_of(tmp_path / "there") == 0o604


def test_a_pipe_is_written_through(tmp_path: Path) -> None:
    """What is no file stays what it is, also behind a link; its reader gets all of it."""
    pipe, link, read = tmp_path / "pipe", tmp_path / "link", list[bytes]()
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for name in (pipe, link):
        reader = Thread(target=lambda: read.append(pipe.read_bytes()))
        reader.start()
        with writing(name) as file:
            file.write(b"all of it")
        reader.join()
    assert read == [b"all of it"] * 2
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert link.is_symlink()


def test_an_open_file_is_never_replaced(tmp_path: Path) -> None:
    """By its number in /dev/fd, what was in it stays, and more is added, as a shell's `>>` wants it."""
    log = tmp_path / "log"
    with log.open("ab", buffering=0) as opened:
        opened.write(b"before ")
        with writing(type(log)(f"/dev/fd/{opened.fileno()}")) as file:
            file.write(b"and after")
        opened.write(b".")
    assert log.read_bytes() == b"before and after."


def test_what_fails_leaves_everything_as_it_was(tmp_path: Path) -> None:
    """The old file is whole, somebody else's `X.part` is untouched, and nothing of the new one is left behind."""
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "file.part").write_bytes(b"a stranger's")
    with suppress(ZeroDivisionError), writing(tmp_path / "file") as file:
        file.write(b"half")
        raise ZeroDivisionError
    with writing(tmp_path / "other") as file:
        file.write(b"new")
    found = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    assert found == {"file": b"old", "file.part": b"a stranger's", "other": b"new"}


def test_what_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    """A folder, a loop of links, no folder at all: which file, and why."""
    (tmp_path / "loop").symlink_to("loop")
    for output, why in ((tmp_path, "Is a directory"), (tmp_path / "loop", "Too many levels"), (tmp_path / "no" / "file", "No such file")):
        with pytest.raises(SettingsError, match=f"cannot write {output}: {why}"), writing(output):
            pass


def test_a_full_standard_output_is_one_sentence_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing more can be written, as on a full disk; and a reader that went away is left to whoever ends the program."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as gone:
        monkeypatch.setattr("sys.stdout", gone)
        with pytest.raises(BrokenPipeError):
            put("told to nobody")
        monkeypatch.undo()
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123  # it is opened, not replaced
        monkeypatch.setattr("sys.stdout", full)
        with pytest.raises(SettingsError, match="cannot write to standard output: No space left on device"):
            put("too much")
        with pytest.raises(SettingsError, match="cannot write to standard output"):
            show(COLUMNS, ROWS, empty="Nobody.")


def test_a_program_reads_whole_rows(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Not on a terminal a row is a line, however wide, and no cell is cut; colours that were asked for make no terminal of it."""
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    show(COLUMNS, ROWS, empty="Nobody.")
    lines = _COLOURS.sub("", capfd.readouterr().out).splitlines()
    assert [line.split() for line in lines[1:]] == [" ".join(row).split() for row in ROWS]
    show(COLUMNS, [], empty="Nobody.")
    assert capfd.readouterr().out == "Nobody.\n"


@pytest.mark.parametrize("width", [20, 60, 70, 85, 200])
def test_a_narrow_terminal_loses_no_character(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Cells go on in the line below: others first, the visitor last, and then down to 20 signs."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    show(COLUMNS, ROWS, empty="Nobody.")
    lines = _COLOURS.sub("", capfd.readouterr().out).splitlines()
    assert all(len(line) <= max(width, 20 + 2 + 6 + 2 + 10) for line in lines)
    folded = "".join(line.split("  ")[0].strip() for line in lines[1:])
    assert ROWS[0][0] in folded
    if width >= 70:
        assert any(ROWS[0][0] in line for line in lines)
        assert any("2026-11-27 12:00:00" in line for line in lines) == (width >= 85)
