"""Where a person may be sent back to: a place of this application, and nowhere else."""

from __future__ import annotations

from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.core.paths import LONGEST_PATH, local_path

HERE = "https://app.example/session/callback"

OURS = [
    "/",
    "/work",
    "/work/7?tab=2&next=//elsewhere.example#top//x",
    "/a%20b/%C3%A9?q=%2F%2F",
    "/files/a%2Fb",
    "/@person:home;v=1",
    "/?return_to=https://elsewhere.example",
    "/[x]",
    "/..",
]

THEIRS = [
    None,
    "",
    "work",
    "//elsewhere.example",
    "///elsewhere.example",
    "////elsewhere.example",
    "/\\elsewhere.example",
    "\\\\elsewhere.example",
    "/\\/elsewhere.example",
    "/work\\..\\elsewhere.example",
    "/.//elsewhere.example",
    "/..//elsewhere.example",
    "/work//elsewhere.example",
    "/%2Felsewhere.example",
    "/%2f%2felsewhere.example",
    "/%5Celsewhere.example",
    "/%5c%5celsewhere.example",
    "/\t/elsewhere.example",
    "/\n/elsewhere.example",
    "\t//elsewhere.example",
    " //elsewhere.example",
    "/%09/elsewhere.example",
    "/%0d%0aSet-Cookie:%20a=b",
    "/work\r\nSet-Cookie: a=b",
    "/work%00",
    "/work\x00",
    "/work\n",
    "/work?a=%0d%0ab",
    "https://elsewhere.example",
    "http:elsewhere.example",
    "https:/elsewhere.example",
    "https:///elsewhere.example",
    "HTTPS://elsewhere.example",
    "//app.example@elsewhere.example",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,x",
    "?next=1",
    "#top",
    ".",
    "./work",
    "../work",
    "/é",
    "/\u2028",
    "/\uff0felsewhere.example",
    "\u3000//elsewhere.example",
    "/%",
    "/%zz",
    "/" + "a" * LONGEST_PATH,
]


@pytest.mark.parametrize("path", OURS)
def test_our_own_paths_are_given_back(path: str) -> None:
    """A path of ours comes back as it is, with its query and its fragment."""
    assert local_path(path) == path


@pytest.mark.parametrize("text", THEIRS)
def test_everything_else_is_refused(text: str | None) -> None:
    """Whatever a browser, a proxy or a framework could take for another host is refused."""
    assert local_path(text) is None


@given(st.text(alphabet=st.sampled_from(list("/\\.:@%25cCfFaz?#&= \t\n\r\x00é")), max_size=24))
def test_what_is_let_through_stays_here(text: str) -> None:
    """Whatever is let through leads to this origin, also after somebody decoded it once."""
    path = local_path(f"/{text}")
    if path is not None:
        for read in (path, "/" + unquote(path)[1:]):
            landed = urlsplit(urljoin(HERE, read.replace("\\", "/")))
            assert (landed.scheme, landed.netloc) == ("https", "app.example")
