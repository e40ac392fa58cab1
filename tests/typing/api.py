"""Never run: the public face as its users write it, for type checkers."""

from collections.abc import Sequence
from typing import assert_type

from stillhere import EndedBy, Policy, Session, SessionManager, Started, Verdict, build_policy, hours, minutes


async def use() -> None:
    """Touch every public verb."""
    policy = Policy(idle_timeout=minutes(20), absolute_timeout=hours(24))
    assert_type(build_policy("owasp", idle_timeout=minutes(10)), Policy)
    async with SessionManager("sqlite:///app.db", policy=policy) as sessions:
        started = await sessions.start("person@company.example", attributes={"role": "reader"})
        assert_type(started, Started)
        assert_type(started.session, Session)
        verdict = await sessions.authenticate(started.secret)
        assert_type(verdict, Verdict)
        assert_type(verdict.is_alive, bool)
        assert_type(await sessions.look(started.secret), Verdict)
        assert_type(await sessions.extend(started.secret), Verdict)
        assert_type(await sessions.rotate(started.secret), Started | None)
        assert_type(await sessions.reauthenticated(started.secret, step_up_ms=minutes(5)), Started | None)
        assert_type(await sessions.people.is_fresh(started.session), bool)
        assert_type(await sessions.people.has_stepped_up(started.session), bool)
        assert_type(await sessions.people.generation("person@company.example"), int)
        assert_type(await sessions.list("person@company.example"), Sequence[Session])
        assert_type(await sessions.end(started.secret, EndedBy.SIGNED_OUT), Verdict)
        assert_type(await sessions.end_by_handle(started.session.handle), Verdict)
        assert_type(await sessions.end_all("person@company.example", but=started.session.handle), int)
        assert_type(await sessions.sweep(), int)
