"""Answers of the dashboard's API: JSON and problems, private and never kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

if TYPE_CHECKING:
    from stillhere.http.messages import Response as Problem


def json_answer(body: object) -> Response:
    """Answer with JSON."""
    return Response(msgspec.json.encode(body), media_type="application/json", headers={"cache-control": "private, no-store"})


def carried(answer: Problem) -> Response:
    """Carry an answer of `http/`, such as a problem."""
    response = Response(answer.body, answer.status, headers={"cache-control": "private, no-store"})
    response.raw_headers.extend((name.encode(), value.encode()) for name, value in answer.headers)
    return response
