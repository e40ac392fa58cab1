"""NocoDB for tests: the stand-in, or the real server if `TESTS_NOCODB` is `real` (`make test-nocodb`)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import httpx2

from tests.services import nocodb_double
from tests.services.nocodb_double import NocoDouble
from tests.services.process import Server, free_port
from tests.support import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE: Final = Path(__file__).parent / "nocodb"

IS_REAL: Final = os.environ.get("TESTS_NOCODB") == "real"

TYPES: Final = {"text": "SingleLineText", "datetime": "DateTime", "number": "Number"}

SEED: Final = {"emailOfAccessor": "text", "sessionStartTime": "datetime", "sessionEndTime": "datetime"}
"""The columns of the table that people have who built this by hand."""

FULL: Final = {**SEED, "visitId": "text", "open": "number", "visible": "number", "active": "number", "views": "number", "endedBy": "text"}


class NocoTable(Protocol):
    """A table of some server, and how a test looks at it from behind."""

    url: str
    token: str
    base: str
    table: str

    def rows(self) -> list[dict[str, Any]]:
        """List all rows with all columns, by key."""
        ...

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row, as another program would."""
        ...

    def delete(self, key: int) -> None:
        """Delete a row, as a person would."""
        ...

    def close(self) -> None:
        """Stop what was started for it."""
        ...


def settings_of(table: NocoTable) -> dict[str, str]:
    """Name the program's settings with which it mirrors into a table with all columns, once a second."""
    return {
        "mirror_interval": "1s",
        "nocodb_url": table.url,
        "nocodb_token": table.token,
        "nocodb_table": table.table,
        "nocodb_columns": "visit=visitId,open=open,visible=visible,active=active,views=views,ended_by=endedBy",
    }


class DoubleTable:
    """The stand-in's only table.

    Args:
        columns: by title their types.
        key: title of the primary key.

    Attributes:
        double: the stand-in itself.
    """

    def __init__(self, columns: Mapping[str, str], key: str = "Id") -> None:
        self.double = NocoDouble(columns, key)
        self._key = key
        self.url = self.double.url
        self.token, self.base, self.table = nocodb_double.TOKEN, nocodb_double.BASE, nocodb_double.TABLE

    def rows(self) -> list[dict[str, Any]]:
        """See `NocoTable.rows`."""
        return [{self._key: key, **cells} for key, cells in sorted(self.double.rows.items())]

    def add(self, row: Mapping[str, Any]) -> None:
        """See `NocoTable.add`."""
        self.double._make([(None, dict(row))])

    def delete(self, key: int) -> None:
        """See `NocoTable.delete`."""
        del self.double.rows[key]

    def close(self) -> None:
        """See `NocoTable.close`."""
        self.double.close()


class RealNocoDb(Server):
    """The real server, with data in a folder of its own.

    Args:
        folder: for its data and log.

    Attributes:
        client: calls it as its owner, behind the weather.
        base: the base's id.
        token: an API token.
    """

    def __init__(self, folder: Path) -> None:
        (folder / "data").mkdir(parents=True, exist_ok=True)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx2.Client(base_url=self.url, trust_env=False, timeout=60)
        self._tables = 0
        self.base = self.token = ""
        settings = [f"NC_TOOL_DIR={folder / 'data'}", "NC_DISABLE_TELE=true", "NODE_ENV=production"]
        command = ["env", *settings, "node", str(HERE / "server.cjs"), str(port)]
        super().__init__(command, folder / "nocodb.log", port=port, is_ready=self._answers)

    def wait_until_ready(self) -> None:
        """See `Server.wait_until_ready`. It loads a thousand packages, which takes a busy machine its time."""
        with self.quoting_log():
            wait_until(lambda: not self.is_running or self._answers(), what="NocoDB to answer", timeout_s=240)
            assert self.is_running, "NocoDB did not start"

    def _answers(self) -> bool:
        try:
            return self.client.get("/api/v1/health", timeout=2).status_code == 200
        except httpx2.HTTPError:
            return False

    def set_up(self) -> None:
        """Make an owner, a base and a token."""
        owner = {"email": "owner@firm.example", "password": "Correct-horse-7"}
        self.client.headers["xc-auth"] = self.post("/api/v1/auth/user/signup", owner)["token"]
        self.base = self.post("/api/v2/meta/bases", {"title": "visits"})["id"]
        self.token = self.post("/api/v1/tokens", {"description": "tests"})["token"]

    def post(self, path: str, content: object) -> Any:
        """Call the server behind the weather, as its owner."""
        return self.call("POST", path, json=content)

    def call(self, method: str, path: str, **more: Any) -> Any:
        """The same, with any method."""
        reply = self.client.request(method, path, **more)
        assert reply.status_code == 200, f"{path} answers {reply.status_code}: {reply.text[:500]}"
        return reply.json()

    def table(self, columns: Mapping[str, str], key: str = "Id") -> RealTable:
        """Make a new table."""
        self._tables += 1
        name = f"emailAccess{self._tables}"
        made = [{"title": title, "column_name": title, "uidt": TYPES[kind]} for title, kind in columns.items()]
        content = {"title": name, "table_name": name, "columns": [{"title": key, "column_name": "id", "uidt": "ID"}, *made]}
        return RealTable(self, self.post(f"/api/v2/meta/bases/{self.base}/tables", content)["id"], key)


class RealTable:
    """A table of the real server.

    Args:
        server: which.
        table: its id.
        key: title of the primary key.
    """

    def __init__(self, server: RealNocoDb, table: str, key: str) -> None:
        self._server = server
        self._key = key
        self._records = f"/api/v2/tables/{table}/records"
        self.url, self.token, self.base, self.table = server.url, server.token, server.base, table

    def rows(self) -> list[dict[str, Any]]:
        """See `NocoTable.rows`."""
        found: list[dict[str, Any]] = []
        total = self._server.call("GET", f"{self._records}/count")["count"]
        while len(found) < total:
            parameters = {"limit": 1000, "offset": len(found), "sort": self._key}
            found += self._server.call("GET", self._records, params=parameters)["list"]
        return found

    def add(self, row: Mapping[str, Any]) -> None:
        """See `NocoTable.add`."""
        self._server.post(self._records, [dict(row)])

    def delete(self, key: int) -> None:
        """See `NocoTable.delete`."""
        self._server.call("DELETE", self._records, json=[{self._key: key}])

    def close(self) -> None:
        """See `NocoTable.close`. The server goes on."""
