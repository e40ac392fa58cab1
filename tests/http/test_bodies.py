"""Bodies: sizes, media types, and every kind of nonsense; none of it changes anything."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.core.wire import MAX_BODY_BYTES
from tests.http.doubles import OURS, Web, assert_problem

VIEW: Final = {"view": "v1", "visibleMs": 1_000, "idleMs": 0, "lifecycle": "active"}


def padded(size: int) -> bytes:
    """Write a beat of exactly so many bytes; unknown members are ignored."""
    empty = len(json.dumps({**VIEW, "padding": ""}))
    return json.dumps({**VIEW, "padding": "x" * (size - empty)}).encode()


@pytest.mark.parametrize("path", ["/session/beat", "/session/end"])
async def test_the_largest_body_passes_and_one_byte_more_does_not(path: str) -> None:
    """65,536 bytes are taken in; 65,537 are 413 and leave everything as it was."""
    web = Web()
    started = await web.sign_in()
    web.clock.advance(5_000)
    before = web.kept()
    assert len(padded(MAX_BODY_BYTES)) == 65_536
    assert_problem(await web.ask("POST", path, secret=started.secret, body=padded(65_537)), 413)
    assert web.kept() == before
    assert (await web.ask("POST", path, secret=started.secret, body=padded(65_536))).status == 200
    assert web.kept() != before


@pytest.mark.parametrize(
    "media_type",
    [
        None,
        "application/json",
        "text/plain",
        "text/plain;charset=UTF-8",
        "APPLICATION/JSON",
        "application/json ; charset=utf-8",
        " text/plain ",
    ],
)
async def test_media_types_that_pass(media_type: str | None) -> None:
    """JSON in application/json, as text/plain as beacons send it, or unnamed is read."""
    web = Web()
    started = await web.sign_in()
    headers = OURS if media_type is None else {**OURS, "content-type": media_type}
    answer = await web.ask("POST", "/session/beat", secret=started.secret, headers=headers, body=VIEW)
    assert answer.status == 200
    assert len(web.store.views) == 1


@pytest.mark.parametrize(
    "media_type",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json, text/plain",
        "text/html",
        "*/*",
        "\xff",
    ],
)
@pytest.mark.parametrize("path", ["/session/beat", "/session/end"])
async def test_other_media_types_are_415(path: str, media_type: str) -> None:
    """A body of any other type is refused and changes nothing; the sentence names both types that pass."""
    web = Web()
    started = await web.sign_in()
    web.clock.advance(5_000)
    before = web.kept()
    answer = await web.ask("POST", path, secret=started.secret, headers={**OURS, "content-type": media_type}, body=VIEW)
    assert "application/json or text/plain" in assert_problem(answer, 415)["detail"]
    assert web.kept() == before


async def test_without_a_body_the_media_type_does_not_matter() -> None:
    """Existing clients send no body under any type; that is a plain beat."""
    web = Web()
    started = await web.sign_in()
    headers = {**OURS, "content-type": "application/x-www-form-urlencoded"}
    assert (await web.ask("POST", "/session/beat", secret=started.secret, headers=headers)).status == 200


UNREADABLE: Final = (
    b"{",
    b" ",
    b"{}{}",
    b"beat",
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b"\x00",
    b'{"visibleMs":}',
    b'{"scrollPct":NaN}',
    b'{"scrollPct":Infinity}',
    b"{'kind':'beat'}",
    b'{"title":"\xff"}',
    b'{"title":"\xed\xa0\x80"}',
    b'{"title":"\\ud800"}',
    b'{"title":"a\nb"}',
    b'{"a":' * 10_000,
    "{}".encode("utf-16"),
    b"kind=beat",
    b"<beat/>",
)


@pytest.mark.parametrize("body", UNREADABLE, ids=lambda body: repr(body[:24]))
@pytest.mark.parametrize("path", ["/session/beat", "/session/end"])
async def test_what_is_not_json_is_400(path: str, body: bytes) -> None:
    """What is not JSON in UTF-8 is 400 with a sentence and no field; the session is untouched."""
    web = Web()
    started = await web.sign_in()
    web.clock.advance(5_000)
    before = web.kept()
    assert "field" not in assert_problem(await web.ask("POST", path, secret=started.secret, body=body), 400)
    assert web.kept() == before


WRONG: Final[tuple[tuple[object, str], ...]] = (
    ([], "$"),
    (None, "$"),
    ("beat", "$"),
    (7, "$"),
    ([VIEW], "$"),
    ({"kind": "shout"}, "$.kind"),
    ({"kind": 1}, "$.kind"),
    ({"seq": -1}, "$.seq"),
    ({"seq": 2**53}, "$.seq"),
    ({"seq": 10**400}, "$.seq"),
    ({"seq": 1.5}, "$.seq"),
    ({"seq": "1"}, "$.seq"),
    ({"seq": True}, "$.seq"),
    ({"tab": ""}, "$.tab"),
    ({"tab": "x" * 65}, "$.tab"),
    ({"tab": "a b"}, "$.tab"),
    ({"tab": "a\n"}, "$.tab"),
    ({"tab": "é"}, "$.tab"),
    ({"view": "../etc"}, "$.view"),
    ({"view": {}}, "$.view"),
    ({"page": "x" * 1025}, "$.page"),
    ({"page": []}, "$.page"),
    ({"title": "x" * 301}, "$.title"),
    ({"title": 5}, "$.title"),
    ({"visibleMs": -1}, "$.visibleMs"),
    ({"visibleMs": 31_536_000_001}, "$.visibleMs"),
    ({"visibleMs": "1000"}, "$.visibleMs"),
    ({"activeMs": 1e10 + 0.5}, "$.activeMs"),
    ({"activeMs": []}, "$.activeMs"),
    ({"scrollPct": -0.1}, "$.scrollPct"),
    ({"scrollPct": 100.1}, "$.scrollPct"),
    ({"scrollPct": "50"}, "$.scrollPct"),
    ({"idleMs": -5}, "$.idleMs"),
    ({"idleMs": False}, "$.idleMs"),
    ({"lifecycle": "asleep"}, "$.lifecycle"),
    ({"ageMs": 10**18}, "$.ageMs"),
    ({"beats": []}, "$.beats"),
    ({"beats": {}}, "$.beats"),
    ({"beats": [VIEW] * 101}, "$.beats"),
    ({"beats": [VIEW, 5]}, "$.beats[1]"),
    ({"beats": [VIEW, VIEW, VIEW, {"idleMs": -1}]}, "$.beats[3].idleMs"),
    ({"beats": [VIEW] * 99 + [{"view": ""}]}, "$.beats[99].view"),
)


@pytest.mark.parametrize(("body", "field"), WRONG, ids=lambda part: str(part)[:40])
@pytest.mark.parametrize("path", ["/session/beat", "/session/end"])
async def test_a_wrong_member_is_422_and_named(path: str, body: object, field: str) -> None:
    """A member of the wrong type or out of range is 422, `field` names it, and not one beat of the message counts."""
    web = Web()
    started = await web.sign_in()
    web.clock.advance(5_000)
    before = web.kept()
    assert assert_problem(await web.ask("POST", path, secret=started.secret, body=json.dumps(body).encode()), 422)["field"] == field
    assert web.kept() == before


@pytest.mark.parametrize("member", ["page", "title"])
@pytest.mark.parametrize("character", ["\x00", "\x1b", "\n", "\x7f", "\x9b"])
async def test_control_characters_are_refused(member: str, character: str) -> None:
    """Text that could disturb a terminal, a log or a database is 422, and the member is named."""
    web = Web()
    started = await web.sign_in()
    before = web.kept()
    for text in (f"a{character}b", f"a{character}", character):
        answer = await web.ask("POST", "/session/beat", secret=started.secret, body={**VIEW, member: text})
        assert assert_problem(answer, 422)["field"] == f"$.{member}"
    assert web.kept() == before


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"unknown": {"deep": [1, 2]}},
        {"kind": None, "view": None, "idleMs": None, "beats": None},
        {"seq": 2**53 - 1},
        {"visibleMs": 31_536_000_000},
        {"page": "x" * 1024, "title": "ü" * 300},
        {"scrollPct": 100, "tab": "A-z_9"},
        {"beats": [VIEW] * 100},
    ],
    ids=lambda body: str(body)[:40],
)
async def test_the_limits_themselves_pass(body: dict[str, Any]) -> None:
    """Values at their limits pass, unknown members are ignored, `null` means absent."""
    web = Web()
    started = await web.sign_in()
    assert (await web.ask("POST", "/session/beat", secret=started.secret, body=body)).status == 200


@given(body=st.binary(max_size=200) | st.text(max_size=50).map(str.encode))
async def test_no_bytes_whatever_disturb_a_session(body: bytes) -> None:
    """Random bytes are answered 200, 400 or 422; on the latter two nothing has changed."""
    web = Web()
    started = await web.sign_in()
    web.clock.advance(5_000)
    before = web.kept()
    answer = await web.ask("POST", "/session/beat", secret=started.secret, body=body)
    assert answer.status in {200, 400, 422}
    assert answer.status == 200 or web.kept() == before
