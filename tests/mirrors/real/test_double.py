"""The stand-in is strict: what any release refuses it refuses, so that no test passes on kindness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.services.nocodb import FULL, DoubleTable

if TYPE_CHECKING:
    from collections.abc import Iterator

ROW = {"emailOfAccessor": "a@fund.example", "sessionStartTime": "2026-11-20T11:47:00.123+01:00", "visible": 3}


@pytest.fixture
def table() -> Iterator[DoubleTable]:
    """Give a table with two rows."""
    table = DoubleTable(FULL)
    table.add(ROW)
    table.add(ROW)
    yield table
    table.close()


def _call(table: DoubleTable, method: str, content: object = None, *, query: str = "", version: int = 2, token: str | None = "") -> Any:
    paths = {2: f"/api/v2/tables/{table.table}/records", 3: f"/api/v3/data/{table.base}/{table.table}/records"}
    headers = {} if token is None else {"xc-token": token or table.token}
    return httpx2.request(method, f"{table.url}{paths[version]}{query}", json=content, headers=headers, trust_env=False, timeout=20)


@pytest.mark.parametrize(
    ("method", "content", "status"),
    [
        ("POST", [ROW] * 100, 200),
        ("POST", [ROW] * 101, 422),
        ("POST", [{**ROW, "nope": 1}], 422),
        ("POST", [{**ROW, "visible": "3"}], 422),
        ("POST", [{**ROW, "sessionEndTime": "2026-11-20T11:47:00"}], 422),
        ("POST", [{**ROW, "sessionEndTime": "soon"}], 422),
        ("PATCH", [{"Id": 1, "visible": 4}, {"Id": 2, "visible": 4}], 200),
        ("PATCH", [{"visible": 4}], 422),
        ("PATCH", [{"Id": 1}, {"Id": 1}], 422),
        ("PATCH", [{"Id": 99, "visible": 4}], 422),
        ("DELETE", [{"Id": 1}], 200),
        ("DELETE", [{"Id": 99}], 422),
    ],
)
def test_version_2_takes_and_refuses(table: DoubleTable, method: str, content: object, status: int) -> None:
    """At most a hundred rows, known columns, cells of their type, instants with an offset, each key once and there."""
    assert _call(table, method, content).status_code == status


@pytest.mark.parametrize(
    ("method", "content", "status"),
    [
        ("POST", [{"fields": ROW}] * 10, 200),
        ("POST", [{"fields": ROW}] * 11, 422),
        ("POST", [ROW], 422),
        ("POST", [{"fields": ROW, "id": 1}], 422),
        ("PATCH", [{"id": 1, "fields": {"visible": 4}}], 200),
        ("PATCH", [{"Id": 1, "fields": {"visible": 4}}], 422),
        ("DELETE", [{"id": 1}], 200),
    ],
)
def test_version_3_takes_and_refuses(table: DoubleTable, method: str, content: object, status: int) -> None:
    """At most ten rows, and nothing beside `id` and `fields`."""
    assert _call(table, method, content, version=3).status_code == status


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?limit=1", 200),
        ("?offset=2", 422),
        ("?sort=-nope", 422),
        ("?where=(nope,eq,x)", 422),
        ("?where=(emailOfAccessor,eq,a,b)", 422),
        ("?where=(emailOfAccessor,eq,a)~or(visible,eq,3)", 422),
    ],
)
def test_lists_have_their_limits(table: DoubleTable, query: str, status: int) -> None:
    """No page is shorter than ten rows, no offset is past the end, and conditions are of the one form that is written here."""
    found = _call(table, "GET", query=query)
    assert found.status_code == status
    if status == 200:
        assert (found.json()["pageInfo"]["pageSize"], len(found.json()["list"])) == (10, 2)
        assert found.json()["list"][0]["sessionStartTime"] == "2026-11-20 10:47:00+00:00"


def test_whoever_has_no_token_is_refused(table: DoubleTable) -> None:
    """Without one it is 401, with a wrong one 403, as releases have it."""
    assert _call(table, "GET", token=None).status_code == 401
    assert _call(table, "GET", token="xc-wrong").status_code == 403
