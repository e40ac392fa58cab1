"""Files that are made while they are sent: one that broke off is never taken for whole, and does not fill the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from stillhere.errors import BadFilter, StoreError
from stillhere.server.admin.answers import download

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def pieces(*those: bytes | Exception) -> AsyncIterator[bytes]:
    """Give pieces, and fail where one is an error."""
    for piece in those:
        if isinstance(piece, Exception):
            raise piece
        yield piece


async def sent(*those: bytes | Exception) -> list[Any]:
    """Send a file, and tell what the server was given."""
    given: list[Any] = []

    async def send(message: Any) -> None:
        given.append(message)

    async def receive() -> Any:
        raise AssertionError

    answer = await download(pieces(*those), "file.csv", "text/csv", {"stillhere-rows": "2"})
    await answer({"type": "http", "asgi": {"spec_version": "2.4"}}, receive, send)
    return given


@pytest.mark.parametrize("those", [(), (b"a",), (b"a", b"b")])
async def test_a_whole_file_has_an_end(those: tuple[bytes, ...]) -> None:
    """All pieces come in order, and then the end, also where there is none."""
    start, *body = await sent(*those)
    assert dict(start["headers"])[b"content-disposition"] == b'attachment; filename="file.csv"'
    assert dict(start["headers"])[b"cache-control"] == b"private, no-store"
    assert b"".join(piece["body"] for piece in body) == b"".join(those)
    assert [piece["more_body"] for piece in body] == [*[True] * (len(body) - 1), False]


async def test_a_file_that_breaks_off_has_none(caplog: pytest.LogCaptureFixture) -> None:
    """The server is not told of an end, so it closes the connection; the log has one line, without a traceback."""
    with caplog.at_level(logging.WARNING, "stillhere"):
        _, *body = await sent(b"a", StoreError("the database went away"))
    assert [(piece["body"], piece["more_body"]) for piece in body] == [(b"a", True)]
    (record,) = caplog.records
    assert (record.getMessage(), record.exc_info) == ("a file broke off while it was sent: the database went away", None)


@pytest.mark.parametrize("error", [StoreError("away"), BadFilter("unit", "too many")])
async def test_what_fails_at_once_is_answered_instead(error: Exception) -> None:
    """Before the first piece nothing was sent, so there is still another answer: 503 or 422."""
    with pytest.raises(type(error)):
        await sent(error)
