"""An ordinary page in Starlette with starsessions over Redis: loaded and extended with every request."""

import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route
from starsessions import SessionAutoloadMiddleware, SessionMiddleware
from starsessions.stores.redis import RedisStore


async def login(request):
    request.session["user"] = request.query_params["user"]
    return JSONResponse({"user": request.session["user"]})


async def hello(request):
    return JSONResponse({"user": request.session.get("user")})


def sessions():
    store = RedisStore(os.environ["BENCH_REDIS"], prefix="starsessions:")
    keep = Middleware(SessionMiddleware, store=store, lifetime=1200, rolling=True, cookie_https_only=False)
    return Starlette(routes=[Route("/login", login), Route("/hello", hello)], middleware=[keep, Middleware(SessionAutoloadMiddleware)])
