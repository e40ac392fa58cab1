"""The program with a folder, or an application, behind its gate, once for all tests of a module."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.server.content.application import LARGEST, Application
from tests.server.content.application import running as applications
from tests.server.content.folders import furnish
from tests.server.site import ADMIN_TOKEN, Site
from tests.support import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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


@contextmanager
def _fronted(place: Path, application: Application, *, timeout: str) -> Iterator[Site]:
    """Run the program with the application behind its gate."""
    flags = (
        *("--upstream", application.url, "--upstream-timeout", timeout, "--upstream-body", str(LARGEST)),
        *("--open-paths", "/about,/public/", "--trusted-proxies", "127.0.0.1/32", "--bearer", "true"),
    )
    environment = {"STILLHERE_ADMIN_TOKEN": ADMIN_TOKEN, "STILLHERE_MESSAGES_PER_MINUTE": "1000000"}
    with serving(f"sqlite:///{place / 'visits.db'}", *flags, log=place / "log", environment=environment) as program:
        yield Site(program, place / "visits.db", itertools.count(1))
    assert "Traceback" not in (place / "log").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def fronted(tmp_path_factory: pytest.TempPathFactory, application: Application) -> Iterator[Site]:
    """Run the program with the application behind its gate; it waits longer than any machine takes."""
    with _fronted(tmp_path_factory.mktemp("upstream"), application, timeout="20s") as site:
        yield site


@pytest.fixture(scope="module")
def hastily_fronted(tmp_path_factory: pytest.TempPathFactory, application: Application) -> Iterator[Site]:
    """Run another that waits for three seconds, for those tests in which it waits in vain."""
    with _fronted(tmp_path_factory.mktemp("hasty"), application, timeout="3s") as site:
        yield site


@contextmanager
def _lent(fronted: Site, application: Application) -> Iterator[Site]:
    application.go_on.clear()
    application.gone.clear()
    application.asked.clear()
    yield fronted
    application.go_on.set()
    fronted.close_browsers()


@pytest.fixture
def front(fronted: Site, application: Application) -> Iterator[Site]:
    """Give the running program; what waits in the application is let go after it."""
    with _lent(fronted, application) as site:
        yield site


@pytest.fixture
def hasty(hastily_fronted: Site, application: Application) -> Iterator[Site]:
    """Give the one that waits for three seconds only."""
    with _lent(hastily_fronted, application) as site:
        yield site
