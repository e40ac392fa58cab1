"""The pytest plugin, run by pytest in pytest."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

pytest_plugins = ["pytester"]

PLAIN = ("-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:asyncio")

# By name, and not by its entry point: so it is the same one whether or not the package was installed with that.
PLUGIN = ("-p", "no:stillhere", "-p", "stillhere.testing.plugin", *PLAIN)

APPLICATION = """
from stillhere import EndedBy, hours

def test_sessions_end(fake_clock, sessions):
    import asyncio

    async def go():
        started = await sessions.start("first@fund.example")
        assert (await sessions.look(started.secret)).is_alive
        fake_clock.advance(hours(1))
        verdict = await sessions.authenticate(started.secret)
        assert verdict.ending.by is EndedBy.IDLE
        await sessions.close()

    asyncio.run(go())

def test_others_begin_anew(fake_clock, sessions):
    assert sessions.clock is fake_clock
    assert sessions.store.sessions == {}
"""

CONTRACT = """
import pytest
from stillhere.testing import Opener
from stillhere.testing.plugin import StoreContract
from tests.testing import liars

class TestHonest(StoreContract):
    rounds = 1

    @pytest.fixture
    def opener(self):
        return Opener(liars.Honest, durable=False)

    def test_more_of_its_own(self):
        pass

class TestLiar(TestHonest):
    @pytest.fixture
    def opener(self):
        return Opener(liars.OverwritesTheReason, durable=False)
"""


def test_an_application_gets_a_clock_and_sessions(pytester: pytest.Pytester) -> None:
    """`fake_clock` moves the time of `sessions`, and every test has its own."""
    pytester.makepyfile(APPLICATION)
    pytester.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=2)


def test_a_contract_is_a_test_for_each_promise(pytester: pytest.Pytester) -> None:
    """Each promise is a test of its own, named for it; what cannot be asked is skipped with its reason, and a lie fails."""
    pytester.makepyfile(CONTRACT)
    ran = pytester.runpytest_inprocess(*PLUGIN, "-rs", "-k", "end. or what_was or more_of")
    ran.stdout.fnmatch_lines(["*its data cannot be opened again*"])
    ran.stdout.fnmatch_lines(["*PromiseBroken: end.is_idempotent_and_the_first_reason_stays: However often*"])
    ran.assert_outcomes(passed=11, failed=1, skipped=8)


def test_a_run_that_does_not_use_it_loads_nothing_of_it() -> None:
    """The plugin alone loads nothing of the kit, and no database driver, Hypothesis or server."""
    script = (
        "import sys, stillhere.testing.plugin as plugin; "
        "loaded = [name for name in sys.modules if name.startswith('stillhere.testing.')]; "
        "assert loaded == ['stillhere.testing.plugin'], loaded; "
        "assert not {'sqlalchemy', 'hypothesis', 'alembic', 'psycopg', 'redis', 'uvicorn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_it_changes_nothing_for_others(pytester: pytest.Pytester) -> None:
    """A run without any use of it collects, names and reports its tests as it would without the plugin."""
    pytester.makepyfile("import pytest\n@pytest.mark.parametrize('promise', [1, 2])\ndef test_mine(promise):\n    pass")
    lines = [
        pytester.runpytest_inprocess("-v", *options).stdout.lines for options in (PLUGIN, (*PLUGIN, "-p", "no:stillhere.testing.plugin"))
    ]
    told = [[line for line in run if "::" in line] for run in lines]
    assert told[0] == told[1]
    assert len(told[0]) == 2
