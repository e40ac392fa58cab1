"""What is behind the gate: a folder of files, an application elsewhere, or any ASGI application wrapped in the middleware."""

from __future__ import annotations

from stillhere.server.content.guard import Guard
from stillhere.server.content.middleware import GateMiddleware

__all__ = ["GateMiddleware", "Guard"]
