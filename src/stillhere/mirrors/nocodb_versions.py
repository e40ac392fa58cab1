"""How NocoDB's two record APIs differ: addresses, shapes, how many rows a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec

from stillhere.mirrors.calls import Broken

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAGE: Final = 100
"""Rows listed in one call; every server allows so many, and none gives fewer than ten."""


class Found(msgspec.Struct, frozen=True):
    """A row as it is over there.

    Attributes:
        record_id: its key, as JSON.
        fields: its cells by column.
    """

    record_id: str
    fields: dict[str, Any]


def _text(key: object) -> str:
    if isinstance(key, int | str) and not isinstance(key, bool):
        return msgspec.json.encode(key).decode()
    raise Broken("its answer has no key where one belongs")


def _listed(answer: object, name: str) -> list[Any]:
    rows = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise Broken(f"its answer has no {name}")
    return rows


class V2:
    """The record API v2.

    Args:
        url: of the server.
        table: the table's id, `m…`.
        key: title of the table's primary key.
    """

    rows_a_call = 100

    def __init__(self, url: str, table: str, key: str) -> None:
        """Keep where it is."""
        self.records_url = f"{url}/api/v2/tables/{quote(table, safe='')}/records"
        self._key = key

    def new(self, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Write rows to be made."""
        return list(rows)

    def changed(self, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Any]:
        """Write rows to be changed, by their keys."""
        return [{self._key: msgspec.json.decode(record_id), **fields} for record_id, fields in rows]

    def named(self, record_ids: Sequence[str]) -> list[Any]:
        """Write rows to be deleted."""
        return [{self._key: msgspec.json.decode(record_id)} for record_id in record_ids]

    def made(self, answer: object) -> list[str]:
        """Read the keys of what was made."""
        rows = answer if isinstance(answer, list) else [answer]
        return [_text(row.get(self._key) if isinstance(row, dict) else None) for row in rows]

    def where(self, column: str, value: str) -> str:
        """Write a condition for a value that has nothing in it which conditions are written with."""
        return f"({column},eq,{value})"

    def sort(self, columns: Sequence[str], *, falling: bool = False) -> str:
        """Write an order."""
        return ",".join(f"-{column}" if falling else column for column in columns)

    def page(self, number: int) -> dict[str, str]:
        """Write which page of a list is wanted, from 0."""
        return {"limit": str(PAGE), "offset": str(number * PAGE)}

    def found(self, answer: object) -> tuple[list[Found], bool]:
        """Read a page: its rows, and whether there is another."""
        rows = [Found(_text(row.get(self._key)), row) for row in _listed(answer, "list")]
        info = answer.get("pageInfo") if isinstance(answer, dict) else None
        # An offset past the end is an error, so the next page is asked for only if there is one.
        return rows, bool(rows) and isinstance(info, dict) and info.get("isLastPage") is False


class V3:
    """The record API v3.

    Args:
        url: of the server.
        base: the base's id, `p…`.
        table: the table's id, `m…`.
    """

    rows_a_call = 10

    def __init__(self, url: str, base: str, table: str) -> None:
        """Keep where it is."""
        self.records_url = f"{url}/api/v3/data/{quote(base, safe='')}/{quote(table, safe='')}/records"

    def new(self, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Write rows to be made."""
        return [{"fields": fields} for fields in rows]

    def changed(self, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Any]:
        """Write rows to be changed, by their keys."""
        return [{"id": msgspec.json.decode(record_id), "fields": fields} for record_id, fields in rows]

    def named(self, record_ids: Sequence[str]) -> list[Any]:
        """Write rows to be deleted."""
        return [{"id": msgspec.json.decode(record_id)} for record_id in record_ids]

    def made(self, answer: object) -> list[str]:
        """Read the keys of what was made."""
        return [_text(row.get("id") if isinstance(row, dict) else None) for row in _listed(answer, "records")]

    def where(self, column: str, value: str) -> str:
        """Write a condition; v3 takes quoted values."""
        return f'({column},eq,"{value}")'

    def sort(self, columns: Sequence[str], *, falling: bool = False) -> str:
        """Write an order."""
        return msgspec.json.encode([{"field": column, "direction": "desc" if falling else "asc"} for column in columns]).decode()

    def page(self, number: int) -> dict[str, str]:
        """Write which page of a list is wanted, from 0."""
        return {"page": str(number + 1), "pageSize": str(PAGE)}

    def found(self, answer: object) -> tuple[list[Found], bool]:
        """Read a page: its rows, and whether there is another."""
        rows = [Found(_text(row.get("id")), row.get("fields") or {}) for row in _listed(answer, "records")]
        return rows, bool(rows) and isinstance(answer, dict) and answer.get("next") is not None
