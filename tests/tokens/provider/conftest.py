"""A provider in memory, and this application as it knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stillhere.testing import START
from tests.tokens.provider.doubles import Issuer

if TYPE_CHECKING:
    from stillhere.tokens.provider.login import Login
    from stillhere.tokens.provider.party import RelyingParty


@pytest.fixture
def issuer() -> Issuer:
    """Give a provider in memory."""
    return Issuer()


@pytest.fixture
def memory_party(issuer: Issuer) -> RelyingParty:
    """Give this application, as that provider knows it."""
    return issuer.party()


@pytest.fixture
async def signed_in(issuer: Issuer, memory_party: RelyingParty) -> Login:
    """Sign somebody in there."""
    begun = await memory_party.begin(return_to="/work", now=START)
    return await memory_party.finish(issuer.approve(begun.url), begun.transaction, now=START)
