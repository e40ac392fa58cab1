"""Starts the peers, each as its own documents say for production, with its sessions in a Redis of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.measure import HERE, Load, Side
from benchmarks.sides import TOUCH, UVICORN

if TYPE_CHECKING:
    from benchmarks.sides import Stage
    from tests.services import RedisServer
    from tests.services.process import Server

PEERS: Final = HERE / "peers"
PYTHON: Final = HERE / ".peers" / "bin" / "python"

GUNICORN: Final = tuple("-m gunicorn --worker-class gthread --workers 1 --threads 16 --keep-alive 60 --log-level warning".split())

HELLO: Final = Load(kind="get", path="/hello")


def express(stage: Stage, redis: RedisServer) -> Side:
    """Start Express with express-session and connect-redis."""
    server = stage.start("express", ["node", PEERS / "express.mjs"], {"NODE_ENV": "production", "BENCH_REDIS": redis.url})
    return stage.signed_in_by_http("Express", server, databases=[redis], load=TOUCH)


def starsessions(stage: Stage, redis: RedisServer) -> Side:
    """Start Starlette with starsessions, under the same server as ours."""
    command = [PYTHON, *UVICORN, "--port", "{port}", "--app-dir", PEERS, "--factory", "starlette_app:sessions"]
    server = stage.start("starsessions", command, {"BENCH_REDIS": redis.url})
    return stage.signed_in_by_http("starsessions", server, databases=[redis], load=HELLO)


def flask_session(stage: Stage, redis: RedisServer) -> Side:
    """Start Flask with Flask-Session."""
    server = _gunicorn(stage, "flask-session", "flask_app:sessions()", redis)
    return stage.signed_in_by_http("Flask-Session", server, databases=[redis], load=HELLO)


def django_sessions(stage: Stage, redis: RedisServer) -> Side:
    """Start Django with sessions in its cache."""
    server = _gunicorn(stage, "django-sessions", "django_app:sessions()", redis)
    return stage.signed_in_by_http("Django sessions", server, databases=[redis], load=HELLO)


def bare_starlette(stage: Stage, like: Side) -> Side:
    """Start the same page in Starlette without sessions."""
    return Side(name="bare Starlette", server=stage.uvicorn("bare-starlette", "benchmarks.apps.web:bare"), cookies=like.cookies, load=HELLO)


def bare_flask(stage: Stage, like: Side) -> Side:
    """Start the same page in Flask without sessions."""
    return Side(name="bare Flask", server=_gunicorn(stage, "bare-flask", "flask_app:bare()", None), cookies=like.cookies, load=HELLO)


def bare_django(stage: Stage, like: Side) -> Side:
    """Start the same page in Django without sessions."""
    return Side(name="bare Django", server=_gunicorn(stage, "bare-django", "django_app:bare()", None), cookies=like.cookies, load=HELLO)


def _gunicorn(stage: Stage, name: str, application: str, redis: RedisServer | None) -> Server:
    command = [PYTHON, *GUNICORN, "--bind", "127.0.0.1:{port}", "--chdir", PEERS, application]
    return stage.start(name, command, {} if redis is None else {"BENCH_REDIS": redis.url})
