"""Runs `provider.mjs`, a provider to develop with, as long as the application runs."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Self

import msgspec

HERE = Path(__file__).parent

NEEDED = (
    "There is no provider to sign in at. Name yours in PROVIDER_ISSUER, PROVIDER_CLIENT_ID and PROVIDER_CLIENT_SECRET; "
    "or run `npm install` in this folder, and one to develop with is started."
)


class DevelopmentProvider:
    """A provider that knows one application. Nothing about it is secret but the client's secret, which is drawn anew each time.

    Args:
        port: where it is to listen, on 127.0.0.1: to a browser another site than `localhost`.
        redirect_uri: where it may send people back to.
        post_logout_redirect_uri: and after a sign-out.

    Attributes:
        issuer: its name.
        client_id: the application's name there.
        client_secret: how the application proves itself.

    Raises:
        SystemExit: if it is not installed.
    """

    def __init__(self, *, port: int, redirect_uri: str, post_logout_redirect_uri: str) -> None:
        """Start nothing yet."""
        if not (HERE / "node_modules" / "oidc-provider").exists():
            raise SystemExit(NEEDED)
        self.issuer = f"http://127.0.0.1:{port}"
        self.client_id = "form"
        self.client_secret = secrets.token_urlsafe(32)
        self._options = {
            "port": port,
            "issuer": self.issuer,
            "clientId": self.client_id,
            "clientSecret": self.client_secret,
            "redirectUri": redirect_uri,
            "postLogoutRedirectUri": post_logout_redirect_uri,
        }

    async def __aenter__(self) -> Self:
        """Start it, and wait until it listens."""
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec("node", HERE / "provider.mjs", stdin=pipe, stdout=pipe)
        if self._process.stdin is not None and self._process.stdout is not None:
            self._process.stdin.write(msgspec.json.encode(self._options) + b"\n")
            while line := await self._process.stdout.readline():
                if line.startswith(b"listening at"):
                    return self
        raise SystemExit("The provider to develop with did not start; what it said is above. Its port is one more than PORT.")

    async def __aexit__(self, *_: object) -> None:
        """Stop it."""
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.wait()
