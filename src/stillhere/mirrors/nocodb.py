"""NocoDB: one row for each visit, whose end moves while somebody is here. Record API v2, and v3 of newer servers.

What the API is like: 100 rows a call in v2, 10 in v3; five calls a second, and half a minute of nothing after a 429; no key that makes a
repeated creation the same one. So the outbox keeps which row is which visit's, and after a creation whose answer was lost the row is
looked for before it is made again.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from stillhere.errors import SettingsError
from stillhere.mirrors.calls import REFUSED_MS, TOTAL_TIMEOUT, Away, Broken, Refused, Trouble, call_of, json_of, send, with_query
from stillhere.mirrors.nocodb_versions import V2, V3, Found
from stillhere.mirrors.records import Delivery, Fate, Result, Step, Told, delivered
from stillhere.tokens.provider.records import Discreet
from stillhere.words import instant

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from stillhere.archive.records import VisitReport
    from stillhere.mirrors.calls import Method
    from stillhere.mirrors.pace import Pace
    from stillhere.tokens.provider.transport import Transport

CALLS_A_SECOND: Final = 5
"""What NocoDB's cloud allows."""

PATIENCE: Final = 3
"""So often in a row the server may break over many rows, or a gateway before it, before they are sent one by one."""

MOST_PAGES: Final = 50
"""Pages of a visitor's rows that are looked through for one, the latest first."""

SAME_MS: Final = 1_000
"""Starts so close are the same: servers keep whole seconds."""

_SAFE: Final = re.compile(r"[A-Za-z0-9@._+-]+\Z", re.ASCII)
"""What may stand in a condition: nothing that conditions are written with."""

_TITLE: Final = re.compile(r"""[^,()~"'`\\\x00-\x1f]{1,100}\Z""")


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """Titles of the table's columns; those that are None are left out.

    Attributes:
        key: the primary key. Read and never set.
        visitor: who.
        started: when the visit began.
        ended: its end so far.
        visit: the visit's id. With it a row is found again for certain.
        open, visible, active: seconds, as whole numbers.
        views: how many pages.
        ended_by: how it ended; empty while somebody is here.
    """

    key: str = "Id"
    visitor: str = "emailOfAccessor"
    started: str = "sessionStartTime"
    ended: str = "sessionEndTime"
    visit: str | None = None
    open: str | None = None
    visible: str | None = None
    active: str | None = None
    views: str | None = None
    ended_by: str | None = None

    def __post_init__(self) -> None:
        """Refuse titles that no condition could name."""
        for title in self.titles():
            if not _TITLE.match(title):
                raise SettingsError(f"{title!r} cannot be a column: leave out commas, brackets, quotes, ~ and \\")

    def titles(self) -> list[str]:
        """List the titles of all that is written."""
        named = msgspec.structs.asdict(self)
        return [title for name, title in named.items() if title is not None and name != "key"]

    def cells(self, visit: VisitReport) -> dict[str, str | int | None]:
        """Write a visit as a row. Instants are UTC with their offset, for a server may take them for local ones otherwise."""
        cells: dict[str | None, str | int | None] = {
            self.visitor: visit.visitor,
            self.started: _instant(visit.started_at),
            self.ended: _instant(visit.ended_at),
            self.visit: visit.id,
            self.open: visit.open_ms // 1000,
            self.visible: visit.visible_ms // 1000,
            self.active: visit.active_ms // 1000,
            self.views: visit.views,
            self.ended_by: visit.ended_by,
        }
        return {title: cell for title, cell in cells.items() if title is not None}


class Table(Discreet, frozen=True, kw_only=True):
    """A table of a NocoDB server. Printing it shows no token.

    Attributes:
        url: of the server, without a path of the API.
        token: an API token.
        table: the table's id, `m…`.
        base: the base's id, `p…`; v3 needs it.
        version: of the record API.
        columns: the table's.
    """

    SHOWN = ("url", "table", "version")

    url: str
    token: str
    table: str
    base: str | None = None
    version: Literal[2, 3] = 2
    columns: Columns = Columns()


class NocoDb:
    """Mirrors visits into a table of NocoDB.

    Args:
        table: where to.
        transport: carries calls.
        pace: lets calls pass.
        is_taken: tells whether a row over there is known as another visit's.
        name: names the mirror.
        timeout: how long a call may take, milliseconds.

    Raises:
        SettingsError: if v3 is asked for and no base is named.
    """

    kind = "nocodb"
    creates = True
    events = False
    sessions = False

    def __init__(  # its surroundings
        self,
        table: Table,
        *,
        transport: Transport,
        pace: Pace,
        is_taken: Callable[[str], Awaitable[bool]],
        name: str = "nocodb",
        timeout: int = TOTAL_TIMEOUT,
    ) -> None:
        """Call nobody yet."""
        if table.version == 3 and table.base is None:  # noqa: PLR2004  # the version's number
            raise SettingsError("NocoDB's record API v3 needs the id of the base, too: give --nocodb-base")
        self.name = name
        self._table = table
        self._columns = table.columns
        self._api = V2(table.url, table.table, table.columns.key) if table.version == 2 else V3(table.url, table.base or "", table.table)  # noqa: PLR2004  # as above
        self._transport = transport
        self._pace = pace
        self._is_taken = is_taken
        self._timeout = timeout
        self._breaks = 0
        self._knows_columns = False
        self._adopted = set[str]()  # taken on in this batch, which the outbox does not know yet
        self.batch = 100
        self.grace_ms = 2 * timeout

    def told(self, about: Told) -> str | None:
        """See `Mirror.told`: the row's hash, for the outbox has no need to know who it is about."""
        if about.visit is None:
            return None
        return hashlib.sha256(msgspec.json.encode(self._columns.cells(about.visit))).hexdigest()

    async def close(self) -> None:
        """See `Mirror.close`."""
        await self._transport.close()

    async def deliver(self, batch: Sequence[Delivery]) -> list[Result]:
        """See `Mirror.deliver`. Known rows first, then new ones, many in a call; then one by one those about which there is some doubt."""
        results = {delivery.row.id: Result(fate=Fate.AWAY, step=delivery.row.step) for delivery in batch}
        is_calm = self._breaks <= PATIENCE
        certain = [one for one in batch if is_calm and one.row.attempts == 0 and one.row.step is Step.NONE]
        works = [
            *((group, self._change) for group in self._in_calls([one for one in certain if one.row.record_id is not None])),
            *((group, self._make) for group in self._in_calls([one for one in certain if one.row.record_id is None])),
            *(([one], self._mend) for one in batch if one not in certain),
        ]
        self._adopted.clear()
        for group, work in works:
            trouble = await self._look_at_columns()
            found = await work(group) if trouble is None else self._failed(group, trouble)
            results.update({one.row.id: result for one, result in zip(group, found, strict=True)})
            if any(result.fate in {Fate.AWAY, Fate.BROKE} for result in found):
                break
        return [results[delivery.row.id] for delivery in batch]

    def _in_calls(self, deliveries: Sequence[Delivery]) -> list[Sequence[Delivery]]:
        rows = self._api.rows_a_call
        return [deliveries[begin : begin + rows] for begin in range(0, len(deliveries), rows)]

    async def _look_at_columns(self) -> Away | None:
        """See that the columns are there, if that is not known: a server may take cells of unknown ones and drop them without a word."""
        if self._knows_columns:
            return None
        try:
            await self._call("GET", parameters={"sort": self._api.sort(self._columns.titles()), **self._api.page(0)})
        except Trouble as error:
            return Away(error.why, in_doubt=False, pause_ms=REFUSED_MS if isinstance(error, Refused) else error.pause_ms)
        self._knows_columns = True
        return None

    async def _judged(self, error: Trouble) -> Trouble:
        """Say whether a refusal is about rows, or about a table that is not as it was: that one waits for a person."""
        if not isinstance(error, Refused):
            return error
        self._knows_columns = False
        trouble = await self._look_at_columns()
        return error if trouble is None else Away(trouble.why, in_doubt=error.in_doubt, pause_ms=trouble.pause_ms)

    async def _change(self, group: Sequence[Delivery]) -> list[Result]:
        try:
            await self._patch([(one.row.record_id or "", one) for one in group])
        except Trouble as error:
            return self._failed(group, await self._judged(error))
        return [delivered()] * len(group)

    async def _make(self, group: Sequence[Delivery]) -> list[Result]:
        try:
            record_ids = await self._post(group)
        except Trouble as error:
            return self._failed(group, await self._judged(error), made=True)
        return [delivered(record_id) for record_id in record_ids]

    async def _mend(self, group: Sequence[Delivery]) -> list[Result]:
        """See to one row alone: look for it first if it may be there, and see afterwards that it is there once."""
        (one,) = group
        record_id, step, made = one.row.record_id, one.row.step, False
        try:
            if record_id is None or step is Step.CONFIRM:
                found = await self._search(one)
                if self._columns.visit is not None and found:
                    await self._delete([other for other in found if other != (record_id or found[0])])
                record_id, step = record_id or next(iter(found), None), Step.NONE
            if record_id is None:
                made = True
                return [delivered(*await self._post(group), step=Step.CONFIRM)]
            if one.told != one.row.sent:
                await self._patch([(record_id, one)])
        except Trouble as error:
            return self._failed(group, await self._judged(error), made=made, step=step, record_id=record_id)
        return [delivered(record_id)]

    def _failed(
        self,
        group: Sequence[Delivery],
        error: Trouble,
        *,
        made: bool = False,
        step: Step | None = None,
        record_id: str | None = None,
    ) -> list[Result]:
        """Say what became of these after some trouble; `made` says that it was their creation that met it."""
        alone = len(group) == 1
        fate, after_ms = Fate.AWAY, None
        doubtful = made and error.in_doubt
        if isinstance(error, Refused):
            fate, after_ms = Fate.DEAD if alone else Fate.AGAIN, None
        elif error.in_doubt:
            self._breaks += 1
            fate = Fate.BROKE if alone and isinstance(error, Broken) else Fate.AWAY
            after_ms = self.grace_ms if doubtful else 0
        return [
            Result(
                fate=fate,
                record_id=record_id,
                step=Step.SENDING if doubtful else one.row.step if step is None else step,
                after_ms=after_ms,
                pause_ms=error.pause_ms,
                why=error.why,
            )
            for one in group
        ]

    async def _patch(self, known: Sequence[tuple[str, Delivery]]) -> None:
        fixed = {self._columns.visitor, self._columns.started, self._columns.visit}
        rows = [(record_id, {title: cell for title, cell in self._cells(one).items() if title not in fixed}) for record_id, one in known]
        await self._call("PATCH", self._api.changed(rows))

    async def _post(self, group: Sequence[Delivery]) -> list[str]:
        record_ids = self._api.made(await self._call("POST", self._api.new([self._cells(one) for one in group])))
        if len(record_ids) != len(group):
            raise Broken("it made another number of rows than it was sent")
        return record_ids

    def _cells(self, one: Delivery) -> dict[str, str | int | None]:
        return {} if one.about.visit is None else self._columns.cells(one.about.visit)

    async def _delete(self, record_ids: Sequence[str]) -> None:
        if record_ids:
            await self._call("DELETE", self._api.named(record_ids))

    async def _search(self, one: Delivery) -> list[str]:
        """Find the rows of a visit: by its id if the table has it, else by visitor and start among those that are nobody else's."""
        visit = one.about.visit
        if visit is None:
            return []
        title = self._columns.visit
        if title is not None:
            rows, _ = await self._list({"where": self._api.where(title, visit.id), **self._api.page(0)})
            return [row.record_id for row in rows if row.fields.get(title) == visit.id]
        parameters = {"sort": self._api.sort([self._columns.started], falling=True)}
        if _SAFE.match(visit.visitor):
            parameters["where"] = self._api.where(self._columns.visitor, visit.visitor)
        for number in range(MOST_PAGES):
            rows, goes_on = await self._list({**parameters, **self._api.page(number)})
            starts = [_read_instant(row.fields.get(self._columns.started)) for row in rows]
            for row, start in zip(rows, starts, strict=True):
                is_same = start is not None and abs(start - visit.started_at) <= SAME_MS
                if is_same and row.fields.get(self._columns.visitor) == visit.visitor and await self._adopts(row.record_id):
                    return [row.record_id]
            if not goes_on or any(start is not None and start < visit.started_at - SAME_MS for start in starts):
                break
        return []

    async def _adopts(self, record_id: str) -> bool:
        """Take a row on, if it is nobody's."""
        if record_id in self._adopted or await self._is_taken(record_id):
            return False
        self._adopted.add(record_id)
        return True

    async def _list(self, parameters: Mapping[str, str]) -> tuple[list[Found], bool]:
        return self._api.found(await self._call("GET", parameters=parameters))

    async def _call(self, method: Method, rows: Sequence[Any] | None = None, *, parameters: Mapping[str, str] | None = None) -> object:
        await self._pace.turn()
        token = self._table.token
        headers = {"xc-token": token, "accept": "application/json", "content-type": "application/json"}
        url = with_query(self._api.records_url, parameters or {})
        body = b"" if rows is None else msgspec.json.encode(rows)
        call = call_of(method, url, headers=headers, body=body, timeout=self._timeout)
        try:
            reply = await send(self._transport, call, secrets=[token], now=self._pace.clock())
        except Away as error:
            if error.status == 429:  # noqa: PLR2004  # too many requests
                self._pace.block(error.pause_ms)
            raise
        answer = json_of(reply)
        if method != "GET":
            self._breaks = 0
        return answer


def _instant(at: int) -> str:
    return instant(at).replace("Z", "+00:00")


def _read_instant(cell: object) -> int | None:
    """Read an instant as a server writes it; without an offset it is UTC."""
    try:
        read = datetime.fromisoformat(cell) if isinstance(cell, str) else None
    except ValueError:
        return None
    if read is None:
        return None
    return round((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * 1000)
