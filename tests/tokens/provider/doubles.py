"""A provider in memory that signs whatever a test wants signed, as a transport: nothing is sent anywhere."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections import defaultdict, deque
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from stillhere.testing import START
from stillhere.tokens.provider.config import Provider
from stillhere.tokens.provider.party import RelyingParty
from stillhere.tokens.provider.transport import Call, NoReply, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

ISSUER: Final = "https://login.example"
REDIRECT_URI: Final = "https://app.example/callback"

Answer: TypeAlias = "Reply | NoReply"
PrivateKey: TypeAlias = "ECKey | RSAKey | OKPKey"

SETTINGS: Final[dict[str, Any]] = {
    "issuer": ISSUER,
    "client_id": "app",
    "redirect_uri": REDIRECT_URI,
    "client_secret": "planted-client-secret",
}


def provider(**changes: Any) -> Provider:
    """Give settings for that provider."""
    return Provider(**{**SETTINGS, **changes})


def json_reply(said: object, status: int = 200, **headers: str) -> Reply:
    """Write an answer in JSON."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, headers={"content-type": "application/json", **named}, body=msgspec.json.encode(said))


def base64url(data: bytes) -> str:
    """Write bytes as a part of a token."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def counting_bytes() -> Callable[[int], bytes]:
    """Make a source of bytes that are different each time and the same in every run."""
    count = 0

    def draw(size: int) -> bytes:
        nonlocal count
        count += 1
        return b"".join(sha256(f"{count} {n}".encode()).digest() for n in range(size // 32 + 1))[:size]

    return draw


def sign(payload: object, key: PrivateKey, header: dict[str, Any]) -> str:
    """Sign anything with any header."""
    data = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
    registry = jws.JWSRegistry(algorithms=[header["alg"]], strict_check_header=False)
    return jws.serialize_compact(header, data, key, registry=registry)


class Issuer:
    """As much of a provider as fits in memory.

    Attributes:
        key: signs its tokens; its `kid` is `first`.
        metadata: what it says of itself.
        keys: its key set.
        asked: every call, in order.
        answers: what the next calls to a path get, instead of what is usual.
        claims: what is changed in ID tokens that it gives.
        now: its clock, in milliseconds.
    """

    def __init__(self) -> None:
        self.key = ECKey.generate_key("P-256", parameters={"kid": "first", "use": "sig", "alg": "ES256"})
        self.metadata: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize?tenant=a",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/jwks",
            "revocation_endpoint": f"{ISSUER}/revoke",
            "end_session_endpoint": f"{ISSUER}/end",
            "authorization_response_iss_parameter_supported": True,
        }
        self.keys: list[dict[str, Any]] = [self.key.as_dict(private=False)]
        self.asked: list[Call] = []
        self.answers: defaultdict[str, deque[Answer]] = defaultdict(deque)
        self.claims: dict[str, Any] = {}
        self.nonce: str | None = None
        self.now = START
        self._count = 0

    async def send(self, call: Call) -> Reply:
        """Answer a call."""
        self.asked.append(call)
        path = urlsplit(call.url).path
        if self.answers[path]:
            answer = self.answers[path].popleft()
            if isinstance(answer, NoReply):
                raise answer
            return answer
        if path == "/.well-known/openid-configuration":
            return json_reply(self.metadata)
        if path == "/jwks":
            return json_reply({"keys": self.keys})
        if path == "/revoke":
            return Reply(status=200, headers={}, body=b"")
        return json_reply(self.tokens())

    async def close(self) -> None:
        """Have nothing to close."""

    def tokens(self, **changes: Any) -> dict[str, Any]:
        """Give tokens, new each time."""
        self._count += 1
        said = {
            "access_token": f"planted-access-{self._count}",
            "refresh_token": f"planted-refresh-{self._count}",
            "id_token": self.id_token(**self.claims),
            "expires_in": 300,
            "token_type": "Bearer",
            **changes,
        }
        return {name: value for name, value in said.items() if value is not None}

    def id_token(self, *, key: PrivateKey | None = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Sign an ID token; a claim that is None is left out."""
        now_s = self.now // 1000
        said = {"iss": ISSUER, "sub": "person", "aud": "app", "exp": now_s + 300, "iat": now_s, "nonce": self.nonce, **claims}
        named = {"alg": "ES256", "kid": "first", **(header or {})}
        return sign({name: value for name, value in said.items() if value is not None}, key or self.key, named)

    def logout_token(self, *, key: PrivateKey | None = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Sign a logout token; a claim that is None is left out."""
        now_s = self.now // 1000
        said = {
            "iss": ISSUER,
            "aud": "app",
            "iat": now_s,
            "exp": now_s + 120,
            "jti": "notice-1",
            "sub": "person",
            "sid": "there",
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
            **claims,
        }
        named = {"alg": "ES256", "kid": "first", "typ": "logout+jwt", **(header or {})}
        return sign({name: value for name, value in said.items() if value is not None}, key or self.key, named)

    def party(self, **changes: Any) -> RelyingParty:
        """Give this application, as this provider knows it."""
        return RelyingParty(provider(**changes), random_bytes=counting_bytes(), transport=self)

    def approve(self, url: str, **changes: str | None) -> str:
        """Send a person back from an address where a login began: with a code, or with what a test wants.

        Returns:
            The query that they come back with.
        """
        asked = parse_qs(urlsplit(url).query)
        self.nonce = asked["nonce"][0]
        back = {"code": "planted-code", "state": asked["state"][0], "iss": ISSUER, **changes}
        return urlencode({name: value for name, value in back.items() if value is not None})

    def calls(self, path: str) -> list[Call]:
        """Tell which calls came to a path."""
        return [call for call in self.asked if urlsplit(call.url).path == path]

    def form(self, path: str) -> dict[str, str]:
        """Tell what was posted last to a path."""
        return {name: values[0] for name, values in parse_qs(self.calls(path)[-1].body.decode()).items()}
