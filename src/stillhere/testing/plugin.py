"""The pytest plugin: fixtures for applications, and a base class for tests of stores. Loads nothing before it is used.

PYTEST_DONT_REWRITE: there is no assert in it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

if TYPE_CHECKING:
    from stillhere.manager import SessionManager
    from stillhere.testing.clock import FakeClock
    from stillhere.testing.opener import Opener
    from stillhere.testing.promise import Promise


@pytest.fixture
def fake_clock() -> FakeClock:
    """Give a clock that stands still until it is moved (`fake_clock.advance(minutes(21))`)."""
    from stillhere.testing.clock import FakeClock  # noqa: PLC0415  # only where it is used

    return FakeClock()


@pytest.fixture
def sessions(fake_clock: FakeClock) -> SessionManager:
    """Give a `SessionManager` that keeps its sessions in memory and goes by `fake_clock`."""
    from stillhere.manager import SessionManager  # noqa: PLC0415  # as above

    return SessionManager("memory://", clock=fake_clock)


class StoreContract:
    """Base of a test class that holds a store to every promise, with one test for each.

    The class needs a fixture `opener` that returns a `stillhere.testing.Opener`. What the store has no ability for is skipped,
    with the reason.

    Attributes:
        rounds: how many races are run and random timelines drawn.
    """

    rounds: ClassVar[int] = 10

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make a test of each promise."""
        from stillhere.testing.check import store_promises  # noqa: PLC0415  # as above

        if "promise" in metafunc.fixturenames:
            metafunc.parametrize("promise", store_promises(), ids=lambda promise: promise.name)

    def test_keeps(self, promise: Promise, opener: Opener[Any]) -> None:
        """The store keeps this promise."""
        from stillhere.testing.promise import LeftOut  # noqa: PLC0415  # as above

        try:
            asyncio.run(promise.check(opener, rounds=self.rounds))
        except LeftOut as left_out:
            pytest.skip(str(left_out))
