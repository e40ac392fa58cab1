"""How settings are written: durations with their unit, lists with commas."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

from stillhere.core.lists import read_list
from stillhere.core.policy import LONGEST_SPAN

UNITS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\Z")


def read_duration(text: object) -> object:
    """Read `90s`, `20m`, `24h`, `30d` or `500ms` as milliseconds.

    Raises:
        ValueError: if it is none of these; a bare number is refused, for nobody could tell its unit.
    """
    found = _DURATION.match(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{text!r} is not a duration; write 90s, 20m, 24h or 30d")
    span_ms = float(found[1]) * UNITS[found[2]]
    if not 1 <= span_ms <= LONGEST_SPAN:
        raise ValueError(f"{text!r} is not between 1ms and {LONGEST_SPAN // UNITS['d']}d")
    return round(span_ms)


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def read_addresses(value: object) -> object:
    """Read patterns of `core.lists`, written with commas, or the name of a file that has them: `@` and a path with a slash in it.

    Raises:
        ValueError: if one of them is none, or the file cannot be read.
    """
    told: list[str] = []
    for part in value.split(",") if isinstance(value, str) else value if isinstance(value, (list, tuple)) else [repr(value)]:
        text = str(part).strip()
        told += read_list(_file(text[1:])).patterns if text.startswith("@") and "/" in text else [text] if text else []
    return read_list(told).patterns


def _file(path: str) -> str:
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeError) as error:
        raise ValueError(f"the file {path} cannot be read: {error}") from error


Duration = Annotated[int, BeforeValidator(read_duration)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Addresses = Annotated[tuple[str, ...], NoDecode, BeforeValidator(read_addresses)]
"""Patterns as `core.lists.AddressList` has them; the setting gives them to it."""
