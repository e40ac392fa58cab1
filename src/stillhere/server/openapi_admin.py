"""The dashboard's questions in the document of the HTTP surface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from stillhere.archive.export import FORMS
from stillhere.archive.filters import LONGEST_LIST, SORTS
from stillhere.archive.zones import UNITS
from stillhere.server.describing import PROBLEM, for_operators, in_path, json_body, object_of, own_headers, problem_body
from stillhere.server.querying.asking import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stillhere.server.admin.query import Role

_TEXT: Final[dict[str, Any]] = {"type": "string"}
_PERHAPS: Final[dict[str, Any]] = {"type": ["string", "null"]}
_COUNT: Final[dict[str, Any]] = {"type": "integer", "minimum": 0}
_TRUE: Final[dict[str, Any]] = {"const": True}
_WRONG: Final = problem_body("A parameter cannot be used, or is not known; `field` names it.", PROBLEM)

FILTER: Final[dict[str, dict[str, Any]]] = {
    "visitor": {**_TEXT, "description": "Only this visitor's visits."},
    "page": {**_TEXT, "description": "Only visits that viewed this page."},
    "from": {**_TEXT, "description": "First day in `zone`, `2026-11-01`, or an instant in ISO 8601. Visits belong to when they began."},
    "to": {**_TEXT, "description": "Last day, included; or an instant, not included."},
    "zone": {**_TEXT, "description": "IANA time zone, `Europe/Berlin`. Default: the setting `zone`."},
    "min": {**_TEXT, "description": "At least so much visible time: `30s`."},
    "max": {**_TEXT, "description": "At most so much visible time: `5m`."},
    "ended": {**_TEXT, "description": "Ways in which visits ended, parted by commas: `leave,idle`, or `here`."},
    "with": {**_TEXT, "description": "What is left out otherwise: `internal`, `excluded`, or both."},
    "verified": {"type": "string", "enum": ["true", "false"], "description": "Only verified visitors, or only others."},
}

PAGING: Final[dict[str, dict[str, Any]]] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": LONGEST_LIST},
    "before": {**_TEXT, "description": "Cursor: the `next` of the answer before."},
}


def admin_paths() -> dict[str, Any]:
    """Describe the questions, without those that the document has already."""
    sort = {"sort": {"type": "string", "enum": list(SORTS), "description": "Of visitors."}}
    unit = {"unit": {"type": "string", "enum": list(UNITS), "description": "Of buckets."}}
    return {
        "/admin/api/visits": _get("visits", "Visits, newest first", FILTER | PAGING),
        "/admin/api/visits/{id}/exclude": _post(
            "excludeVisit", "Leave a visit out of every count, or count it again", {"excluded": bool}, "id"
        ),
        "/admin/api/visitors": _get("visitors", "Visitors with their totals", FILTER | PAGING | sort),
        "/admin/api/pages": _get("pages", "Pages with quartiles over their views", FILTER | PAGING),
        "/admin/api/buckets": _get("buckets", "Visits by hour, day, week or month of a zone", FILTER | unit),
        "/admin/api/durations": _get("durations", "Visits by their visible time", FILTER),
        "/admin/api/simultaneous": _get("simultaneous", "How many visitors were there at once", FILTER),
        "/admin/api/totals": _get("totals", "Visits, added up", FILTER),
        "/admin/api/export/{name}.{form}": _export(FILTER | sort | unit),
        "/admin/api/subjects/erase": _post("erase", "End a person's sessions and delete all that is kept of them", {"subject": str}),
        "/admin/api/subjects/export": _get(
            "exportPerson", "All that is kept of a person", {"subject": {**_TEXT, "minLength": 1}}, needed=("subject",), role="operator"
        ),
    }


def mirror_paths() -> dict[str, Any]:
    """Describe what may be asked of mirrors, and done about their dead letters."""
    state = object_of(
        name=_TEXT,
        kind=_TEXT,
        state={"enum": ["well", "behind", "away", "refused", "off", "asleep"]},
        pending=_COUNT,
        sent=_COUNT,
        dead=_COUNT,
        lagMs=_COUNT,
        lastSentAt=_PERHAPS,
        lastError=_PERHAPS,
    )
    letter = object_of(id=_TEXT, visit=_TEXT, at=_TEXT, attempts=_COUNT, error=_TEXT)
    place = "/admin/api/mirrors/{name}"
    return {
        "/admin/api/mirrors": {
            "get": for_operators("mirrors", "How the mirrors stand", {"200": json_body("All of them.", _listed(mirrors=state))})
        },
        f"{place}/dead": {
            "get": for_operators(
                "deadLetters",
                "A mirror's dead letters, the latest first",
                {"200": json_body("They.", _listed(letters=letter)), "404": problem_body("There is no such mirror.", PROBLEM)},
                parameters=[in_path("name")],
            )
        },
        f"{place}/wake": _to_mirror("wakeMirror", "Try a mirror again now", "woken", "name"),
        f"{place}/retry": _to_mirror("retryMirror", "Try a mirror and all its dead letters again now", "retried", "name", told=_COUNT),
        f"{place}/dead/{{id}}/retry": _to_mirror("retryLetter", "Try a dead letter again", "retried", "name", "id"),
        f"{place}/dead/{{id}}/drop": _to_mirror("dropLetter", "Give a dead letter up", "dropped", "name", "id"),
    }


def _listed(**kinds: dict[str, Any]) -> dict[str, Any]:
    return object_of(**{name: {"type": "array", "items": kind} for name, kind in kinds.items()})


def _to_mirror(name: str, summary: str, done: str, *paths: str, told: dict[str, Any] = _TRUE) -> dict[str, Any]:
    answers = {
        "200": json_body("Done.", object_of(**{done: told})),
        "404": problem_body("There is no such mirror, or nothing of that name to be tried.", PROBLEM),
    }
    parameters = [*(in_path(path) for path in paths), *own_headers()]
    return {"post": for_operators(name, summary, answers, parameters=parameters, role="operator")}


def _parameters(asked: Mapping[str, dict[str, Any]], needed: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    found = []
    for name, schema in asked.items():
        described = {key: value for key, value in schema.items() if key == "description"}
        kind = {key: value for key, value in schema.items() if key != "description"}
        found.append({"name": name, "in": "query", "required": name in needed, "schema": kind, **described})
    return found


def _get(
    name: str, summary: str, asked: Mapping[str, dict[str, Any]], *, needed: tuple[str, ...] = (), role: Role = "viewer"
) -> dict[str, Any]:
    answers = {"200": json_body("The answer.", {"type": "object"}), "422": _WRONG}
    return {"get": for_operators(name, summary, answers, parameters=_parameters(asked, needed), role=role)}


def _post(name: str, summary: str, members: Mapping[str, type], *paths: str) -> dict[str, Any]:
    properties = {member: msgspec.json.schema(kind) for member, kind in members.items()}
    schema = {"type": "object", "required": list(members), "properties": properties}
    answers = {"200": json_body("Done.", {"type": "object"}), "422": _WRONG}
    if paths:
        answers["404"] = problem_body("There is no such visit.", PROBLEM)
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    parameters = [*(in_path(path) for path in paths), *own_headers()]
    return {"post": for_operators(name, summary, answers, parameters=parameters, body=body, role="operator")}


def _export(asked: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "enum": list(known)}}
        for name, known in (("name", TABLES), ("form", FORMS))
    ]
    answers = {
        "200": {
            "description": "The file, as it is made; `stillhere-rows` tells how many rows there are, where they can be counted in time.",
            "content": {media: {} for media in ("text/csv", "application/jsonl", "application/vnd.apache.parquet")},
        },
        "404": problem_body("There is no such file.", PROBLEM),
        "422": _WRONG,
        "501": problem_body("It needs stillhere[parquet].", PROBLEM),
    }
    return {"get": for_operators("export", "A table as a file", answers, parameters=[*path, *_parameters(asked)])}
