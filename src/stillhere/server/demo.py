"""What the demo changes: timeouts short enough to watch, and pages to watch them on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

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
