"""An ordinary page in Django, without sessions and with cached sessions over Redis, extended with every request."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path


def login(request):
    request.session["user"] = request.GET["user"]
    return JsonResponse({"user": request.session["user"]})


def hello(request):
    return JsonResponse({"user": request.session.get("user")})


def nobody(request):
    return JsonResponse({"user": "nobody"})


urlpatterns = []


def _application(routes, **more):
    urlpatterns.extend(routes)
    settings.configure(ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__, SECRET_KEY="not-a-secret", USE_TZ=True, **more)
    return get_wsgi_application()


def bare():
    return _application([path("hello", nobody)], MIDDLEWARE=[])


def sessions():
    return _application(
        [path("login", login), path("hello", hello)],
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
        SESSION_SAVE_EVERY_REQUEST=True,
        SESSION_COOKIE_AGE=1200,
        CACHES={"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": os.environ["BENCH_REDIS"]}},
    )
