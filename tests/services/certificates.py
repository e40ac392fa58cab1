"""A throw-away authority and a certificate of loopback signed by it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class Certificates(NamedTuple):
    """Files to serve TLS with, and to check it."""

    authority: Path
    certificate: Path
    key: Path


def make_certificates(folder: Path) -> Certificates:
    """Make them with openssl, good for two days.

    Args:
        folder: where; what is there already is kept.
    """
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    if made.certificate.exists():
        return made
    new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    _openssl(folder, *f"{new} -subj /CN=authority -keyout ca.key -out ca.pem".split())
    names = "-addext subjectAltName=IP:127.0.0.1,DNS:localhost -addext basicConstraints=critical,CA:FALSE"
    _openssl(folder, *f"{new} -subj /CN=localhost {names} -CA ca.pem -CAkey ca.key -keyout server.key -out server.pem".split())
    return made


def _openssl(folder: Path, *arguments: str) -> None:
    made = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert made.returncode == 0, f"openssl {' '.join(arguments)}: {made.stderr}"
