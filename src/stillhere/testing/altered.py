"""What a faulty provider makes of a good one's answer. Needs `stillhere[tokens]`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, Final

import msgspec
from joserfc import jws, jwt
from joserfc.jwk import ECKey

HTML: Final = b"<!doctype html><title>Please wait</title><p>We will be back soon."


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to a call. Without arguments: nothing.

    Attributes:
        status: answered in place of the provider, which hears nothing unless `is_heard`.
        retry_after: goes with it: seconds or a date.
        location: goes with it: where it sends to.
        error: goes with it: an error code in JSON, instead of a page.
        html: answer with a page and status 200, in place of the provider.
        is_heard: the provider hears what was asked all the same, as when a gateway gives up waiting.
        delay: the answer waits so many milliseconds, once the provider has given it.
        loses_answer: the provider answers, and the connection breaks before anybody hears it.
        cuts: of the answer's body only so many bytes arrive, and that as if it were all.
        pads: so many bytes are added to the answer.
        content_type: what the answer says that it is.
        without: members that are taken out of an answer in JSON: `("refresh_token",)` is a provider that rotates and does not say so.
        members: members that are changed in an answer in JSON.
        claims: claims that are changed in the ID token, which is then signed by a key that is among those the provider is said to have.
        unsigned: the ID token's signature is spoiled.
        skew: how far the provider's clock is off, in milliseconds: header `Date`, and the times in the ID token.
    """

    status: int | None = None
    retry_after: str | None = None
    location: str | None = None
    error: str | None = None
    html: bool = False
    is_heard: bool = False
    delay: int = 0
    loses_answer: bool = False
    cuts: int | None = None
    pads: int = 0
    content_type: str | None = None
    without: tuple[str, ...] = ()
    members: Mapping[str, Any] = msgspec.field(default_factory=dict)
    claims: Mapping[str, Any] = msgspec.field(default_factory=dict)
    unsigned: bool = False
    skew: int = 0


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer on its way.

    Attributes:
        status: the HTTP status.
        headers: names in small letters, with values.
        body: all of it.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Forger:
    """Signs ID tokens that a provider never gave, with a key that the provider is said to have."""

    def __init__(self) -> None:
        """Make the key."""
        self._key = ECKey.generate_key("P-256", parameters={"kid": "faulty-provider", "use": "sig", "alg": "ES256"})

    def forge(self, token: str, claims: Mapping[str, Any], *, skew: int) -> str:
        """Write a token anew, with other claims and other times."""
        said: dict[str, Any] = msgspec.json.decode(jws.extract_compact(token.encode("ascii")).payload)
        for name in ("iat", "exp", "auth_time", "nbf"):
            if name in said:
                said[name] += skew // 1000
        # What belongs to the access token stays as it was; it is signed with another algorithm, of the same hash.
        return jwt.encode({"alg": "ES256", "kid": "faulty-provider"}, {**said, **claims}, self._key)

    def join(self, keys: bytes) -> bytes:
        """Add its key to a key set."""
        said = msgspec.json.decode(keys)
        return msgspec.json.encode({**said, "keys": [*said["keys"], self._key.as_dict(private=False)]})


def page(fault: Fault) -> Answer | None:
    """Make the answer that is given in the provider's place, or None if it is to answer itself."""
    if fault.status is None and not fault.html:
        return None
    headers = [("content-type", "text/html" if fault.error is None else "application/json")]
    headers += [(name, value) for name, value in (("retry-after", fault.retry_after), ("location", fault.location)) if value is not None]
    body = HTML if fault.error is None else msgspec.json.encode({"error": fault.error})
    return Answer(status=fault.status or 200, headers=headers, body=body)


def alter(answer: Answer, fault: Fault, forger: Forger, *, is_keys: bool) -> Answer:
    """Spoil an answer of the provider.

    Args:
        answer: what it gave.
        fault: how.
        forger: signs what is changed.
        is_keys: it is the provider's key set, to which the forger's is always added.
    """
    if answer.status != 200:  # noqa: PLR2004  # OK
        return answer
    body = forger.join(answer.body) if is_keys else _altered(answer.body, fault, forger)
    return Answer(status=answer.status, headers=[_header(name, value, fault) for name, value in answer.headers], body=body)


def _altered(body: bytes, fault: Fault, forger: Forger) -> bytes:
    if fault.without or fault.members or fault.claims or fault.unsigned or fault.skew:
        said: dict[str, Any] = msgspec.json.decode(body)
        if "id_token" in said and (fault.claims or fault.skew):
            said["id_token"] = forger.forge(said["id_token"], fault.claims, skew=fault.skew)
        if fault.unsigned:
            said["id_token"] = said["id_token"].rpartition(".")[0] + "." + "A" * 86
        said.update(fault.members)
        body = msgspec.json.encode({name: value for name, value in said.items() if name not in fault.without})
    return body[: fault.cuts] + b" " * fault.pads


def _header(name: str, value: str, fault: Fault) -> tuple[str, str]:
    if name == "content-type" and fault.content_type is not None:
        return name, fault.content_type
    if name == "date" and fault.skew:
        return name, format_datetime(parsedate_to_datetime(value) + timedelta(milliseconds=fault.skew), usegmt=True)
    return name, value
