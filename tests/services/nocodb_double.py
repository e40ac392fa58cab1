"""A stand-in for NocoDB: one table, the record APIs v2 and v3, strict where some release is strict.

What it refuses was seen at the real server, or stands in its documents: too many rows in a call, unknown columns, cells of the wrong type,
a missing or repeated key, an unknown row, an offset past the end. `make test-nocodb` runs the same tests on the real one.
"""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tests.services.http import Answered, Asked, HttpThread, answer

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN: Final = "xc-double-token"
BASE: Final = "pdouble"
TABLE: Final = "mdouble"

MOST_ROWS: Final = {2: 100, 3: 10}
LEAST_PAGE: Final = 10
LARGEST_PAGE: Final = 1_000

_CONDITION: Final = re.compile(r"\(([^,()]+),eq,([^,()~]+)\)\Z")
_QUOTED: Final = re.compile(r'\(([^,()]+),eq,"([^"]*)"\)\Z')


class Wrong(Exception):
    """A call that is refused."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.message = message


class NocoDouble:
    """The server.

    Args:
        columns: by title their types: `text`, `datetime` or `number`.
        key: title of the primary key.

    Attributes:
        url: where it listens.
        rows: by key.
        columns: the types, by title; a test may take some away.
        is_gone: somebody deleted the table.
        not_found: what it says of a row that is not there, whose key is put in.
    """

    def __init__(self, columns: Mapping[str, str], key: str = "Id") -> None:
        self.columns = dict(columns)
        self._key = key
        self.is_gone = False
        self.not_found = "Record with pk {} not found"
        self._lock = threading.Lock()
        self._last = 0
        self.rows: dict[int, dict[str, Any]] = {}
        self._server = HttpThread(self._answer)
        self.url = self._server.url

    def close(self) -> None:
        """Stop."""
        self._server.stop()

    def _answer(self, asked: Asked) -> Answered:
        with self._lock:
            try:
                return answer(200, self._routed(asked))
            except Wrong as wrong:
                return answer(wrong.status, {"error": wrong.error, "message": wrong.message})

    def _routed(self, asked: Asked) -> Any:
        if "xc-token" not in asked.headers:
            raise Wrong(401, "ERR_AUTHENTICATION_REQUIRED", "Authentication required")
        if asked.headers["xc-token"] != TOKEN:
            raise Wrong(403, "ERR_FORBIDDEN", "Unauthorized access")
        versions = {f"/api/v2/tables/{TABLE}/records": 2, f"/api/v3/data/{BASE}/{TABLE}/records": 3}
        version = versions.get(asked.path)
        if version is None or self.is_gone:
            raise Wrong(404, "ERR_TABLE_NOT_FOUND", "Table not found")
        if asked.method == "GET":
            return self._list_2(asked.query) if version == 2 else self._list_3(asked.query)
        try:
            given = msgspec.json.decode(asked.body)
        except msgspec.DecodeError:
            raise Wrong(400, "ERR_BAD_JSON", "Invalid JSON") from None
        rows = given if isinstance(given, list) else [given]
        if len(rows) > MOST_ROWS[version]:
            raise Wrong(422, "ERR_MAX_INSERT_LIMIT_EXCEEDED", f"At most {MOST_ROWS[version]} records a call")
        work = {"POST": self._make, "PATCH": self._change, "DELETE": self._delete}[asked.method]
        made = work([self._read(row, version, asked.method) for row in rows])
        if version == 2:
            keys = [{self._key: key} for key in made]
            return keys if isinstance(given, list) else keys[0]
        return {"records": [{"id": key, "fields": self.rows.get(key, {})} for key in made]}

    def _read(self, row: Any, version: int, method: str) -> tuple[Any, dict[str, Any]]:
        """Read a row as its key and its cells."""
        if not isinstance(row, dict):
            raise Wrong(400, "ERR_INVALID_REQUEST_BODY", "A record is an object")
        if version == 2:
            return row.get(self._key), {title: cell for title, cell in row.items() if title != self._key}
        allowed = {"POST": {"fields"}, "PATCH": {"id", "fields"}, "DELETE": {"id"}}[method]
        if set(row) != allowed:
            raise Wrong(422, "ERR_INVALID_REQUEST_BODY", f"A record has {sorted(allowed)} and nothing else")
        return row.get("id"), row.get("fields", {})

    def _make(self, rows: list[tuple[Any, dict[str, Any]]]) -> list[int]:
        new = [self._checked(cells) for _, cells in rows]
        made = []
        for cells in new:
            self._last += 1
            self.rows[self._last] = {**dict.fromkeys(self.columns), **cells}
            made.append(self._last)
        return made

    def _change(self, rows: list[tuple[Any, dict[str, Any]]]) -> list[int]:
        keys = self._keys(rows)
        new = [self._checked(cells) for _, cells in rows]
        for key, cells in zip(keys, new, strict=True):
            self.rows[key].update(cells)
        return keys

    def _delete(self, rows: list[tuple[Any, dict[str, Any]]]) -> list[int]:
        keys = self._keys(rows)
        for key in keys:
            del self.rows[key]
        return keys

    def _keys(self, rows: list[tuple[Any, dict[str, Any]]]) -> list[int]:
        keys = [key for key, _ in rows]
        if any(key is None for key in keys):
            raise Wrong(422, "ERR_PRIMARY_KEY_REQUIRED", "Primary key is required")
        if len(set(keys)) < len(keys):
            raise Wrong(422, "ERR_DUPLICATE_RECORD", "Duplicate record")
        for key in keys:
            if key not in self.rows:
                raise Wrong(422, "ERR_RECORD_NOT_FOUND", self.not_found.format(key))
        return keys

    def _checked(self, cells: dict[str, Any]) -> dict[str, Any]:
        read = {}
        for title, cell in cells.items():
            if title not in self.columns:
                raise Wrong(422, "ERR_FIELD_NOT_FOUND", f"Field {title!r} not found")
            read[title] = None if cell is None else _cell(self.columns[title], cell)
        return read

    def _list_2(self, query: dict[str, str]) -> Any:
        rows = self._wanted(query, [part.removeprefix("-") for part in query.get("sort", "").split(",") if part], _CONDITION)
        for part in reversed([part for part in query.get("sort", "").split(",") if part]):
            rows.sort(key=partial(_sortable, part.removeprefix("-")), reverse=part.startswith("-"))
        size = max(LEAST_PAGE, min(LARGEST_PAGE, int(query.get("limit", 25))))
        offset = int(query.get("offset", 0))
        if offset and offset >= len(rows):
            raise Wrong(422, "ERR_INVALID_OFFSET_VALUE", "Offset is beyond the total number of records")
        info = {"totalRows": len(rows), "page": offset // size + 1, "pageSize": size}
        info |= {"isFirstPage": offset == 0, "isLastPage": offset + size >= len(rows)}
        return {"list": rows[offset : offset + size], "pageInfo": info}

    def _list_3(self, query: dict[str, str]) -> Any:
        order = msgspec.json.decode(query.get("sort", "[]"))
        rows = self._wanted(query, [part["field"] for part in order], _QUOTED)
        for part in reversed(order):
            rows.sort(key=partial(_sortable, part["field"]), reverse=part["direction"] == "desc")
        size = max(LEAST_PAGE, min(LARGEST_PAGE, int(query.get("pageSize", 25))))
        begin = (int(query.get("page", 1)) - 1) * size
        page = [{"id": row[self._key], "fields": {title: row[title] for title in self.columns}} for row in rows[begin : begin + size]]
        following = f"{self.url}/next" if begin + size < len(rows) else None
        return {"records": page, "next": following, "prev": None, "nestedNext": None, "nestedPrev": None}

    def _wanted(self, query: dict[str, str], order: list[str], condition: re.Pattern[str]) -> list[dict[str, Any]]:
        rows = [{self._key: key, **cells} for key, cells in self.rows.items()]
        named = list(order)
        where = query.get("where")
        if where is not None:
            read = condition.match(where)
            if read is None:
                raise Wrong(422, "ERR_INVALID_FILTER", "Invalid filter expression")
            named.append(read[1])
            rows = [row for row in rows if str(row.get(read[1])) == read[2]]
        for title in named:
            if title not in self.columns:
                raise Wrong(422, "ERR_FIELD_NOT_FOUND", f"Invalid field: {title}")
        return rows


def _cell(kind: str, cell: Any) -> Any:
    """Keep a cell as the real server does: instants in UTC, whole seconds, with their offset."""
    if kind == "number":
        if isinstance(cell, bool) or not isinstance(cell, int):
            raise Wrong(422, "ERR_INVALID_VALUE_FOR_FIELD", "Not a number")
        return cell
    if not isinstance(cell, str):
        raise Wrong(422, "ERR_INVALID_VALUE_FOR_FIELD", "Not a text")
    if kind == "text":
        return cell
    try:
        read = datetime.fromisoformat(cell)
    except ValueError:
        raise Wrong(422, "ERR_INVALID_VALUE_FOR_FIELD", "Not an instant") from None
    if read.tzinfo is None:
        raise Wrong(422, "ERR_INVALID_VALUE_FOR_FIELD", "An instant without an offset may mean any hour")
    return read.astimezone(UTC).replace(microsecond=0).isoformat(" ")


def _sortable(title: str, row: dict[str, Any]) -> tuple[bool, Any]:
    cell = row[title]
    return cell is not None, cell if cell is not None else 0
