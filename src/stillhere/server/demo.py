"""What the demo changes: timeouts short enough to watch, and pages to watch them on."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from stillhere.manager import SessionManager
from stillhere.server.parts import Part, Upkeep
from stillhere.server.sample.filling import fill
from stillhere.server.sample.lively import TICK_MS, Lively
from stillhere.server.sample.world import INTERNAL_DOMAIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stillhere.server.settings import Settings

SETTINGS: Final[Mapping[str, Any]] = {
    "store": "sqlite:///demo.db",
    "idle_timeout": "60s",
    "absolute_timeout": "30m",
    "warning_timeout": "20s",
    "beat_interval": "20s",
    "activity_window": "20s",
    "sweep_interval": "5s",
    "after_gate": "/confidential",
}
"""Settings the demo starts from; flags, environment and TOML still win."""

SAMPLE_ZONE: Final = ZoneInfo("Europe/Berlin")
"""Whose working hours the sample keeps."""

SAMPLE_SETTINGS: Final[Mapping[str, Any]] = {
    **SETTINGS,
    "store": "sqlite:///sample.db",
    "zone": SAMPLE_ZONE.key,
    "internal_visitors": f"@{INTERNAL_DOMAIN}",
}
"""The same with sample data, in a file of its own."""


async def fill_with_sample(settings: Settings) -> int:
    """Fill the store with sample data before anybody is served, unless it has it. One in memory is filled by whoever serves.

    Args:
        settings: the program's.

    Returns:
        How many visits it has got now.

    Raises:
        SettingsError: if the store has visits of others, or cannot take the sample.
        StoreError: if the store cannot be reached.
    """
    if settings.store.startswith("memory:"):
        return 0
    async with SessionManager(settings.store, policy=settings.policy(), archive=settings.archive) as manager:
        return await fill(manager, zone=SAMPLE_ZONE)


def sample_part(manager: SessionManager) -> Part:
    """Make the part of the program that keeps the sample alive."""
    lively = Lively(manager, Random(manager.clock()), zone=SAMPLE_ZONE)  # noqa: S311  # draws who comes, keeps no secret
    return Part(upkeep=[Upkeep("sample", lively, TICK_MS)])
