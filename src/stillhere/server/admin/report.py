"""The audit log on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import msgspec

from stillhere.server.admin.audit import Audit, clean, shown
from stillhere.server.reports import open_manager, show
from stillhere.server.writing import put

if TYPE_CHECKING:
    from stillhere.archive.audit import AuditEntry
    from stillhere.server.settings import Settings


async def list_audit(settings: Settings, *, limit: int, as_json: bool) -> None:
    """Write the audit log to standard output, the latest entry first.

    Args:
        settings: say where it is kept.
        limit: at most so many entries.
        as_json: as JSON; otherwise as a table.
    """
    async with open_manager(settings) as manager:
        assert manager.archive is not None  # noqa: S101  # a manager made from a URL has one; this tells the type checker
        entries, _ = await Audit(manager.archive.audit, manager.clock).entries(limit=limit)
    if as_json:
        put(msgspec.json.format(msgspec.json.encode({"entries": [shown(entry) for entry in entries]})).decode() + "\n")
    else:
        _show(entries)


def _words(entry: AuditEntry) -> str | None:
    """Write what an export was filtered by so that it can be read; it is kept as its URL said it."""
    if entry.detail is None or not entry.action.startswith("export"):
        return entry.detail
    return clean(", ".join(f"{name}={value}" for name, value in parse_qsl(entry.detail)))


def _show(entries: list[AuditEntry]) -> None:
    rows = [[str(value or "") for value in (shown(entry) | {"detail": _words(entry)}).values()] for entry in entries]
    show(("at (UTC)", "operator", "action", "target", "detail"), rows, empty="Operators did nothing yet.")
