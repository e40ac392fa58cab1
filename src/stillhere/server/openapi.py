"""The HTTP surface as OpenAPI 3.1, from the same records that read and write it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from stillhere import __version__
from stillhere.core.wire import Answer, Message

if TYPE_CHECKING:
    from stillhere.http.config import HttpConfig


class Problem(msgspec.Struct):
    """What happened, and what to do (RFC 9457).

    Attributes:
        type: always `about:blank`; `reason` is for machines.
        title: the kind of problem.
        status: the HTTP status.
        detail: one or two sentences for people.
        reason: why a session is over.
        message: the same as `detail`, for existing clients.
        field: path of the member at fault.
        endedAt: when the session ended, ISO 8601.
    """

    type: str
    title: str
    status: int
    detail: str
    reason: str | msgspec.UnsetType = msgspec.UNSET
    message: str | msgspec.UnsetType = msgspec.UNSET
    field: str | msgspec.UnsetType = msgspec.UNSET
    endedAt: str | msgspec.UnsetType = msgspec.UNSET  # noqa: N815  # a name on the wire


class Visitor(msgspec.Struct, rename="camel"):
    """All visits of one visitor, added up.

    Attributes:
        visitor: who.
        visits: how many.
        open_ms, visible_ms, active_ms: sums over the visits.
        first_at, last_at: start of the first and end of the last, ISO 8601.
    """

    visitor: str
    visits: int
    open_ms: int
    visible_ms: int
    active_ms: int
    first_at: str
    last_at: str


def openapi(http: HttpConfig) -> dict[str, Any]:
    """Describe the routes.

    Args:
        http: how the session routes are offered.
    """
    schemas, components = msgspec.json.schema_components([Message, Answer, Problem, Visitor], ref_template="#/components/schemas/{name}")
    message, answer, problem, visitor = schemas
    prefix = http.prefix
    over = _problem("The session is over, finally; `reason` says why.", problem)
    told = {"200": _json("How the session stands.", answer), "401": over}
    posted = {status: _problem(text, problem) for status, text in _POSTED.items()}
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
            f"{prefix}/beat": {"post": _operation("beat", "Say that somebody is there", {**told, **posted}, body=beat_body, headers=True)},
            http.prefix: {
                "get": _operation(
                    "look",
                    "Ask how the session stands; writes nothing",
                    {**told, **{status: posted[status] for status in ("413", "429", "503")}},
                )
            },
            f"{prefix}/end": {
                "post": _operation(
                    "end",
                    "Sign out; idempotent",
                    {"200": _json("Signed out.", _object(success={"const": True}, reason={"type": "string"})), **posted},
                    body=beat_body,
                    headers=True,
                ),
            },
            f"{prefix}/client.js": {
                "get": _operation(
                    "client", "The browser client", {"200": _typed("The script.", "text/javascript"), "304": _plain("Unchanged.")}
                )
            },
            f"{prefix}/events": {
                "get": _operation(
                    "events",
                    "Be told how the session stands, as it changes; extends nothing",
                    {"200": _typed("Events `state`, `expiring` and `ended`, until the session is over.", "text/event-stream"), **refused},
                )
            },
            f"{prefix}/socket": {
                "get": _operation(
                    "socket",
                    "The same over WebSocket",
                    {
                        "101": _plain("Frames `state`, `expiring` and `ended`."),
                        "404": _problem("No WebSocket was asked for.", problem),
                        **refused,
                    },
                )
            },
            f"{prefix}/client/{{name}}": {
                "get": _operation(
                    "clientPart",
                    "An optional part of the client: a language, an adapter",
                    {
                        "200": _part(),
                        "304": _plain("Unchanged."),
                        "404": _problem("There is no such part.", problem),
                    },
                )
                | {"parameters": [_in_path("name")]}
            },
            "/gate": {"post": _operation("enter", "Pass the gate with an e-mail address", _GATE, body=_FORM, headers=True)},
            "/admin/api/now": {"get": _admin("now", "Who is here now", {"200": _json("People and totals.", {"type": "object"})})},
            "/admin/api/visits": {
                "get": _admin(
                    "visits",
                    "Visits, newest first",
                    {"200": _json("A page of visits.", {"type": "object"}), "422": _problem("A parameter cannot be used.", problem)},
                    parameters=[_query("visitor"), _query("before"), _query("limit", {"type": "integer", "minimum": 1, "maximum": 200})],
                ),
            },
            "/admin/api/visits/{id}": {
                "get": _admin(
                    "visit",
                    "One visit and its views",
                    {"200": _json("The visit.", {"type": "object"}), "404": _problem("No such visit.", problem)},
                    parameters=[_in_path("id")],
                ),
            },
            "/admin/api/visitors": {
                "get": _admin(
                    "visitors", "Totals of every visitor", {"200": _json("Totals.", _object(visitors={"type": "array", "items": visitor}))}
                ),
            },
            "/admin/api/sessions/{handle}/end": {
                "post": _admin(
                    "revoke",
                    "End a session",
                    {
                        "200": _json("Ended.", _object(ended={"const": True})),
                        "403": posted["403"],
                        "404": _problem("No such session.", problem),
                    },
                    parameters=[_in_path("handle"), *_own_headers()],
                ),
            },
            "/healthz": {"get": _operation("alive", "The process is up", {"200": _typed("ok", "text/plain")})},
            "/readyz": {
                "get": _operation(
                    "ready",
                    "The store answers",
                    {"200": _json("Ready.", {"type": "object"}), "503": _json("Not ready.", {"type": "object"})},
                )
            },
        },
        "components": {
            "schemas": components,
            "securitySchemes": {"operator": {"type": "apiKey", "in": "cookie", "name": "operator"}},
        },
    }


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
                "properties": {"email": {"type": "string"}, "next": {"type": "string"}},
            },
        },
    },
}


def _plain(text: str) -> dict[str, Any]:
    return {"description": text}


def _typed(text: str, media_type: str) -> dict[str, Any]:
    return {"description": text, "content": {media_type: {"schema": {"type": "string"}}}}


def _part() -> dict[str, Any]:
    schema = {"schema": {"type": "string"}}
    return {"description": "The part.", "content": dict.fromkeys(("text/javascript", "application/json", "image/svg+xml"), schema)}


def _json(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _problem(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {"application/problem+json": {"schema": schema}}}


_GATE = {
    "303": _plain("Let in; a cookie is set."),
    **{
        status: _typed(text, "text/html")
        for status, text in {
            "400": "Not a form.",
            "403": "The form came from another site, or the way is not safe.",
            "413": "More than an e-mail address.",
            "422": "Not an e-mail address.",
            "429": "Too many tries.",
            "503": "The store cannot be reached.",
        }.items()
    },
}


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _query(name: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema or {"type": "string"}}


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _own_headers() -> list[dict[str, Any]]:
    return [
        {"name": header, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for header, text in (
            ("X-Heartbeat", "`true` makes this a check that extends nothing."),
            ("X-Stillhere", "Any value: sent by our own client."),
        )
    ]


def _operation(
    name: str,
    summary: str,
    responses: dict[str, Any],
    *,
    body: dict[str, Any] | None = None,
    headers: bool = False,
) -> dict[str, Any]:
    operation: dict[str, Any] = {"operationId": name, "summary": summary, "responses": responses}
    if headers:
        operation["parameters"] = _own_headers()
    if body is not None:
        operation["requestBody"] = body
    return operation


def _admin(name: str, summary: str, responses: dict[str, Any], *, parameters: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    operation = _operation(name, summary, {**responses, "401": _typed("No operator is signed in.", "application/problem+json")})
    return {**operation, "security": [{"operator": []}], **({"parameters": parameters} if parameters else {})}
