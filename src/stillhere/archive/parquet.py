"""Tables as Parquet, written in row groups as the rows come, so that memory holds one group at a time. Needs the extra `parquet`."""

from __future__ import annotations

import io
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from stillhere.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stillhere.archive.export import Kind, Row, Table

GROUP: Final = 20_000
"""Rows in one group."""


async def parquet_of(table: Table[Row], rows: AsyncIterator[Row]) -> AsyncIterator[bytes]:
    """Write rows as a Parquet file, piece by piece. Instants are timestamps in UTC, spans whole numbers of milliseconds.

    Raises:
        MissingExtra: if pyarrow is not installed; nothing was written then.
    """
    arrow, parquet = load()
    kinds: dict[Kind, Any] = {
        "text": arrow.string(),
        "instant": arrow.timestamp("ms", tz="UTC"),
        "whole": arrow.int64(),
        "number": arrow.float64(),
        "truth": arrow.bool_(),
    }
    schema = arrow.schema([(name, kinds[kind]) for name, kind in table.columns.items()])
    sink = _Pipe()
    with parquet.ParquetWriter(sink, schema, compression="snappy") as writer:
        group: list[tuple[Any, ...]] = []
        async for row in rows:
            group.append(table.cells(row))
            if len(group) == GROUP:
                writer.write_batch(_batch(arrow, schema, group))
                group.clear()
                yield sink.take()
        if group:
            writer.write_batch(_batch(arrow, schema, group))
    yield sink.take()


def load() -> tuple[Any, Any]:
    """Load pyarrow and its Parquet half, which are slow to load and needed by few.

    Raises:
        MissingExtra: if it is not installed.
    """
    try:
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ModuleNotFoundError as error:
        raise MissingExtra("parquet", "a Parquet file") from error
    return arrow, parquet


def _batch(arrow: Any, schema: Any, group: list[tuple[Any, ...]]) -> Any:  # noqa: ANN401  # pyarrow has no types
    columns = [arrow.array(column, field.type) for column, field in zip(zip(*group, strict=True), schema, strict=True)]
    return arrow.record_batch(columns, schema=schema)


class _Pipe(io.RawIOBase):
    """A file that is only written to, and whose bytes are taken away as they come."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = bytearray()

    def writable(self) -> bool:
        """Say that it is."""
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401  # any buffer
        """Take some bytes."""
        count = len(memoryview(data).cast("B"))
        self._waiting += data
        return count

    def take(self) -> bytes:
        """Give what waits."""
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken
