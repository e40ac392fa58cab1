"""The HTTP surface as OpenAPI 3.1, from the same records that read and write it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from stillhere import __version__
from stillhere.core.wire import Answer, Listed, Message, Revoking
from stillhere.http.explaining import ExplainedAnswer
from stillhere.server.admin.document import operator_paths
from stillhere.server.describing import SCHEMES, in_path, in_query, json_body, object_of, operation, plain, problem_body, typed
from stillhere.server.openapi_admin import admin_paths, mirror_paths

if TYPE_CHECKING:
    from stillhere.http.config import HttpConfig


class Problem(msgspec.Struct):
    """What happened, and what to do (RFC 9457).

    Attributes:
        type: always `about:blank`; `reason` is for machines.
        title: the kind of problem.
        status: the HTTP status.
        detail: one or two sentences for people.
        reason: why a session is over, or what is asked for.
        message: the same as `detail`, for existing clients.
        field: path of the member at fault.
        endedAt: when the session ended, ISO 8601.
        maxAgeMs: how long ago a sign-in may be that is asked for.
    """

    type: str
    title: str
    status: int
    detail: str
    reason: str | msgspec.UnsetType = msgspec.UNSET
    message: str | msgspec.UnsetType = msgspec.UNSET
    field: str | msgspec.UnsetType = msgspec.UNSET
    endedAt: str | msgspec.UnsetType = msgspec.UNSET  # noqa: N815  # a name on the wire
    maxAgeMs: int | msgspec.UnsetType = msgspec.UNSET  # noqa: N815  # as above


def openapi(http: HttpConfig) -> dict[str, Any]:
    """Describe the routes.

    Args:
        http: how the session routes are offered.
    """
    records = [Message, Answer, ExplainedAnswer, Problem, Listed, Revoking]
    schemas, components = msgspec.json.schema_components(records, ref_template="#/components/schemas/{name}")
    message, answer, explained, problem, own, revoking = schemas
    prefix = http.prefix
    over = problem_body("The session is over, finally; `reason` says why.", problem)
    told = {"200": json_body("How the session stands.", answer), "401": over}
    posted = {status: problem_body(text, problem) for status, text in _POSTED.items()}
    refused = {"401": over, **{status: posted[status] for status in ("403", "429", "503")}}
    beat_body = {"required": False, "content": {media: {"schema": message} for media in ("application/json", "text/plain")}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "stillhere",
            "version": __version__,
            "description": "Knows who is still here. Every answer of a session route carries `Cache-Control: private, no-store`.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": {
            f"{prefix}/beat": {"post": operation("beat", "Say that somebody is there", {**told, **posted}, body=beat_body, headers=True)},
            http.prefix: {
                "get": operation(
                    "look",
                    "Ask how the session stands; writes nothing",
                    {
                        "200": json_body("How the session stands.", explained),
                        "401": over,
                        **{status: posted[status] for status in ("413", "429", "503")},
                    },
                )
                | {
                    "parameters": [
                        in_query("explain", {"type": "string", "description": "`1` adds `deadlines`: every timeout, and which applies."})
                    ]
                }
            },
            f"{prefix}/end": {
                "post": operation(
                    "end",
                    "Sign out; idempotent",
                    {"200": json_body("Signed out.", object_of(success={"const": True}, reason={"type": "string"})), **posted},
                    body=beat_body,
                    headers=True,
                ),
            },
            f"{prefix}/list": {
                "get": operation(
                    "list",
                    "List one's own sessions; writes nothing",
                    {
                        "200": json_body("Them, the one that asks first.", object_of(sessions={"type": "array", "items": own})),
                        "401": over,
                        **{status: posted[status] for status in ("413", "429", "503")},
                    },
                )
            },
            f"{prefix}/revoke": {
                "post": operation(
                    "revokeOwn",
                    "End one of one's own sessions, all others, or all; idempotent",
                    {
                        "200": json_body("Ended.", _REVOKED),
                        **posted,
                        "401": over,
                        "403": problem_body("From another site; or `reason` is `reauthenticate`: sign in once more.", problem),
                        "404": problem_body("There is no such session of one's own.", problem),
                    },
                    body={"required": True, "content": {media: {"schema": revoking} for media in ("application/json", "text/plain")}},
                    headers=True,
                ),
            },
            f"{prefix}/client.js": {
                "get": operation(
                    "client", "The browser client", {"200": typed("The script.", "text/javascript"), "304": plain("Unchanged.")}
                )
            },
            f"{prefix}/events": {
                "get": operation(
                    "events",
                    "Be told how the session stands, as it changes; extends nothing",
                    {"200": typed("Events `state`, `expiring` and `ended`, until the session is over.", "text/event-stream"), **refused},
                )
            },
            f"{prefix}/socket": {
                "get": operation(
                    "socket",
                    "The same over WebSocket",
                    {
                        "101": plain("Frames `state`, `expiring` and `ended`."),
                        "404": problem_body("No WebSocket was asked for.", problem),
                        **refused,
                    },
                )
            },
            f"{prefix}/client/{{name}}": {
                "get": operation(
                    "clientPart",
                    "An optional part of the client: a language, an adapter",
                    {
                        "200": _part(),
                        "304": plain("Unchanged."),
                        "404": problem_body("There is no such part.", problem),
                    },
                )
                | {"parameters": [in_path("name")]}
            },
            "/gate": {"post": operation("enter", "Pass the gate with an e-mail address", _GATE, body=_FORM, headers=True)},
            **operator_paths(problem),
            **admin_paths(),
            **mirror_paths(),
            "/healthz": {"get": operation("alive", "The process is up", {"200": typed("ok", "text/plain")})},
            "/metrics": {
                "get": operation(
                    "metrics",
                    "What this process counts, for Prometheus; the setting `metrics` says who may read it",
                    {
                        "200": typed("The metrics.", "text/plain"),
                        "401": problem_body("The token is missing or wrong.", problem),
                        "403": problem_body("Not asked from this machine.", problem),
                        "429": problem_body("Asked too often.", problem),
                    },
                )
            },
            "/readyz": {
                "get": operation(
                    "ready",
                    "The store answers",
                    {"200": json_body("Ready.", {"type": "object"}), "503": json_body("Not ready.", {"type": "object"})},
                )
            },
        },
        "components": {
            "schemas": components,
            "securitySchemes": SCHEMES,
        },
    }


_REVOKED = object_of(success={"const": True}, ended={"type": "integer"}, signedOut={"type": "boolean"})

_POSTED = {
    "400": "Not JSON in UTF-8.",
    "403": "The request came from another site.",
    "413": "The body is larger than 65,536 bytes.",
    "415": "Neither application/json nor text/plain.",
    "422": "A member has the wrong type or is out of range; `field` names it.",
    "429": "Too many messages; `Retry-After` says when to go on.",
    "503": "The store cannot be reached; nobody is signed out.",
}

_FORM = {
    "required": True,
    "content": {
        "application/x-www-form-urlencoded": {
            "schema": {
                "type": "object",
                "required": ["email"],
                "properties": {name: {"type": "string"} for name in ("email", "next", "access_code", "terms")},
            },
        },
    },
}


def _part() -> dict[str, Any]:
    schema = {"schema": {"type": "string"}}
    return {"description": "The part.", "content": dict.fromkeys(("text/javascript", "application/json", "image/svg+xml"), schema)}


_GATE = {
    "303": plain("Let in, or on to where the mailed code is typed; a cookie is set."),
    **{
        status: typed(text, "text/html")
        for status, text in {
            "400": "Not a form.",
            "403": "The form came from another site, the way is not safe, or the gate is not open for this address.",
            "413": "More than an e-mail address.",
            "422": "Not an e-mail address, not the access code, or the terms are not accepted.",
            "429": "Too many tries.",
            "503": "The store or the mail server cannot be reached.",
        }.items()
    },
}
