"""What was answered is on disk: the program is killed, stopped and locked out under load, and nothing that it said is lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
import urllib.error
import urllib.request
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.faults.clients import UNLIMITED, Client, ask, busy, clients, sign_in
from tests.support import PATIENCE_S, serving, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

KILLS = 100 if os.environ.get("TESTS_PROFILE") == "nightly" else 20

CROWD = 12

LOCKED_FOR_S = 4
"""For less than the program waits for a file that is locked: five seconds."""


def kept(file: Path) -> dict[str, tuple[int, int]]:
    """Read from the file what it keeps of every view."""
    with closing(sqlite3.connect(file, timeout=10)) as connection:
        return {view: (seq, visible) for view, seq, visible in connection.execute("SELECT view, seq, visible_ms FROM stillhere_views")}


def check_nothing_is_lost(file: Path, crowd: list[Client]) -> None:
    """Compare the file with what each client was answered."""
    views = kept(file)
    for client in crowd:
        for view, (seq, visible_ms) in client.answered.items():
            assert views[view][0] >= seq, f"{view} was answered message {seq}, the file has {views[view][0]}"
            assert views[view][1] >= visible_ms, f"{view} was answered {visible_ms} ms, the file has {views[view][1]}"


def test_killed_under_load_it_loses_nothing_it_answered(tmp_path: Path) -> None:
    """SIGKILL amid the beats of a crowd, again and again on one file: every answered beat is kept, and nobody is signed out."""
    file = tmp_path / "sessions.db"
    with clients(CROWD) as crowd:
        for kill in range(KILLS):
            with serving(f"sqlite:///{file}", *UNLIMITED, log=tmp_path / f"log{kill}") as program:
                if kill % 2:  # this time the program itself has mended what the last kill left behind
                    check_nothing_is_lost(file, crowd)
                for client in crowd:
                    assert not client.cookie or ask(program.url, "GET", "/session", client.cookie)[0] == 200
                busy(crowd, program, beats=3 + kill % 7)
                assert program.stop(signal.SIGKILL) == -signal.SIGKILL
                wait_until(lambda: all(client.rests for client in crowd), what="every client to notice")
                if not kill % 2:
                    check_nothing_is_lost(file, crowd)
        check_nothing_is_lost(file, crowd)
        assert [client.wrong for client in crowd] == [[]] * CROWD
        assert all(len(client.answered) == KILLS for client in crowd)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*), count(ended_at) FROM stillhere_sessions").fetchone() == (CROWD, 0)


def test_stopped_under_load_it_answers_what_is_under_way(tmp_path: Path) -> None:
    """SIGTERM while every client waits for an answer: each gets it, it is in the file, and the exit code is 0."""
    for number in range(3):
        if _stopped_while_locked(tmp_path / f"sessions{number}.db", tmp_path / f"log{number}") < LOCKED_FOR_S:
            return
    pytest.fail("this machine is too slow to hold a lock for less than the program waits for one")


def _stopped_while_locked(file: Path, log: Path) -> float:
    """Stop the program while the file is locked; tell for how long it was. If that was too long nothing is proven, and nothing checked."""
    with clients(CROWD) as crowd, serving(f"sqlite:///{file}", *UNLIMITED, log=log) as program:
        busy(crowd, program, beats=20)
        with closing(sqlite3.connect(file, timeout=10, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # nobody is answered from now on
            began = time.monotonic()
            under_way = _settled(crowd, file)
            for _ in range(2):  # whoever is answered now came later than all that waits: that was read
                with urllib.request.urlopen(f"{program.url}/healthz"):
                    pass
            program.process.send_signal(signal.SIGTERM)
            wait_until(lambda: _refuses(program.url), what="the program to take no more connections")
            waiting = {client: client.in_flight for client in crowd}
            other.execute("ROLLBACK")
            span_s = time.monotonic() - began
        if span_s >= LOCKED_FOR_S:
            return span_s
        assert waiting == under_way
        wait_until(lambda: all(client.rests for client in crowd), what="every client to be answered")
        assert program.process.wait(timeout=PATIENCE_S) == 0
        for client in crowd:
            assert client.answered[client.view][0] >= (under_way[client] or 0), f"{client.name} was not answered"
            assert client.wrong == []
        check_nothing_is_lost(file, crowd)
    assert "Traceback" not in log.read_text("utf-8")
    return span_s


def _settled(crowd: Sequence[Client], file: Path) -> dict[Client, int | None]:
    """Wait until every client waits for an answer to what is not in the locked file: the last answers before the lock are home."""
    kept_already = {view: seq for view, (seq, _) in kept(file).items()}

    def is_settled() -> bool:
        return all((client.in_flight or 0) > kept_already[client.view] for client in crowd)

    wait_until(is_settled, what="every client to wait for an answer")
    return {client: client.in_flight for client in crowd}


def _refuses(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/healthz", timeout=5).close()
    except (urllib.error.URLError, OSError):
        return True
    return False


def test_locked_out_it_says_503_and_keeps_everybody(tmp_path: Path) -> None:
    """Another process has the file for longer than it waits: 503 with Retry-After, no cookie is touched, and then all goes on."""
    file = tmp_path / "sessions.db"
    with serving(f"sqlite:///{file}", log=tmp_path / "log") as program:
        cookie = sign_in(program.url, "first@fund.example")
        beat = {"view": "v", "seq": 1, "visibleMs": 1, "lifecycle": "active"}
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            status, headers, body = ask(program.url, "POST", "/session/beat", cookie, beat)
            assert status == 503
            assert int(headers["retry-after"]) > 0
            assert headers["set-cookie"] is None
            assert headers["cache-control"] == "private, no-store"
            assert b"Nobody is signed out" in body
            assert ask(program.url, "GET", "/session", cookie)[0] == 200, "looking needs no lock"
            assert kept(file) == {}
            other.execute("ROLLBACK")
        status, headers, body = ask(program.url, "POST", "/session/beat", cookie, beat)
        assert (status, headers["set-cookie"]) == (200, None), body
        assert kept(file) == {"v": (1, 1)}


def test_a_removed_folder_is_503_until_it_is_back(tmp_path: Path) -> None:
    """While the file is gone no beat is answered as if it were kept; when it is put back the cookie still works."""
    folder, aside = tmp_path / "data", tmp_path / "aside"
    with serving(f"sqlite:///{folder / 'sessions.db'}", log=tmp_path / "log") as program:
        cookie = sign_in(program.url, "first@fund.example")
        folder.rename(aside)
        for path in ("/session/beat", "/session/end"):
            assert ask(program.url, "POST", path, cookie)[0] == 503
        assert ask(program.url, "GET", "/readyz", "")[0] == 503
        aside.rename(folder)
        wait_until(lambda: ask(program.url, "GET", "/readyz", "")[0] == 200, what="the program to be ready again")
        assert ask(program.url, "POST", "/session/beat", cookie)[0] == 200
