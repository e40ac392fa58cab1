"""The gate before an application that is not ours."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from stillhere.adapters.asgi import SessionMiddleware, session_of
from stillhere.archive.archive import Archive
from stillhere.archive.memory import MemorySource
from stillhere.core.gate import Lists
from stillhere.core.lists import read_list
from stillhere.errors import SettingsError, StoreError
from stillhere.mail import Mailer
from stillhere.manager import SessionManager
from stillhere.server.app import build_app
from stillhere.server.gate import Gate, GateConfig
from stillhere.server.gate.codes import Codes, Wrong
from stillhere.server.pages import Pages, go
from stillhere.server.settings import load_settings
from stillhere.stores.memory import MemoryStore
from tests.http.doubles import Trouble
from tests.server.site import ADMIN_TOKEN
from tests.services.mail import post_office
from tests.support import FakeClock

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

URL = "http://localhost:8000"


async def reports(request: Request) -> Response:
    """Show what is worth a gate."""
    mine = session_of(request.scope)
    return go("/gate?next=/reports") if mine.session is None else PlainTextResponse(f"for {mine.session.subject}")


def pages(assets: str) -> Pages:
    """Give the templates what they ask for."""
    return Pages(site_name="Reports", demo=False, session_prefix="/session", assets=assets)


async def test_a_gate_before_another_application() -> None:
    """It asks at its own path, its styles come from where it is told, and whoever passes is where they wanted to go."""
    config = GateConfig(asks_for_code=True, lists=Lists(allow=read_list("@fund.example")), after="/reports", assets="/gate/static")
    manager = SessionManager("memory://")
    with post_office() as post:
        gate = Gate(pages(config.assets), config, manager, Mailer(post.url, "room@firm.example"))
        assets = Mount(config.assets, StaticFiles(packages=[("stillhere.server", "static")]))
        site = Starlette(routes=[*gate.routes(), assets, Route("/reports", reports)])
        app = SessionMiddleware(site, manager, untouched=(config.untouched, f"{config.assets}/"))
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=URL, headers={"origin": URL}) as browser:
            assert (await browser.get("/reports")).headers["location"] == "/gate?next=/reports"
            page = (await browser.get("/gate?next=/reports")).text
            for asset in ("/gate/static/base.css", "/gate/static/gate.css", "/gate/static/page.js"):
                assert f'"{asset}"' in page
                assert (await browser.get(asset)).status_code == 200
            assert '"/static/' not in page
            assert (await browser.get("/gate/code")).headers["location"] == "/gate"
            answer = await browser.post("/gate", data={"email": "reader@fund.example", "next": "/reports"})
            assert answer.headers["location"] == "/gate/code?next=%2Freports"
            await gate.close()
            answer = await browser.post("/gate/code", data={"code": post.code_for("reader@fund.example")})
            assert answer.headers["location"] == "/reports"
            assert (await browser.get("/reports")).text == "for reader@fund.example"
        assert +gate.counts == Counter(asked=1, entered=1)
    await manager.close()


@pytest.mark.parametrize("config", [GateConfig(asks_for_code=True), GateConfig(access_code_hash=b"x" * 32)])
async def test_a_store_that_keeps_no_notes(config: GateConfig) -> None:
    """What has to be counted by the store is not offered with one that cannot."""
    manager = SessionManager(Trouble())
    with pytest.raises(SettingsError, match="keeps no notes"):
        Gate(pages("/static"), config, manager, Mailer("smtp://post.example", "room@firm.example"))
    Gate(pages("/static"), GateConfig(), manager)


async def test_the_code_of_somebody_who_may_not_enter_opens_nothing() -> None:
    """What is drawn for a refused address, and mailed to nobody, would not open either; for everybody else it does."""
    store = MemoryStore()
    codes = Codes(store, FakeClock(), lambda count: bytes(range(count)))
    for may_enter, found in ((False, Wrong.CODE), (True, 7)):
        challenge, code = await codes.begin("a@fund.example", terms="", accepted_at=7, may_enter=may_enter)
        assert await codes.accepted_at(challenge, terms="") == 7
        assert await codes.accepted_at(challenge, terms="others") is None
        assert await codes.check(challenge, code, terms="") == found


class Away(MemoryStore):
    """A store that cannot be reached when something is to be counted."""

    async def first(self, name: str, *, until: int, now: int) -> bool:  # noqa: ARG002  # the signature is the protocol's
        """Fail."""
        raise StoreError("disk", retry_after=7)


async def test_a_store_that_is_away_lets_nobody_in() -> None:
    """Where tries cannot be counted none is made: 503 with Retry-After, no mail, no session, and the code is neither used nor guessed."""
    with post_office() as post:
        flags = {
            "store": "memory://",
            "gate_code": "email",
            "gate_access_code": "open sesame",
            "mail_url": post.url,
            "mail_from": "r@a.example",
        }
        store = Away()
        app = build_app(SessionManager(store, archive=Archive(MemorySource(store))), load_settings(flags), admin_token=ADMIN_TOKEN)
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=URL, headers={"origin": URL}) as browser:
            cookie = {"cookie": f"gate={'0' * 32}.YUBiLmV4YW1wbGU"}
            for path, data in (("/gate", {"email": "a@b.example", "access_code": "open sesame"}), ("/gate/code", {"code": "12345678"})):
                answer = await browser.post(path, data=data, headers=cookie)
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
                assert "set-cookie" not in answer.headers
                assert "disk" not in answer.text
            assert (await browser.get("/gate/code", headers=cookie)).status_code == 200
        assert (post.tries, store.sessions) == (0, {})
