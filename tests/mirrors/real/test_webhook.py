"""Webhooks: signed, in order, at least once under one id, and to nobody but whom the settings name."""

from __future__ import annotations

import base64
import json
import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from stillhere.errors import SettingsError
from stillhere.mirrors.webhook import Receiver, Webhook, receiver, sign
from stillhere.tokens.provider.transport import HttpxTransport, Reply
from tests.mirrors.stand import HOUR, MINUTE
from tests.services.http import Answered, Asked, http_thread
from tests.services.weather import Fault, Forecast, Weather

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stillhere.mirrors.drain import Drain
    from stillhere.tokens.provider.transport import Call
    from tests.mirrors.stand import Stand
    from tests.support import FakeClock

OLD = "whsec_" + base64.b64encode(b"old" * 10).decode()
NEW = "whsec_" + base64.b64encode(b"new" * 10).decode()


class Hook:
    """Somebody who receives.

    Attributes:
        got: what was asked, in order.
        answers: what the next are answered with; then 204.
    """

    def __init__(self) -> None:
        self.got: list[Asked] = []
        self.answers: list[Answered] = []

    def __call__(self, asked: Asked) -> Answered:
        """Take it."""
        self.got.append(asked)
        return self.answers.pop(0) if self.answers else Answered(status=204)

    @property
    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """What was told of visits: event and data."""
        told = [json.loads(asked.body) for asked in self.got]
        return [(one["type"], one["data"]) for one in told if one["type"].startswith("visit")]

    @property
    def ids(self) -> list[str]:
        """The ids of all messages."""
        return [asked.headers["webhook-id"] for asked in self.got]


@pytest.fixture
def hook() -> Hook:
    """Give a receiver."""
    return Hook()


@pytest.fixture
def weather(hook: Hook, clock: FakeClock) -> Iterator[Weather]:
    """Put the receiver behind some weather."""
    with http_thread(hook) as server:
        weather = Weather(server.url, clock, calls=1_000)
        yield weather
        weather.close()


@pytest.fixture
def drain(stand: Stand, weather: Weather) -> Drain:
    """Give a drain to it."""
    return stand.drain(Webhook(_to(weather), transport=Forecast(weather), clock=stand.clock))


def _to(weather: Weather) -> Receiver:
    return receiver(f"{weather.url}/hook?key=of-the-receiver", f"{NEW} {OLD}")


async def test_a_visit_is_told_when_it_starts_and_when_it_is_over(hook: Hook, drain: Drain, stand: Stand) -> None:
    """Start, end with totals and pages, and a return as such; growth in between is no event. A short absence does not end a visit."""
    visitor = await stand.arrive()
    await drain.run()
    await visitor.stay(MINUTE)
    await drain.run()
    await visitor.leave(10_000)
    await drain.run()
    assert [event for event, _ in hook.events] == ["visit.started"]
    await stand.pass_time(drain, HOUR, step_ms=MINUTE)
    await stand.arrive()
    await drain.run()
    assert [event for event, _ in hook.events] == ["visit.started", "visit.ended", "visit.returned"]
    ended = hook.events[1][1]
    assert (ended["visitor"], ended["visibleMs"], ended["endedBy"], ended["views"]) == (visitor.name, 70_000, "leave", 1)
    assert ended["pages"] == [
        {"page": "/report", "title": "The report", "visibleMs": 70_000, "activeMs": ended["activeMs"], "scrollPct": 0}
    ]
    told = [json.loads(asked.body)["type"] for asked in hook.got]
    assert told[0] == "session.started" or told[1] == "session.started"
    assert "session.ended" in told
    assert len(set(hook.ids)) == len(hook.ids)


async def test_the_scheme_s_own_library_believes_it(hook: Hook, drain: Drain, stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either secret verifies while one is replaced, no other does, and neither a changed body nor an old message is believed."""
    await stand.arrive()
    await drain.run()
    asked = hook.got[0]
    for secret in (OLD, NEW):
        verifier = Verifier(secret)
        monkeypatch.setattr("standardwebhooks.webhooks.datetime", _Standing(stand.clock()))
        assert verifier.verify(asked.body, asked.headers)["type"].endswith(".started")
        with pytest.raises(WebhookVerificationError):
            verifier.verify(asked.body.replace(b"fund", b"find"), asked.headers)
    with pytest.raises(WebhookVerificationError):
        Verifier("whsec_" + base64.b64encode(b"no!" * 10).decode()).verify(asked.body, asked.headers)
    monkeypatch.setattr("standardwebhooks.webhooks.datetime", _Standing(stand.clock() + HOUR))
    with pytest.raises(WebhookVerificationError):
        Verifier(OLD).verify(asked.body, asked.headers)


class _Standing:
    """A datetime class whose now stands still."""

    def __init__(self, at: int) -> None:
        self._real = datetime
        self._at = at

    def now(self, tz: Any = None) -> Any:
        return self._real.fromtimestamp(self._at / 1000, tz)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.mark.parametrize("fault", [Fault.BROKEN, Fault.LOST, Fault.SLOW, Fault.DROPPED])
async def test_events_are_told_until_they_are_taken(hook: Hook, drain: Drain, stand: Stand, weather: Weather, fault: Fault) -> None:
    """However often a call fails: every event arrives, in order for each visit, and one that comes twice has the same id."""
    for number in range(4):
        visitor = await stand.arrive(f"visitor{number}@fund.example")
        await visitor.leave(1_000)
    weather.faults.extend([fault, None] * 8)
    await stand.pass_time(drain, HOUR, step_ms=MINUTE)
    by_visit: dict[str, list[str]] = {}
    seen = set[str]()
    for asked in hook.got:
        event = json.loads(asked.body)
        if asked.headers["webhook-id"] not in seen and event["type"].startswith("visit"):
            by_visit.setdefault(event["data"]["visit"], []).append(event["type"])
        seen.add(asked.headers["webhook-id"])
    assert list(by_visit.values()) == [["visit.started", "visit.ended"]] * 4
    assert (await drain.state()).state == "well"


async def test_an_answer_that_does_not_come_is_given_up(stand: Stand, weather: Weather) -> None:
    """A call takes no longer than its time-out; the receiver is then away."""
    weather.always = Fault.SLOW
    drain = stand.drain(Webhook(_to(weather), transport=HttpxTransport(), clock=stand.clock, timeout=500))
    await stand.arrive()
    await drain.run()
    state = await drain.state()
    assert (state.state, state.last_error) == ("away", "it does not answer in time")
    await drain.close()


@pytest.mark.parametrize("fault", [Fault.GATEWAY, Fault.BROKEN, Fault.DROPPED])
async def test_half_a_day_of_trouble_loses_nothing(hook: Hook, drain: Drain, stand: Stand, weather: Weather, fault: Fault) -> None:
    """However long a gateway answers for a receiver that is away, or it breaks: no event is given up, and all are told afterwards."""
    await stand.outlast(drain, weather, fault, visits=6)
    assert sorted(event for event, _ in hook.events) == ["visit.ended"] * 6 + ["visit.started"] * 6


async def test_a_receiver_that_refuses_everything_loses_nothing(hook: Hook, drain: Drain, stand: Stand) -> None:
    """An address that is wrong for half a day, or a secret, is nobody's fault who waits: nothing is given up, and the state says why."""
    hook.answers = [Answered(status=404)] * 10_000
    await (await stand.arrive()).leave(MINUTE)
    await stand.pass_time(drain, 12 * HOUR, step_ms=5 * MINUTE)
    await drain.run()
    state = await drain.state()
    assert (state.state, state.dead, state.last_error) == ("behind", 0, "it answers 404")
    assert len(hook.got) < 100
    hook.answers.clear()
    await stand.until_quiet(drain, step_ms=MINUTE)
    assert [event for event, _ in hook.events][-2:] == ["visit.started", "visit.ended"]


@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [
        ({"retry-after": "600"}, 600),
        ({"retry-after": "99999999999"}, 3_600),
        ({"retry-after": "Tue, 14 Nov 2023 22:23:20 GMT"}, 600),
        ({"retry-after": "Tue, 14 Nov 2023 22:23:20 GMT", "date": "Tue, 14 Nov 2023 22:18:20 GMT"}, 300),
        ({"retry-after": "Tue, 14 Nov 2023 22:00:00 GMT"}, 1),
        ({"retry-after": "some day"}, 1),
        ({}, 1),
    ],
)
@pytest.mark.parametrize("status", [503, 500, 429])
async def test_how_long_a_receiver_wants_to_be_left_alone_is_kept(stand: Stand, status: int, headers: dict[str, str], pause_s: int) -> None:
    """`Retry-After` is seconds, or a date, held against the answer's own; an hour at most, and after a 429 half a minute at least."""
    transport = Answering(Reply(status=status, headers=headers, body=b""))
    drain = stand.drain(Webhook(receiver("https://crm.firm.example/hook", OLD), transport=transport, clock=stand.clock))
    await stand.arrive()
    began_at = stand.clock()
    await drain.run()
    mark = await stand.outbox.mark(drain.mirror.name)
    assert mark is not None
    assert mark.pause_until_at - began_at == max(pause_s, 30 if status == 429 else 1) * 1_000


class Answering:
    """A transport that answers everything with one reply."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    async def send(self, call: Call) -> Reply:  # noqa: ARG002  # whatever it is
        """See `Transport.send`."""
        return self._reply

    async def close(self) -> None:
        """See `Transport.close`."""


async def test_one_message_that_is_refused_holds_up_no_other(hook: Hook, drain: Drain, stand: Stand) -> None:
    """A 400 is about the message: it is tried again later, and others are told meanwhile."""
    hook.answers = [Answered(status=400)]
    await stand.arrive("one@fund.example")
    await stand.arrive("two@fund.example")
    await drain.run()
    assert len(hook.got) == 4
    await stand.until_quiet(drain)
    assert len(hook.got) == 5
    assert hook.ids[4] == hook.ids[0]


async def test_a_receiver_that_is_gone_is_called_no_more(hook: Hook, drain: Drain, stand: Stand) -> None:
    """After a 410 nobody calls until an operator says so; then everything is told that was kept."""
    hook.answers = [Answered(status=410)]
    await (await stand.arrive()).leave(1_000)
    await stand.pass_time(drain, 5 * HOUR, step_ms=10 * MINUTE)
    assert len(hook.got) == 1
    state = await drain.state()
    assert state.state == "off"
    assert "410" in (state.last_error or "")
    assert await stand.outbox.wake(drain.mirror.name)
    await drain.run()
    assert [event for event, _ in hook.events] == ["visit.started", "visit.ended"] or len(hook.got) > 3
    assert (await drain.state()).state == "well"


async def test_no_redirect_is_followed(hook: Hook, drain: Drain, stand: Stand) -> None:
    """A receiver that points elsewhere sends nothing there: the message is for the address that the settings name."""
    with http_thread(lambda asked: pytest.fail(f"was called: {asked.target}")) as elsewhere:
        hook.answers = [Answered(status=307, headers={"location": elsewhere.url})]
        await stand.arrive()
        await drain.run()
    assert len(hook.got) == 1
    assert (await drain.state()).state == "away"


async def test_no_secret_is_told(drain: Drain, stand: Stand, hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the secrets nor the address's own key are in the log, in the state, or in what is printed."""
    caplog.set_level(logging.DEBUG, "stillhere")
    hook.answers = [Answered(status=500, body=b'{"error":"bad ?key=of-the-receiver"}')] * 3
    await stand.arrive()
    await stand.pass_time(drain, MINUTE)
    told = " ".join(record.getMessage() for record in caplog.records if record.name == "stillhere")
    shown = f"{told} {await drain.state()} {receiver('https://a.example/of-the-receiver', OLD)}"
    for secret in ("of-the-receiver", OLD, NEW, OLD[6:]):
        assert secret not in shown


@pytest.mark.parametrize(
    "url",
    [
        "http://crm.firm.example/hook",
        "ftp://crm.firm.example/",
        "https://user:password@crm.firm.example/",
        "https:///nowhere",
        "crm.firm.example",
        "https://crm.firm.example/#part",
        "https://[::1",
        "https://crm.firm.example/a\nb",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
    ],
)
def test_addresses_that_are_none_to_send_to_are_refused(url: str) -> None:
    """Only https, or http on this machine; and what was given is not repeated, for it may hold a secret."""
    with pytest.raises(SettingsError) as refused:
        receiver(url, OLD)
    assert "password" not in str(refused.value).replace("a password", "")


@pytest.mark.parametrize("secret", ["", "whsec_short", "whsec_" + "a" * 200, OLD[6:], "whsec_!!!", f"{OLD} nothing"])
def test_secrets_that_are_none_are_refused(secret: str) -> None:
    """A secret is as long as the scheme asks for, or the program does not start; it is not in the message."""
    with pytest.raises(SettingsError) as refused:
        receiver("https://crm.firm.example/hook", secret)
    assert not secret or secret not in str(refused.value)


def test_addresses_of_this_machine_may_be_http() -> None:
    """While developing a receiver is on loopback, where nobody listens in."""
    for url in ("http://127.0.0.1:9000/hook", "http://localhost/hook", "http://[::1]:9000/", "https://crm.firm.example/hook"):
        assert isinstance(receiver(url, OLD), Receiver)


def test_the_signature_is_the_one_of_the_scheme_s_example() -> None:
    """The example of the specification gives the signature that it names."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = sign([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330_000, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
