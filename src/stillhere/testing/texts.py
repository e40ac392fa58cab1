"""Text that has harmed stores before. Browsers may send all of it; NUL and lone surrogates are refused above the stores."""

from __future__ import annotations

from typing import Final

TEXTS: Final = (
    "'; DROP TABLE sessions; --",
    '"',
    "\\",
    "%s %d %00 %",
    "{} {tag}",
    "[a-z]*?",
    "../../etc/passwd",
    "a:b|c,d;e",
    " leading and trailing ",
    "line\nbreak\r\ttab\x01\x7f",
    "null",
    "-1",
    "\N{GREEK SMALL LETTER ALPHA}\N{SNOWMAN}\N{PILE OF POO}\u2028",
    "e\u0301 is not \u00e9",
    "\u202eright to left\u202c",
    "\N{PILE OF POO}" * 300,
)
