"""Everything that can go wrong, as a small ladder: facts on attributes, a status hint for the web, what to do in the text.

Absence is a value, not an error: an unknown session is `None`. These are for broken stores, broken callers and broken input.
"""

from __future__ import annotations

from typing import ClassVar


class StillhereError(Exception):
    """Root of the ladder.

    Attributes:
        status_hint: the HTTP status that fits, so that no one needs to read messages.
    """

    status_hint: ClassVar[int] = 500


class PolicyError(StillhereError, ValueError):
    """A policy that cannot work, refused when it was built."""


class SettingsError(StillhereError, ValueError):
    """A setting that cannot work, refused at start."""


class BadBeat(StillhereError, ValueError):
    """A message that is not a beat.

    Attributes:
        field: path of the member at fault (`$.beats[3].idleMs`), or None if the message could not be read at all.
    """

    status_hint = 400

    def __init__(self, message: str, *, field: str | None = None) -> None:
        """Keep the path of the member at fault."""
        super().__init__(message)
        self.field = field
        if field is not None:
            self.status_hint = 422  # type: ignore[misc]  # an instance may be more precise than its class


class SessionExists(StillhereError):
    """A session of this id is already there; `create` never overwrites.

    Attributes:
        handle: the public name of the session that was to be created.
    """

    def __init__(self, handle: str) -> None:
        """Keep the handle."""
        super().__init__(f"a session with the id of {handle} exists already; draw a new id")
        self.handle = handle


class StoreError(StillhereError):
    """The store cannot be reached or did not do as told. Nothing is known of any session; nobody is signed out.

    Attributes:
        retry_after: seconds after which another try makes sense.
    """

    status_hint = 503

    def __init__(self, message: str, *, retry_after: int = 2) -> None:
        """Keep the time to wait."""
        super().__init__(message)
        self.retry_after = retry_after


class StoreRefused(StillhereError):
    """The database refused a claim or a record for what it says. The store is well; trying again will not help.

    Whoever sends several at once finds the one at fault, so that it fails alone.
    """


class BadCursor(StillhereError, ValueError):
    """A list was to go on from a cursor that is none.

    Attributes:
        cursor: what was given.
    """

    status_hint = 422

    def __init__(self, cursor: str) -> None:
        """Keep what was given."""
        super().__init__(f"{cursor!r} is not a cursor; use the `next` of the list's last answer")
        self.cursor = cursor


class InsecureTransport(StillhereError):
    """A session was to be started over plain http, where anybody on the way could take it.

    Attributes:
        origin: where it was to be started.
    """

    status_hint = 403

    def __init__(self, origin: str) -> None:
        """Keep the origin."""
        super().__init__(
            f"no session can be started at {origin}: use https, or a loopback address while developing. Behind a proxy that "
            "ends TLS, name it in trusted_proxies and let it send X-Forwarded-Proto",
        )
        self.origin = origin
