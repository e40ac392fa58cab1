"""What the dashboard's routes are made of: operators with a role, and queries that one of them may ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stillhere.errors import StillhereError

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any

Role = Literal["viewer", "operator"]
"""A viewer sees everything and changes nothing."""

API: Final = "/admin/api/"

SCOPE_KEY: Final = "stillhere.operator"

Handler = Callable[[Request], Awaitable[Response]]


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may open the dashboard.

    Attributes:
        name: who, as the audit log and the dashboard show it.
        role: `viewer` sees everything and changes nothing, `operator` also ends sessions, excludes visits and erases.
        handle: of the session by which they are signed in, or None; their live stream ends with it.
        network: where they come from, /24 of IPv4 and /48 of IPv6, where the audit log is to tell; otherwise None.
        signs_out: whether the dashboard itself signed them in, and so offers to sign them out.
    """

    name: str
    role: Role = "viewer"
    handle: str | None = None
    network: str | None = None
    signs_out: bool = False


class Query(msgspec.Struct, frozen=True):
    """One question that operators may ask, or one thing they may do. The guard is put in front of it when it is mounted.

    Attributes:
        path: below `/admin/api/`, as Starlette writes it: `visits/{id}`.
        handler: answers.
        role: who may: `viewer` means everybody who is signed in.
        methods: how it is asked.
        action: what the audit log calls it, or None for what is not recorded. Default: the last word of the path for everything that is not
            a GET, and `export` for what is below `export/`.
    """

    path: str
    handler: Handler
    role: Role = "viewer"
    methods: tuple[str, ...] = ("GET",)
    action: str | None = None

    @property
    def below_api(self) -> str:
        """The whole path, however much of it was written."""
        return f"{API}{self.path.removeprefix(API).lstrip('/')}"

    @property
    def recorded_as(self) -> str | None:
        """What the audit log calls it, or None."""
        words = [word for word in self.below_api.removeprefix(API).split("/") if not word.startswith("{")]
        if self.action is not None:
            return self.action
        if any(word.partition(".")[0] == "export" for word in words):
            return "export"
        return None if set(self.methods) <= {"GET", "HEAD"} else words[-1]


def operator_of(scope: MutableMapping[str, Any]) -> Operator:
    """Tell who asks, by the request's scope.

    Raises:
        StillhereError: if no guard stands before this handler.
    """
    found = scope.get(SCOPE_KEY)
    if not isinstance(found, Operator):
        raise StillhereError("nobody checked who asks: mount this handler as a `Query` of the dashboard")
    return found
