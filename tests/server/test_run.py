"""Starting and stopping the program."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.server.test_cli import run
from tests.support import serving

if TYPE_CHECKING:
    from pathlib import Path


def test_it_greets_serves_and_stops(tmp_path: Path) -> None:
    """A start says where everything is; SIGTERM ends it with exit code 0 and nothing in the log but the greeting."""
    with serving(f"sqlite:///{tmp_path / 'visits.db'}", log=tmp_path / "log", afresh=True) as program:
        with urllib.request.urlopen(f"{program.url}/readyz") as answer:
            assert json.load(answer) == {"ready": True}
        assert program.stop(signal.SIGTERM) == 0
        log = (tmp_path / "log").read_text()
    assert "admin token for this run" in log
    assert "alembic" not in log
    assert "Traceback" not in log
    assert "ERROR" not in log


def test_a_chosen_token_is_not_printed(tmp_path: Path) -> None:
    """Who sets the admin token knows it; it does not reach the log."""
    token = "a token for this test"
    with serving("memory://", log=tmp_path / "log", environment={"STILLHERE_ADMIN_TOKEN": token}) as program:
        assert program.stop() == 0
    assert token not in (tmp_path / "log").read_text()


def test_serve_has_no_demo_pages(tmp_path: Path) -> None:
    """The laboratory is the demo's; the program beside somebody's application does not offer it."""
    with serving("memory://", log=tmp_path / "log") as program:
        for path in ("/lab", "/confidential", "/lab/end"):
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(f"{program.url}{path}")
            assert caught.value.code in {404, 405}
            caught.value.close()


def test_it_makes_room_for_streams_and_says_where_there_is_none() -> None:
    """Open files are raised to what streams need, as far as the system allows; it takes no more streams than there is room for."""
    script = (
        "import resource as r; from stillhere.server.run import _room_for; r.setrlimit(r.RLIMIT_NOFILE, (256, 3_000)); "
        "print(_room_for(500), r.getrlimit(r.RLIMIT_NOFILE)[0], _room_for(10_000), r.getrlimit(r.RLIMIT_NOFILE)[0])"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["500", "1500", "2000", "3000"]
    assert "the system allows 3000 open files: streams_per_process is 2000" in shown.stderr


def test_a_taken_port_is_said_in_one_sentence() -> None:
    """No traceback: which port, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        shown = run("serve", "--store", "memory://", "--port", str(taken.getsockname()[1]))
    assert shown.returncode == 1
    assert re.search(r"cannot listen on 127\.0\.0\.1:\d+: Address already in use; choose another with --port", shown.stderr)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--store", "mysql://x"], "no store goes by 'mysql://x'"),
        (["--store", "sqlite://"], "names no file"),
        (["--idle-timeout", "2m"], "warning_timeout (120000 ms) must be shorter than idle_timeout (120000 ms)"),
        (["--preset", "none"], "there is no preset 'none'"),
        (["--allowed-origins", "https://app.example/path"], "is not an origin"),
        (["--idle-timeout", "20"], "write 90s, 20m, 24h or 30d"),
    ],
)
def test_what_cannot_work_is_refused_at_start(flags: list[str], sentence: str) -> None:
    """A mistake in the settings stops the start with a sentence, exit code 1 and no traceback."""
    shown = run("serve", "--port", "0", *flags)
    assert shown.returncode == 1
    assert sentence in shown.stderr.replace("\n", " ")
    assert "Traceback" not in shown.stderr
