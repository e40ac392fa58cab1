"""What all tests share: the fast ones are marked by where they are, and Hypothesis knows a nightly from a working day."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from stillhere.stores.redis import routes
from tests.stores.every import SERVED
from tests.support import FakeClock

HERE = Path(__file__).parent

SLOW = ("e2e", "server", "faults", "stores/postgresql", "stores/redis", "tokens/provider/real", "mirrors/real")
"""Folders whose tests start processes or browsers; all others are fast, but for those on a store that needs a server."""

NIGHTLY = os.environ.get("TESTS_PROFILE") == "nightly"

# By day the same examples each time, so that a change is judged by what it changed; new ones are looked for at night.
settings.register_profile("day", max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("nightly", parent=settings.get_profile("day"), max_examples=10_000, derandomize=False)
settings.load_profile("nightly" if NIGHTLY else "day")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is fast."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        is_served = callspec is not None and any(isinstance(value, str) and value in SERVED for value in callspec.params.values())
        folder = Path(item.path).relative_to(HERE).as_posix()
        if not is_served and not folder.startswith(tuple(f"{slow}/" for slow in SLOW)):
            item.add_marker(pytest.mark.fast)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a cluster's nodes take their time to tell who has what, where a test does not say otherwise."""
    monkeypatch.setattr(routes, "LOOK_TIMEOUT_S", 20)


@pytest.fixture
def clock() -> FakeClock:
    """Give a clock that stands still until it is moved."""
    return FakeClock()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """On continuous integration a skipped test is a failure: everything a test needs is set up there."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
