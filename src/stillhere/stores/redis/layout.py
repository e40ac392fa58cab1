"""Which key holds what, and how records are packed. docs/redis.md has the table."""

from __future__ import annotations

import json
import re
from binascii import a2b_base64, b2a_base64
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zlib import crc32

import msgspec

from stillhere.core.grants import Grant, Held
from stillhere.core.ids import hash_name
from stillhere.core.records import Claim, EndedBy, Lifecycle, Session, View, Visit
from stillhere.core.rules import deadline
from stillhere.errors import StoreRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

VERSION: Final = 2
"""Of this layout. It goes up when an older release could not read what a newer one wrote."""

TAGS: Final = 64
"""Parts into which sessions are divided. All keys of a part are in one slot of a cluster, so one script may touch them."""

INDEXES: Final = 256
"""Indexes in each part. With up to two million sessions each stays small enough for Redis to pack it tightly."""

ENDED: Final = 2**52
"""Taken from the instant of an end, so that those who have ended stand below zero in their index."""

LITTER_MS: Final = 400 * 86_400_000
"""What nobody used for so long is litter. `record.lua` has it too."""

_RAW_HASH: Final = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_TO_STANDARD: Final = str.maketrans("-_", "+/")
_TO_URLSAFE: Final = bytes.maketrans(b"+/", b"-_")
_RAW_LENGTH: Final = 32
_LONGEST_PROOF: Final = 255
_RAW_HEAD: Final = bytes([_RAW_LENGTH])
_NOBODYS: Final = bytes([0])


class Place(NamedTuple):
    """Where a session is kept.

    Attributes:
        tag: its part.
        number: of its index, over all parts.
        handle: its handle, as Redis sees it.
    """

    tag: int
    number: int
    handle: bytes

    @property
    def bit(self) -> int:
        """Number of its index in its part."""
        return self.number // TAGS


class Layout:
    """The names of all keys under one prefix.

    Args:
        prefix: what all of them begin with.
    """

    def __init__(self, prefix: str) -> None:
        """Write the names down once."""
        parts = [f"{prefix}:{{{tag}}}:".encode() for tag in range(TAGS)]
        notes = [f"{prefix}:{{u{tag}}}:".encode() for tag in range(TAGS)]
        self.channel = f"{prefix}:ended".encode()
        self.version = parts[0] + b"layout"
        self.audit = parts[0] + b"audit"
        self.sessions = [part + b"s" for part in parts]
        self.filled = [part + b"i" for part in parts]
        self.marks = [part + b"d" for part in parts]
        self.counters = [part + b"c" for part in parts]
        self.checks = [(part + b"check1", part + b"check2") for part in (*parts, *notes)]
        self.kinds = [part + b"k" for part in parts]
        self.generations = [part + b"e" for part in notes]
        self._parts = parts
        self._notes = notes
        self._views = [part + b"v:" for part in parts]
        self.indexes = [parts[n % TAGS] + b"x:%d" % (n // TAGS) for n in range(TAGS * INDEXES)]
        self._subjects = [part + b"u:" for part in notes]

    def views(self, place: Place) -> bytes:
        """Name the key of a session's visits and views."""
        return self._views[place.tag] + place.handle

    def grants(self, tag: int, kind: str) -> tuple[bytes, bytes]:
        """Name the keys of a part's grants of a kind, and of when they are due."""
        return self._parts[tag] + b"g:" + kind.encode(), self._parts[tag] + b"q:" + kind.encode()

    def first(self, name: str) -> tuple[int, bytes]:
        """Tell the part and the key under which a name is taken."""
        return self._named(name, b"f:")

    def handles(self, name: str) -> tuple[int, bytes]:
        """Tell the part and the key under which the sessions of a name are noted."""
        return self._named(name, b"n:")

    def _named(self, name: str, kind: bytes) -> tuple[int, bytes]:
        digest = hash_name(name).encode()
        number = crc32(digest) % TAGS
        return TAGS + number, self._notes[number] + kind + digest

    def generation(self, subject: str) -> tuple[int, bytes, bytes]:
        """Tell the part, the key and the field under which a subject's generation is kept."""
        digest = hash_name(subject).encode()
        number = crc32(digest) % TAGS
        return TAGS + number, self.generations[number], digest

    def indexes_of(self, tag: int, filled: bytes) -> list[bytes]:
        """Name the indexes of one part that have anything in them: those whose bit is set."""
        numbers = [8 * place + bit for place, byte in enumerate(filled) if byte for bit in range(8) if byte & (0x80 >> bit)]
        return [self.indexes[tag + TAGS * number] for number in numbers]

    def subject(self, subject: str) -> tuple[int, bytes, int]:
        """Tell the part, the key and the score under which a subject's handles are noted."""
        text = subject.encode()
        bucket = crc32(text) % (TAGS * INDEXES)
        score = int.from_bytes(blake2b(text, digest_size=8).digest(), "big") >> 12
        return TAGS + bucket % TAGS, self._subjects[bucket % TAGS] + b"%d" % (bucket // TAGS), score


def place_of(handle: str) -> Place:
    """Tell where a session is kept."""
    text = handle.encode()
    number = crc32(text) % (TAGS * INDEXES)
    return Place(number % TAGS, number, text)


class _Session(msgspec.Struct, array_like=True, frozen=True):
    subject: str
    attributes: str
    created_at: int
    idle_timeout: int
    absolute_after: int
    active_after: int
    seen_after: int
    ended_after: int | None
    ended_by: EndedBy | None


class _View(msgspec.Struct, array_like=True, frozen=True):
    visit: int
    tab: str | None
    page: str | None
    title: str | None
    opened_at: int
    last_seen_at: int
    visible_ms: int
    active_ms: int
    scroll_pct: float
    lifecycle: Lifecycle | None
    seq: int
    heat: str | None
    bands: str | None


class _Visit(msgspec.Struct, array_like=True, frozen=True):
    number: int
    started_at: int
    last_seen_at: int
    covered_until_at: int
    visible_ms: int
    active_ms: int
    left_at: int | None
    uncounted_from_at: int = 0
    uncounted_until_at: int = 0


_read_session: Final = msgspec.msgpack.Decoder(_Session).decode
_read_view: Final = msgspec.msgpack.Decoder(_View).decode
_read_visit: Final = msgspec.msgpack.Decoder(_Visit).decode
_write: Final = msgspec.msgpack.Encoder().encode


def _list_of(count: int) -> bytes:
    # Lua packs values one after the other; with this in front they are a list.
    return bytes([0x90 + count])


_SESSION, _VIEW, _VISIT, _VISIT_UNCOUNTED = _list_of(9), _list_of(13), _list_of(7), _list_of(9)


def head_of(id_hash: str) -> bytes:
    """Write an `id_hash` as the head of a record: how many bytes, then the 32 of a hash, or a text of any other kind, marked."""
    if _RAW_HASH.fullmatch(id_hash):
        return _RAW_HEAD + a2b_base64(id_hash.translate(_TO_STANDARD) + "=")
    text = b"=" + id_hash.encode()
    if len(text) == _RAW_LENGTH:
        text += b"\0"  # so that only the bytes of a hash are ever 32
    return bytes([len(text)]) + text if len(text) <= _LONGEST_PROOF else _NOBODYS


def _id_hash_of(head: bytes) -> str:
    if len(head) == _RAW_LENGTH + 1:
        return b2a_base64(head[1:], newline=False).translate(_TO_URLSAFE, b"=").decode()
    return head[2:].removesuffix(b"\0").decode()


def new_head(id_hash: str) -> bytes:
    """Write the head of a record to be kept.

    Raises:
        StoreRefused: if the `id_hash` is longer than one can be.
    """
    head = head_of(id_hash)
    if head == _NOBODYS:
        raise StoreRefused("a session's id_hash is far longer than a hash; it cannot be kept")
    return head


def write_session(session: Session) -> bytes:
    """Pack a new session."""
    begin = session.created_at
    fields = (
        session.subject,
        json.dumps(session.attributes, separators=(",", ":")) if session.attributes else "",
        begin,
        session.idle_timeout,
        session.absolute_end_at - begin,
        session.last_active_at - begin,
        session.last_seen_at - begin,
        None if session.ended_at is None else session.ended_at - begin,
        session.ended_by,
    )
    return new_head(session.id_hash) + _write(fields)[1:]


def read_session(handle: str, raw: bytes, id_hash: str | None = None) -> Session:
    """Unpack a session; its `id_hash` need not be read if it is known."""
    end = raw[0] + 1
    kept = _read_session(_SESSION + raw[end:])
    begin = kept.created_at
    return Session(
        id_hash=_id_hash_of(raw[:end]) if id_hash is None else id_hash,
        handle=handle,
        subject=kept.subject,
        created_at=begin,
        last_active_at=begin + kept.active_after,
        last_seen_at=begin + kept.seen_after,
        absolute_end_at=begin + kept.absolute_after,
        idle_timeout=kept.idle_timeout,
        attributes=json.loads(kept.attributes) if kept.attributes else {},
        ended_at=None if kept.ended_after is None else begin + kept.ended_after,
        ended_by=kept.ended_by,
    )


def pairs(flat: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
    """Take two by two what Redis answers one after the other."""
    return zip(flat[::2], flat[1::2], strict=True)


def read_sessions(flat: Sequence[Any]) -> list[Session]:
    """Unpack sessions, each after its handle."""
    return [read_session(handle.decode(), raw) for handle, raw in pairs(flat)]


def write_claim(claim: Claim) -> bytes:
    """Pack a claim for `beat.lua`. One that speaks of no view is short, and what a page did not measure is not sent."""
    fields = (claim.handle, claim.age_ms, claim.active_ago_ms, claim.on_screen, claim.chosen, claim.opens, claim.leaves)
    if claim.view is None:
        return head_of(claim.id_hash) + _write(fields)[1:]
    view = (claim.view, claim.seq, claim.visible_ms, claim.active_ms, claim.scroll_pct, claim.lifecycle, claim.tab, claim.page, claim.title)
    read = _write((claim.heat, claim.bands))[1:] if claim.heat or claim.bands else b""
    return head_of(claim.id_hash) + _write(fields)[1:] + _write(view)[1:] + read


def write_grant(grant: Grant) -> bytes:
    """Pack a grant. `record.lua` reads it too."""
    return b"%d %d %s" % (grant.version, grant.check_at, grant.document.encode())


def read_held(handle: str, kind: str, session: bytes | None, grant: bytes | None) -> Held:
    """Unpack a session and its grant, as far as they are there."""
    held = None
    if grant is not None:
        version, check_at, document = grant.split(b" ", 2)
        held = Grant(handle=handle, kind=kind, version=int(version), document=document.decode(), check_at=int(check_at))
    return Held(session=None if session is None else read_session(handle, session), grant=held)


def first_score(session: Session) -> int:
    """Tell where a new session stands in its index."""
    return deadline(session) if session.ended_at is None else session.ended_at - ENDED


EXCLUDED: Final = b"x"
"""Begins the field beside a visit that an operator left out of every count."""


def read_remembered(session: Session, fields: Mapping[bytes, bytes]) -> tuple[list[Visit], list[View]]:
    """Unpack a session's visits, in order, and its views."""
    visits, views = [], []
    for name, raw in fields.items():
        if name.startswith(EXCLUDED):
            continue
        if name.startswith(b"v"):
            views.append(_view(session, name[1:].decode(), raw))
        else:
            visits.append(_visit(session, raw))
    return sorted(visits, key=lambda visit: visit.number), views


def _view(session: Session, name: str, raw: bytes) -> View:
    kept = msgspec.structs.asdict(_read_view(_VIEW + raw))
    return View(handle=session.handle, view=name, **kept)


def _visit(session: Session, raw: bytes) -> Visit:
    try:
        read = _read_visit(_VISIT + raw)
    except msgspec.DecodeError:  # more follows, or it is broken
        read = _read_visit(_VISIT_UNCOUNTED + raw)
    kept = msgspec.structs.asdict(read)
    return Visit(handle=session.handle, subject=session.subject, **kept)
