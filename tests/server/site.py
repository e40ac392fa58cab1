"""The running program as its visitors and its operator see it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import httpx2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support import Program

ADMIN_TOKEN: Final = "planted admin token 7d1f"
VIEWER_TOKEN: Final = "planted viewer token 09be"


class Site:
    """The running program.

    Args:
        program: the process.
        file: its SQLite file.
        numbers: gives each visitor an address of its own.
    """

    def __init__(self, program: Program, file: Path, numbers: Iterator[int]) -> None:
        self.program = program
        self.url = program.url
        self._file = file
        self.store = f"sqlite:///{file}"
        self._numbers = numbers
        self._browsers: list[httpx2.Client] = []

    def close_browsers(self) -> None:
        """Close every browser that was opened."""
        while self._browsers:
            self._browsers.pop().close()

    def log(self) -> str:
        """Read what the program has logged."""
        return self.program.log.read_text(encoding="utf-8")

    def address(self) -> str:
        """Give a client address that nobody had before."""
        number = next(self._numbers)
        return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"

    def name(self) -> str:
        """Give an e-mail address that nobody had before."""
        return f"visitor{next(self._numbers)}@fund.example"

    def visitor(self, **headers: str) -> httpx2.Client:
        """Give a browser of its own, at an address of its own, on one of our pages."""
        sent = {"origin": self.url, "x-forwarded-for": self.address(), **headers}
        self._browsers.append(httpx2.Client(base_url=self.url, headers=sent, timeout=20))
        return self._browsers[-1]

    def enter(self, email: str | None = None) -> httpx2.Client:
        """Give a browser that passed the gate."""
        visitor = self.visitor()
        assert visitor.post("/gate", data={"email": email or self.name()}).status_code == 303
        return visitor

    def operator(self) -> httpx2.Client:
        """Give a browser in which the operator is signed in."""
        return self._signed_in(ADMIN_TOKEN)

    def viewer(self) -> httpx2.Client:
        """Give a browser in which a viewer is signed in."""
        return self._signed_in(VIEWER_TOKEN)

    def _signed_in(self, token: str) -> httpx2.Client:
        visitor = self.visitor()
        assert visitor.post("/admin/login", data={"token": token}).status_code == 303
        return visitor

    def program_with(self, token: str, **headers: str) -> httpx2.Client:
        """Give a program that comes with a token, from an address of its own and from no page."""
        sent = {"x-forwarded-for": self.address(), "authorization": f"Bearer {token}", **headers}
        self._browsers.append(httpx2.Client(base_url=self.url, headers=sent, timeout=20))
        return self._browsers[-1]

    def kept(self) -> list[Any]:
        """Read all sessions, visits and views from the file itself."""
        with closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True)) as database:
            tables = [name for (name,) in database.execute("select name from sqlite_schema where type = 'table' order by name")]
            return [row for table in tables for row in database.execute(f"select * from {table}").fetchall()]  # noqa: S608  # names of our own tables

    def sessions_of(self, email: str) -> int:
        """Count the sessions that one address ever had."""
        with closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True)) as database:
            (count,) = database.execute("select count(*) from stillhere_sessions where subject = ?", (email,)).fetchone()
            return int(count)


def counted_out(in_a_minute: Callable[[], list[httpx2.Response]]) -> list[httpx2.Response]:
    """Ask too often, and give the answers that say so; ask so often once more if a minute began meanwhile, with which counts begin anew."""
    answers = in_a_minute()
    return answers if all(answer.status_code == 429 for answer in answers) else in_a_minute()


def secret_of(visitor: httpx2.Client) -> str:
    """Read a browser's session cookie."""
    return str(visitor.cookies["session"])
