"""Terms at the gate: shown, accepted before anything begins, and kept with the session as what they were."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from stillhere.errors import SettingsError
from stillhere.manager import SessionManager
from stillhere.server.app import build_app
from stillhere.server.settings import load_settings
from tests.server.gates import ADDRESS, standing
from tests.server.site import ADMIN_TOKEN

if TYPE_CHECKING:
    from pathlib import Path


def test_terms_are_accepted_before_anything_begins(tmp_path: Path) -> None:
    """Terms of a file are shown; unaccepted nothing begins; accepted the session keeps which text it was, and when that was."""
    text = "You keep this to yourself.\n\n<script>alert(1)</script>"
    (tmp_path / "terms.txt").write_text(text, "utf-8")
    version = f"sha256:{sha256(text.encode()).hexdigest()}"
    with standing(tmp_path, gate_terms=str(tmp_path / "terms.txt")) as stand:
        page = stand.visitor().get("/gate/terms")
        assert "You keep this to yourself." in page.text
        assert "<script>alert" not in page.text
        for wrong in ({}, {"terms": "on"}, {"terms": f"{version}0"}):
            answer = stand.visitor().post("/gate", data={"email": ADDRESS, **wrong})
            assert answer.status_code == 422
            assert "Please accept the terms" in answer.text
        assert stand.post.tries == 0
        accepted_at = stand.clock()
        visitor = stand.asked(terms=version)
        stand.clock.advance(60_000)
        assert visitor.post("/gate/code", data={"code": stand.post.code_for(ADDRESS)}).status_code == 303
        kept = json.loads(stand.sessions()[0]["attributes"])
        assert kept["terms"] == {"version": version, "accepted_at": accepted_at}
        assert kept["verified"] is True


def test_other_terms_have_to_be_accepted_anew(tmp_path: Path) -> None:
    """A code that was asked for under other terms opens nothing after they changed."""
    file = tmp_path / "terms.txt"
    file.write_text("one", "utf-8")
    with standing(tmp_path, gate_terms=str(file)) as stand:
        visitor = stand.asked(terms=f"sha256:{sha256(b'one').hexdigest()}")
        file.write_text("two", "utf-8")
        with standing(tmp_path, gate_terms=str(file), clock=stand.clock, post=stand.post) as later:
            moved = later.visitor(cookie=f"gate={visitor.cookies['gate']}")
            assert moved.post("/gate/code", data={"code": stand.post.code_for(ADDRESS)}).status_code == 422
            assert later.sessions() == []


def test_a_tick_is_kept_for_the_terms_it_was_for(tmp_path: Path) -> None:
    """Who mistypes something else, or has to wait, need not tick again what the form shows; other terms, or none, are not ticked."""
    terms = "https://firm.example/terms/3"
    with standing(tmp_path, gate_access_code="open sesame", gate_terms=terms) as stand:
        right = {"email": ADDRESS, "access_code": "open sesame", "terms": terms}
        for changed, status, is_kept in (
            ({"access_code": "guess"}, 422, True),
            ({"email": "nobody"}, 422, True),
            ({"access_code": "guess", "terms": "https://firm.example/terms/2"}, 422, False),
            ({"terms": ""}, 422, False),
            ({}, 303, False),
            ({}, 429, True),
        ):
            answer = stand.visitor("10.7.7.7").post("/gate", data={**right, **changed})
            assert answer.status_code == status
            assert (f'value="{terms}" required checked' in answer.text) == is_kept
        assert "checked" not in stand.visitor().get("/").text


def test_another_code_is_for_the_terms_that_were_accepted(tmp_path: Path) -> None:
    """Under terms that changed meanwhile no other code is sent: the form asks first, and no session has terms that nobody was shown."""
    file = tmp_path / "terms.txt"
    file.write_text("one", "utf-8")
    with standing(tmp_path, gate_terms=str(file)) as stand:
        visitor = stand.asked(terms=f"sha256:{sha256(b'one').hexdigest()}")
        stand.post.code_for(ADDRESS)
        file.write_text("two", "utf-8")
        with standing(tmp_path, gate_terms=str(file), clock=stand.clock, post=stand.post) as later:
            moved = later.visitor(visitor.headers["x-forwarded-for"], cookie=f"gate={visitor.cookies['gate']}")
            version = f"sha256:{sha256(b'two').hexdigest()}"
            twice = moved.post("/gate", data={"email": ADDRESS, "terms": version})
            assert (twice.status_code, "a moment ago" in twice.text) == (429, True)
            stand.clock.advance(30_000)
            tries = stand.post.tries
            again = moved.post("/gate/code", data={"again": "1", "next": "/lab"})
            assert (again.status_code, again.headers["location"]) == (303, "/?next=%2Flab")
            assert (stand.post.tries, later.sessions()) == (tries, [])
            accepted_at = stand.clock()
            entering = later.asked(terms=version)
            assert entering.post("/gate/code", data={"code": stand.post.code_for(ADDRESS, 2)}).status_code == 303
            (session,) = later.sessions()
            assert json.loads(session["attributes"])["terms"] == {"version": version, "accepted_at": accepted_at}


def test_terms_elsewhere_are_linked(tmp_path: Path) -> None:
    """Terms with an address are linked, in a tab that cannot reach back; their address is what is kept."""
    with standing(tmp_path, gate_code="none", gate_terms="https://firm.example/terms/3") as stand:
        page = stand.visitor().get("/").text
        assert '<a href="https://firm.example/terms/3" target="_blank" rel="noopener">' in page
        assert stand.visitor().get("/gate/terms").status_code == 404
        assert stand.visitor().post("/gate", data={"email": ADDRESS, "terms": "https://firm.example/terms/3"}).status_code == 303
        assert json.loads(stand.sessions()[0]["attributes"])["terms"]["version"] == "https://firm.example/terms/3"


@pytest.mark.parametrize(
    ("name", "content", "sentence"), [("t", b"\xff\xfe", "UTF-8"), ("t", b" \n", "is empty"), ("t", b"x" * 300_000, "larger")]
)
async def test_terms_that_cannot_be_shown(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    """Terms that are no text, or none at all, stop the start."""
    (tmp_path / name).write_bytes(content)
    async with SessionManager("memory://") as manager:
        with pytest.raises(SettingsError, match=sentence):
            build_app(manager, load_settings({"store": "memory://", "gate_terms": str(tmp_path / name)}), admin_token=ADMIN_TOKEN)
