"""An application with sessions, as uvicorn serves somebody's own: nothing tells it of a stop."""

from __future__ import annotations

from stillhere.adapters.asgi import SessionMiddleware
from stillhere.manager import SessionManager
from tests.adapters.apps import application

app = SessionMiddleware(application, SessionManager("memory://"))
