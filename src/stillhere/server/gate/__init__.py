"""The gate: asks who somebody is before anything is shown. A GET opens nothing, so link scanners leave no trace."""

from __future__ import annotations

from stillhere.core.addresses import read_email
from stillhere.server.gate.config import GateConfig, Logo, Terms, gate_config
from stillhere.server.gate.forms import Forms, safe_path
from stillhere.server.gate.routes import Gate, Timeouts, timeouts_of

__all__ = ["Forms", "Gate", "GateConfig", "Logo", "Terms", "Timeouts", "gate_config", "read_email", "safe_path", "timeouts_of"]
