"""What operators may ask, as OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

from stillhere.server.describing import for_operators, in_path, in_query, json_body, object_of, own_headers, problem_body, typed

_TEXT: dict[str, Any] = {"type": "string"}
_PERHAPS: dict[str, Any] = {"type": ["string", "null"]}


def operator_paths(problem: dict[str, Any]) -> dict[str, Any]:
    """Describe the dashboard's routes.

    Args:
        problem: schema of a problem.
    """
    return {**_live(problem), **_visits(problem), **_operating(problem)}


def _live(problem: dict[str, Any]) -> dict[str, Any]:
    return {
        "/admin/api/me": {
            "get": for_operators("me", "Who is signed in, and what they may do", {"200": json_body("The operator.", _ME)}),
        },
        "/admin/api/now": {"get": for_operators("now", "Who is here now", {"200": json_body("People and totals.", {"type": "object"})})},
        "/admin/api/events": {
            "get": for_operators(
                "dashboardEvents",
                "Be told who is here, as it changes; extends nothing",
                {
                    "200": typed("Events `now`, `visits`, `trouble` and `ended`, until the operator is signed out.", "text/event-stream"),
                    "403": problem_body("From another site.", problem),
                    "429": problem_body("Too many streams, or too many wrong tokens from this address.", problem),
                },
            ),
        },
    }


def _visits(problem: dict[str, Any]) -> dict[str, Any]:
    return {
        "/admin/api/visits/{id}": {
            "get": for_operators(
                "visit",
                "One visit and its views",
                {"200": json_body("The visit.", {"type": "object"}), "404": problem_body("No such visit.", problem)},
                parameters=[in_path("id")],
            ),
        },
    }


def _operating(problem: dict[str, Any]) -> dict[str, Any]:
    entry = object_of(at=_TEXT, operator=_TEXT, action=_TEXT, target=_PERHAPS, detail=_PERHAPS)
    page = object_of(entries={"type": "array", "items": entry}, next=_PERHAPS)
    return {
        "/admin/api/audit": {
            "get": for_operators(
                "audit",
                "What operators did, the latest first",
                {
                    "200": json_body("A page of entries.", page),
                    "422": _wrong(problem),
                },
                parameters=[in_query("before")],
            ),
        },
        "/admin/api/sessions/{handle}/end": {
            "post": for_operators(
                "revoke",
                "End a session",
                {
                    "200": json_body("Ended.", object_of(ended={"const": True})),
                    "404": problem_body("No such session.", problem),
                },
                parameters=[in_path("handle"), *own_headers()],
                role="operator",
            ),
        },
    }


_ME = object_of(operator=_TEXT, role={"enum": ["viewer", "operator"]}, signOut=_PERHAPS, zone=_TEXT, siteName=_TEXT)


def _wrong(problem: dict[str, Any]) -> dict[str, Any]:
    return problem_body("A parameter cannot be used; `field` names it.", problem)
