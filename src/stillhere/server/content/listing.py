"""What a folder holds, for people."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec

from stillhere.server.content.safe import is_shown

if TYPE_CHECKING:
    from pathlib import Path

    from stillhere.server.content.safe import Found, Root

MOST_ROWS: Final = 2_000
"""A page with more is of use to nobody."""

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")


class Row(msgspec.Struct, frozen=True):
    """A line of a listing.

    Attributes:
        name: of the file or folder.
        href: where it is shown.
        kind: `folder`, `PDF`, or what its name ends with.
        size: in words; empty for a folder.
        changed: the day it was changed, in words, UTC.
        changed_iso: the same for machines.
    """

    name: str
    href: str
    kind: str
    size: str
    changed: str
    changed_iso: str


class Crumb(msgspec.Struct, frozen=True):
    """A folder on the way to this one."""

    name: str
    href: str


def rows_of(root: Root, folder: Path, path: str) -> tuple[list[Row], int]:
    """List what a folder holds: folders first, then by name as people sort, so that 2 comes before 10.

    Args:
        root: tells what may be shown.
        folder: the folder.
        path: its address, with a `/` at its end.

    Returns:
        At most `MOST_ROWS` rows, and how many there are.
    """
    found = [(entry.name, seen) for entry in folder.iterdir() if is_shown(entry.name) and (seen := root.look(entry)) is not None]
    found.sort(key=lambda pair: (not pair[1].is_folder, _as_people_sort(pair[0])))
    return [_row(name, seen, path) for name, seen in found[:MOST_ROWS]], len(found)


def crumbs_of(path: str, home: str) -> list[Crumb]:
    """List the folders on the way to a folder or file, the first one called by the site's name."""
    names = [name for name in path.split("/")[1:-1] if name]
    crumbs = [Crumb(home, "/")]
    for count, name in enumerate(names, 1):
        crumbs.append(Crumb(name, quote(f"/{'/'.join(names[:count])}/")))
    return crumbs


def is_pdf(name: str) -> bool:
    """Tell whether a file is a PDF, by its name."""
    return name.lower().endswith(".pdf")


def size_in_words(size: int) -> str:
    """Say a size: `1.4 MB`."""
    shown, unit = float(size), 0
    while shown >= 999.5 and unit < len(_UNITS) - 1:  # noqa: PLR2004  # a thousand, as it would be rounded
        shown, unit = shown / 1_000, unit + 1
    return f"{shown:.0f} {_UNITS[unit]}" if unit == 0 or shown >= 9.95 else f"{shown:.1f} {_UNITS[unit]}"  # noqa: PLR2004  # two figures say enough


def _row(name: str, seen: Found, path: str) -> Row:
    href = quote(f"{path}{name}")
    if seen.is_folder:
        href, kind = f"{href}/", "Folder"
    elif is_pdf(name):
        href, kind = f"/view{href}", "PDF"
    else:
        _, dot, ending = name.rpartition(".")
        kind = ending.upper() if dot and len(ending) <= 5 else "File"  # noqa: PLR2004  # longer ones are no endings
    changed = datetime.fromtimestamp(seen.changed_at / 1_000, UTC)
    size = "" if seen.is_folder else size_in_words(seen.size)
    return Row(name, href, kind, size, f"{changed.day} {changed:%b %Y}", changed.date().isoformat())


def _as_people_sort(name: str) -> list[tuple[int, str]]:
    return [(int(part[:18]), "") if part.isascii() and part.isdigit() else (0, part) for part in re.split(r"(\d+)", name.casefold())]
