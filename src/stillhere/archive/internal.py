"""Who counts as internal: a team of one's own, whose visits are left out of every count unless they are asked for."""

from __future__ import annotations

from typing import Final

_SUBDOMAINS: Final = "@*."

_LOWER: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def is_internal(subject: str, patterns: tuple[str, ...]) -> bool:
    """Tell whether a subject is meant by a pattern.

    Args:
        subject: whom.
        patterns: as `core.lists.AddressList` keeps them: an address, `@domain`, or `@*.domain` for the domains below it.
    """
    if not patterns:
        return False
    lower = subject.translate(_LOWER)
    return any(_is_meant(lower, pattern.translate(_LOWER)) for pattern in patterns)


def _is_meant(subject: str, pattern: str) -> bool:
    """As the conditions in `archive/choosing.py`; the two are kept equal by a test."""
    if pattern.startswith(_SUBDOMAINS):
        end = pattern.removeprefix("@*")
        return subject.endswith(end) and "@" in subject.removesuffix(end)
    return subject.endswith(pattern) if pattern.startswith("@") else subject == pattern


def like_of(pattern: str) -> str | None:
    r"""Write a domain's pattern for SQL's LIKE with `\` as its escape, or None for an address, which is compared."""
    if not pattern.startswith("@"):
        return None
    end = pattern.removeprefix("@*") if pattern.startswith(_SUBDOMAINS) else pattern
    escaped = end.translate(_LOWER).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%@%{escaped}" if pattern.startswith(_SUBDOMAINS) else f"%{escaped}"


def lower_of(pattern: str) -> str:
    """Write an address in small letters; only those of ASCII have capitals here, as in every database."""
    return pattern.translate(_LOWER)
