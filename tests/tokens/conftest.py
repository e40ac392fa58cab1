"""What the tests of tokens share."""

from __future__ import annotations

import pytest

from stillhere.tokens import coordinator


@pytest.fixture(autouse=True)
def _no_lingering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take over a lease that ran out without the wait for its holder, which has a test of its own."""
    monkeypatch.setattr(coordinator, "LINGER_S", 0)
