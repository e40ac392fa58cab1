"""A path becomes a file of the folder, or nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.server.content.safe import Root
from tests.server.content.folders import furnish

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SEGMENTS: Final = (
    *("", ".", "..", "...", "..;", "%2e%2e", "\\", "..\\", "\x00", "a\x00", "~", "C:", "/"),
    *("site", "out", "leak.txt", "terms", ".git", ".env", "in.csv"),
)


@pytest.fixture(scope="module")
def deck(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Furnish a folder."""
    place = tmp_path_factory.mktemp("safe")
    (place / "secret.txt").write_text("planted", "utf-8")
    (place / "deck").mkdir()
    furnish(place / "deck", place / "secret.txt")
    os.mkfifo(place / "deck" / "pipe")
    return place / "deck"


@given(st.lists(st.sampled_from(SEGMENTS) | st.text(max_size=6), max_size=8))
def test_whatever_is_found_lies_inside_and_is_no_secret(deck: Path, segments: list[str]) -> None:
    """Whatever a path is made of, what is found lies in the folder, and no name on the way begins with a dot."""
    found = Root(deck).find(f"/{'/'.join(segments)}")
    if found is not None:
        way = found.file.relative_to(deck.resolve()).parts
        assert not any(name.startswith(".") for name in way)
        assert found.file.exists()


def test_a_pipe_is_not_waited_for(deck: Path) -> None:
    """What is neither file nor folder isn't found, so nobody waits for it."""
    assert Root(deck).find("/pipe") is None
    assert Root(deck).find("/deck.pdf") is not None


@pytest.fixture(params=[True, False], ids=["steps", "looking again"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open as this system does, and as one does that cannot go step by step."""
    if not request.param:
        monkeypatch.setattr("stillhere.server.content.safe._HAS_STEPS", False)


def _swap_file(place: Path) -> None:
    (place / "deck" / "terms" / "2025" / "sheet.csv").unlink()
    (place / "deck" / "terms" / "2025" / "sheet.csv").symlink_to(place / "out" / "2025" / "sheet.csv")


def _swap_folder(place: Path) -> None:
    (place / "deck" / "terms" / "2025").rename(place / "deck" / "terms" / "old")
    (place / "deck" / "terms" / "2025").symlink_to(place / "out" / "2025")


def _swap_folder_above(place: Path) -> None:
    (place / "deck" / "terms").rename(place / "deck" / "old")
    (place / "deck" / "terms").symlink_to(place / "out")


def _swap_for_a_folder(place: Path) -> None:
    (place / "deck" / "terms" / "2025" / "sheet.csv").unlink()
    (place / "deck" / "terms" / "2025" / "sheet.csv").mkdir()


def _take_away(place: Path) -> None:
    (place / "deck" / "terms" / "2025" / "sheet.csv").unlink()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Furnish a folder, and another one outside of it with a secret under the same name."""
    (tmp_path / "deck").mkdir()
    furnish(tmp_path / "deck", tmp_path / "secret.txt")
    (tmp_path / "out" / "2025").mkdir(parents=True)
    (tmp_path / "out" / "2025" / "sheet.csv").write_text("planted", "utf-8")
    return tmp_path


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("swap", [_swap_file, _swap_folder, _swap_folder_above, _swap_for_a_folder, _take_away])
def test_what_was_swapped_since_it_was_found_is_not_opened(place: Path, swap: Callable[[Path], None]) -> None:
    """A link in the place of a file or of a folder on the way is not followed, whoever puts it there between a look and the opening."""
    root = Root(place / "deck")
    found = root.find("/terms/2025/sheet.csv")
    assert found is not None
    swap(place)
    with pytest.raises(OSError, match=r"^\[Errno \d+\]"):
        root.open(found)


def test_a_pipe_put_in_a_files_place_is_not_waited_for(place: Path) -> None:
    """It would be read for ever; it is not there."""
    root = Root(place / "deck")
    found = root.find("/terms/2025/sheet.csv")
    assert found is not None
    found.file.unlink()
    os.mkfifo(found.file)
    with pytest.raises(FileNotFoundError):
        root.open(found)


@pytest.mark.usefixtures("way")
def test_what_is_opened_is_told_as_it_is_now(place: Path) -> None:
    """Links within the folder were followed when it was found; a file that grew since tells its new size, so no half of it is sent."""
    root = Root(place / "deck")
    for path in ("/terms/2025/sheet.csv", "/in.csv", "/deck.pdf"):
        found = root.find(path)
        assert found is not None
        with found.file.open("a", encoding="utf-8") as file:
            file.write("more")
        opened, now = root.open(found)
        with opened:
            assert len(opened.read()) == now.size == found.size + 4
        assert now.mark != found.mark


def test_a_folder_that_may_not_be_listed_is_gone_through(place: Path) -> None:
    """Who knows the name of a file in it gets that, as before."""
    root = Root(place / "deck")
    found = root.find("/terms/2025/sheet.csv")
    assert found is not None
    (place / "deck" / "terms").chmod(0o111)
    try:
        opened, _ = root.open(found)
        opened.close()
    finally:
        (place / "deck" / "terms").chmod(0o755)


def test_a_folder_that_is_a_link_is_the_folder(deck: Path, tmp_path: Path) -> None:
    """The folder itself may be a link; its files are found, and the way out is not."""
    (tmp_path / "link").symlink_to(deck)
    assert Root(tmp_path / "link").find("/deck.pdf") is not None
    assert Root(tmp_path / "link").find("/leak.txt") is None
