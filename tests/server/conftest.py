"""The real program, once for all tests of it: a real file, real sockets, its own admin token."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.server.site import ADMIN_TOKEN, VIEWER_TOKEN, Site
from tests.support import serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run the demo behind a proxy that it trusts, so that each visitor can have an address of its own.

    Sessions are idle for longer than the tests take: none ends while another test compares what is kept.
    """
    folder = tmp_path_factory.mktemp("site")
    log = folder / "log"
    flags = ("--trusted-proxies", "127.0.0.1/32", "--idle-timeout", "2h", "--absolute-timeout", "4h", "--beats-per-minute", "1000000")
    environment = {
        "STILLHERE_ADMIN_TOKEN": ADMIN_TOKEN,
        "STILLHERE_VIEWER_TOKEN": VIEWER_TOKEN,
        "STILLHERE_MESSAGES_PER_MINUTE": "1000000",
    }
    with serving(f"sqlite:///{folder / 'visits.db'}", *flags, verb="demo", log=log, environment=environment) as program:
        yield Site(program, folder / "visits.db", itertools.count(1))
    assert "Traceback" not in log.read_text(encoding="utf-8"), f"the program failed while it was tested; see {log}"


@pytest.fixture
def site(running: Site) -> Iterator[Site]:
    """Give the running program; browsers that a test opened are closed after it."""
    yield running
    running.close_browsers()
