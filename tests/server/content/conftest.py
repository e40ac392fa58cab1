"""The program with a folder, or an application, behind its gate, once for all tests of a module."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.server.content.application import LARGEST, Application
from tests.server.content.application import running as applications
from tests.server.content.folders import furnish
from tests.server.site import ADMIN_TOKEN, Site
from tests.support import serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Site]:
    """Run the program with a furnished folder, and the flags a test asks for."""
    place = tmp_path_factory.mktemp("folder")
    (place / "deck").mkdir()
    (place / "secret.txt").write_text("planted secret", "utf-8")
    furnish(place / "deck", place / "secret.txt")
    flags = ("--folder", str(place / "deck"), "--trusted-proxies", "127.0.0.1/32", *getattr(request, "param", ()))
    environment = {"STILLHERE_ADMIN_TOKEN": ADMIN_TOKEN, "STILLHERE_MESSAGES_PER_MINUTE": "1000000"}
    with serving(f"sqlite:///{place / 'visits.db'}", *flags, log=place / "log", environment=environment) as program:
        yield Site(program, place / "visits.db", itertools.count(1))
    assert "Traceback" not in (place / "log").read_text(encoding="utf-8")


@pytest.fixture
def room(shown: Site) -> Iterator[Site]:
    """Give the running program; browsers that a test opened are closed after it."""
    yield shown
    shown.close_browsers()


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    """Run the application."""
    with applications() as application:
        yield application


@pytest.fixture(scope="module")
def fronted(tmp_path_factory: pytest.TempPathFactory, application: Application) -> Iterator[Site]:
    """Run the program with the application behind its gate."""
    place = tmp_path_factory.mktemp("upstream")
    flags = (
        *("--upstream", application.url, "--upstream-timeout", "1s", "--upstream-body", str(LARGEST)),
        *("--open-paths", "/about,/public/", "--trusted-proxies", "127.0.0.1/32", "--bearer", "true"),
    )
    environment = {"STILLHERE_ADMIN_TOKEN": ADMIN_TOKEN, "STILLHERE_MESSAGES_PER_MINUTE": "1000000"}
    with serving(f"sqlite:///{place / 'visits.db'}", *flags, log=place / "log", environment=environment) as program:
        yield Site(program, place / "visits.db", itertools.count(1))
    assert "Traceback" not in (place / "log").read_text(encoding="utf-8")


@pytest.fixture
def front(fronted: Site, application: Application) -> Iterator[Site]:
    """Give the running program; what waits in the application is let go after it."""
    application.go_on.clear()
    application.gone.clear()
    application.asked.clear()
    yield fronted
    application.go_on.set()
    fronted.close_browsers()
