"""The client is put into whole pages, and into nothing else."""

from __future__ import annotations

from time import process_time
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.server.content.inject import MOST_HELD, Injector, injected, tag_of

URL: Final = "/session/client.js"
TAG: Final = tag_of(f"{URL}?v=1", "/gate")


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (b"<html><body>a</body></html>", b"<html><body>a%s</body></html>"),
        (b"<p>a</BODY >\n", b"<p>a%s</BODY >\n"),
        (b"<body><script>x = '<body></body>'</script></body>", b"<body><script>x = '<body></body>'</script>%s</body>"),
        (b"<!DOCTYPE html><p>a", b"<!DOCTYPE html><p>a%s"),
        (b"\xef\xbb\xbf  \n<html lang=en>a", b"\xef\xbb\xbf  \n<html lang=en>a%s"),
        (b"<tr><td>a fragment</td></tr>", b"<tr><td>a fragment</td></tr>"),
        (b"", b""),
        (b"<htmlx>", b"<htmlx>"),
        (
            b'<html><script src="/session/client.js" defer></script></body>',
            b'<html><script src="/session/client.js" defer></script></body>',
        ),
        ("<html></body>".encode("utf-16"), "<html></body>".encode("utf-16")),
    ],
)
def test_where_the_tag_goes(page: bytes, expected: bytes) -> None:
    """Before the last `</body>`, else at the end of a whole page; a fragment, or a page that has the client, stays as it is."""
    assert injected(page, TAG, URL) == expected.replace(b"%s", TAG)


@pytest.mark.parametrize(
    ("behind", "expected"),
    [
        (b"</body>", b"%s</body>"),
        (b"</body>" + b"b" * (MOST_HELD - 7), b"%s</body>" + b"b" * (MOST_HELD - 7)),
        (b"</body>" + b"b" * (MOST_HELD - 6), b"</body>" + b"b" * (MOST_HELD - 6) + b"%s"),
        (b"</body>" + b"b" * MOST_HELD + b"</body>\n", b"</body>" + b"b" * MOST_HELD + b"%s</body>\n"),
    ],
)
@pytest.mark.parametrize("length", [1_000, 300_000, 20_000_000])
def test_a_page_may_be_long(behind: bytes, expected: bytes, length: int) -> None:
    """However long it is, it gets the client, before its last `</body>` or at its end, in whatever pieces; little of it is held back."""
    begin = b"<html>" + b"a" * 6_000_000
    injector, page, made = Injector(TAG, URL), begin + behind, bytearray()
    for at in range(0, len(page), length):
        made += injector.feed(page[at : at + length])
        assert at < len(begin) or min(at + length, len(page)) - len(made) <= MOST_HELD
    assert bytes(made) + injector.finish() == begin + expected.replace(b"%s", TAG)


def test_a_long_page_passes_while_it_comes() -> None:
    """A page that is still being written is not held back but for its last few bytes."""
    injector = Injector(TAG, URL)
    assert len(injector.feed(b"<html><body>" + b"a" * 10_000)) > 9_800
    assert injector.feed(b"</bo") + injector.feed(b"dy>") + injector.finish() == b"a" * 100 + TAG + b"</body>"


def test_an_early_end_and_many_small_pieces_cost_little() -> None:
    """What waits behind a `</body>` is searched once, not anew with every piece: that would take a core for a quarter of a minute."""
    injector, begun = Injector(TAG, URL), process_time()
    made = injector.feed(b"<html></body>") + b"".join(injector.feed(b"a" * 256) for _ in range(8_000)) + injector.finish()
    assert made == b"<html>" + TAG + b"</body>" + b"a" * 2_048_000
    assert process_time() - begun < 3


@given(
    st.lists(st.sampled_from([b"</body>", b"</bo", b"dy>", b"<html>", b"a", b" ", b"</html>", b"</body\n>", b"b" * 90]), max_size=12),
    st.lists(st.integers(0, 200), max_size=6),
)
def test_pieces_make_no_difference(parts: list[bytes], cuts: list[int]) -> None:
    """However a page is cut in pieces, it becomes the same as in one piece, and nothing of it is lost."""
    page = b"".join(parts)
    injector, at, made = Injector(TAG, URL), 0, b""
    for cut in sorted(cuts):
        made += injector.feed(page[at:cut]) if cut > at else b""
        at = max(at, cut)
    made += injector.feed(page[at:]) + injector.finish()
    assert made == injected(page, TAG, URL)
    assert made.replace(TAG, b"") == page
