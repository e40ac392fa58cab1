"""Words to describe the HTTP surface with, as OpenAPI 3.1 has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from stillhere.server.admin.query import Role

SCHEMES: Final[dict[str, Any]] = {
    "operator": {"type": "apiKey", "in": "cookie", "name": "operator"},
    "operatorToken": {"type": "http", "scheme": "bearer", "description": "`admin_token` or `viewer_token` of the settings."},
}
"""How operators prove who they are."""

PROBLEM: Final[dict[str, Any]] = {"$ref": "#/components/schemas/Problem"}

_ASKS: Final = {
    "401": "Nobody is signed in, or the token opens nothing.",
    "429": "Too many wrong tokens from this address.",
    "503": "The store cannot be reached.",
}
_DOES: Final = {**_ASKS, "403": "Only an operator may, and only from the dashboard's own pages.", "413": "More than 16,384 bytes."}


def plain(text: str) -> dict[str, Any]:
    """Describe an answer without a body."""
    return {"description": text}


def typed(text: str, media_type: str) -> dict[str, Any]:
    """Describe an answer that is text of some kind."""
    return {"description": text, "content": {media_type: {"schema": {"type": "string"}}}}


def json_body(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Describe an answer in JSON."""
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def problem_body(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Describe an answer that is a problem."""
    return {"description": text, "content": {"application/problem+json": {"schema": schema}}}


def object_of(**properties: dict[str, Any]) -> dict[str, Any]:
    """Describe an object with these members, all of them there."""
    return {"type": "object", "required": list(properties), "properties": properties}


def in_query(name: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    """Describe a parameter of the query."""
    return {"name": name, "in": "query", "required": False, "schema": schema or {"type": "string"}}


def in_path(name: str) -> dict[str, Any]:
    """Describe a part of the path."""
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def own_headers() -> list[dict[str, Any]]:
    """Describe the headers of our own."""
    return [
        {"name": header, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for header, text in (
            ("X-Heartbeat", "`true` makes this a check that extends nothing."),
            ("X-Stillhere", "Any value: sent by our own client."),
        )
    ]


def operation(
    name: str,
    summary: str,
    responses: dict[str, Any],
    *,
    body: dict[str, Any] | None = None,
    headers: bool = False,
) -> dict[str, Any]:
    """Describe one operation."""
    operation: dict[str, Any] = {"operationId": name, "summary": summary, "responses": responses}
    if headers:
        operation["parameters"] = own_headers()
    if body is not None:
        operation["requestBody"] = body
    return operation


def for_operators(
    name: str,
    summary: str,
    responses: dict[str, Any],
    *,
    parameters: list[dict[str, Any]] | None = None,
    body: dict[str, Any] | None = None,
    role: Role = "viewer",
) -> dict[str, Any]:
    """Describe one operation of the dashboard: what it answers besides is the guard's."""
    guarded = {status: problem_body(text, PROBLEM) for status, text in (_DOES if role == "operator" else _ASKS).items()}
    described = operation(name, summary, {**guarded, **responses}, body=body)
    described["security"] = [{scheme: []} for scheme in SCHEMES]
    return {**described, "parameters": parameters} if parameters else described
