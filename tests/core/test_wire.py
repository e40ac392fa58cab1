"""The wire: whatever arrives becomes beats, or is refused by name."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.core.wire import LONGEST_MS, MAX_BODY_BYTES, PLAIN, Beat, Kind, read_beats
from stillhere.errors import BadBeat
from tests.core.worlds import beats

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
members = st.dictionaries(
    st.sampled_from(
        [
            *("kind", "seq", "tab", "view", "page", "title", "visibleMs", "activeMs", "scrollPct", "idleMs", "lifecycle", "ageMs"),
            *("heat", "bands", "beats"),
        ]
    ),
    json_values,
    max_size=4,
)


@given(body=st.binary() | members.map(lambda value: json.dumps(value).encode()) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_body_gives_beats_or_is_refused(body: bytes) -> None:
    """Nothing a browser or an attacker sends ends in anything but beats or a `BadBeat` with 400 or 422."""
    read: list[Beat] | BadBeat
    try:
        read = read_beats(body)
    except BadBeat as error:
        read = error
    if isinstance(read, BadBeat):
        assert read.status_hint == (400 if read.field is None else 422)
        assert read.field is None or read.field.startswith("$")
    else:
        assert 1 <= len(read) <= 100
        assert all(isinstance(beat, Beat) for beat in read)


@given(sent=st.lists(beats, min_size=1, max_size=5))
def test_what_was_written_is_what_is_read(sent: list[Beat]) -> None:
    """Every beat survives the way over the wire, alone or in a queue, in order."""
    assert read_beats(msgspec.json.encode({"beats": sent})) == sent
    assert [msgspec.to_builtins(beat) for beat in read_beats(msgspec.json.encode(sent[0]))] == [
        {**msgspec.to_builtins(sent[0]), "beats": None}
    ]


def test_no_body_is_a_plain_beat() -> None:
    """A request without a body is presence, with no view and no evidence."""
    assert read_beats(b"") == [PLAIN]
    assert PLAIN.kind is Kind.BEAT
    assert PLAIN.is_plain


@pytest.mark.parametrize("said", [b'{"view":"v"}', b'{"lifecycle":"hidden"}', b'{"visibleMs":0}', b'{"idleMs":0}'], ids=bytes.decode)
def test_a_beat_that_says_anything_of_its_page_is_not_plain(said: bytes) -> None:
    """Only a message that says nothing is taken for a page on screen."""
    assert not read_beats(said)[0].is_plain


@pytest.mark.parametrize(
    ("member", "good", "bad"),
    [
        ("tab", "a" * 64, "a" * 65),
        ("view", "-_aZ9", "a.b"),
        ("page", "/" + "ü" * 1_023, "/" + "ü" * 1_024),
        ("title", "T" * 300, "T" * 301),
        ("page", "/a\u00a0b", "/a\u009fb"),
        ("title", "a b", "a\tb"),
        ("title", "~", "\x7f"),
        ("title", "ok", "\x00"),
        ("visibleMs", LONGEST_MS, LONGEST_MS + 1),
        ("activeMs", 0, -1),
        ("scrollPct", 99.999, -0.001),
        ("heat", ".".join(["zzzzz"] * 20), ".".join(["0"] * 19 + ["100000"])),
        ("heat", ".".join(["0"] * 20), ".".join(["0"] * 19)),
        ("heat", ".".join(["0"] * 20), ".".join(["0"] * 21)),
        ("heat", ".".join(["0"] * 20), ".".join(["0"] * 20) + "\n"),
        ("heat", ".".join(["1a"] * 20), ".".join(["1A"] * 20)),
        ("heat", ".".join(["1"] * 20), ".".join(["1"] * 19 + ["\u0661"])),
        ("bands", ".".join(["azzzzzzz"] * 64), ".".join(["a0"] * 65)),
        ("bands", "a1.i2.h3", "a1.i2.h3."),
        ("bands", "h1", "h00000001"),
        ("bands", "aaaaaaa", "x1"),
        ("bands", "i0", "i"),
        ("bands", "i0", "i0\n"),
        ("bands", "i0", ""),
        ("beats", [{}] * 100, [{}] * 101),
    ],
)
def test_a_member_is_taken_up_to_its_border_and_refused_beyond(member: str, good: object, bad: object) -> None:
    """The refusal names the member, in a single beat and in a queue."""
    assert read_beats(json.dumps({member: good}).encode())
    with pytest.raises(BadBeat) as alone:
        read_beats(json.dumps({member: bad}).encode())
    assert (alone.value.status_hint, alone.value.field) == (422, f"$.{member}")
    if member != "beats":
        with pytest.raises(BadBeat) as queued:
            read_beats(json.dumps({"beats": [{}, {member: bad}]}).encode())
        assert queued.value.field == f"$.beats[1].{member}"


def test_a_refusal_says_what_was_expected() -> None:
    """The sentence is fit for a developer's eyes and holds no trace of the library's path."""
    with pytest.raises(BadBeat, match=r"^Expected `int` >= 0$"):
        read_beats(b'{"idleMs":-1}')


def test_a_body_nested_without_end_is_refused() -> None:
    """The deepest body that fits costs one refusal."""
    body = b'{"x":' + b"[" * (MAX_BODY_BYTES - 5)
    with pytest.raises(BadBeat, match="nested too deeply") as refused:
        read_beats(body)
    assert (refused.value.status_hint, refused.value.field) == (400, None)


def test_a_queue_in_a_queue_is_not_opened() -> None:
    """Beats don't hold beats; what is further in is an unknown member."""
    assert read_beats(b'{"beats":[{"beats":[{},{}],"seq":1}]}') == [Beat(seq=1)]
