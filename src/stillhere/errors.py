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


class ProviderAway(StillhereError):
    """A provider's access token is over, and the provider cannot give another now. Nobody is signed out.

    Attributes:
        retry_after: seconds after which another try makes sense.
    """

    status_hint = 503

    def __init__(self, why: str, *, retry_after: int = 2) -> None:
        """Keep the time to wait."""
        super().__init__(f"no access token can be had of the provider: {why}")
        self.retry_after = retry_after


class MailError(StillhereError):
    """A message was not taken by the mail server.

    Attributes:
        is_transient: another try may succeed.
        is_recipient: it was about this recipient; others may get theirs.
        in_doubt: the server had begun to take it, and may have taken it, for its answer did not come.
        retry_after: seconds after which another try makes sense.
    """

    status_hint = 503

    def __init__(self, why: str, *, is_transient: bool, is_recipient: bool = False, in_doubt: bool = False, retry_after: int = 30) -> None:
        """Keep what may help."""
        super().__init__(why)
        self.is_transient = is_transient
        self.is_recipient = is_recipient
        self.in_doubt = in_doubt
        self.retry_after = retry_after


class TokenLapsed(StillhereError):
    """A provider's access token is over, and nobody is there for whom it may be refreshed.

    A background request uses the token while it lasts and refreshes nothing, for a provider takes every refresh for its user's activity.
    The next input in a page brings a new one.

    Attributes:
        handle: the session's public name.
        expired_at: when the token ended, milliseconds since 1970.
    """

    status_hint = 503

    def __init__(self, handle: str, expired_at: int) -> None:
        """Keep whose it is, and since when."""
        super().__init__(f"the access token of session {handle} is over and nobody has been active there; do it when somebody is back")
        self.handle = handle
        self.expired_at = expired_at


class SignInRefused(StillhereError):
    """Somebody proved who they are, and yet no session began; nothing is left behind.

    Attributes:
        reason: a word for machines.
    """

    status_hint = 409
    reason: ClassVar[str] = "refused"


class EndedEverywhere(SignInRefused):
    """All sessions of this person were ended while they were signing in, perhaps because a password was lost. They sign in once more."""

    reason = "ended_everywhere"

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__("all sessions of this person were ended meanwhile; let them sign in once more")


class TooManySessions(SignInRefused):
    """This person has as many sessions as the policy's `session_limit` allows.

    Attributes:
        limit: how many that is.
    """

    reason = "session_limit"

    def __init__(self, limit: int) -> None:
        """Keep the limit."""
        super().__init__(f"this person has {limit} sessions, as many as are allowed at once; let them end one first")
        self.limit = limit


class StoreRefused(StillhereError):
    """The database refused a claim or a record for what it says. The store is well; trying again will not help.

    Whoever sends several at once finds the one at fault, so that it fails alone.
    """


class Unsealable(StoreError):
    """What the vault sealed cannot be opened. As with a store that does not answer nothing is known, and nobody is signed out.

    Attributes:
        key_id: name of the key that it was sealed with, or None if not even that can be read.
    """

    def __init__(self, why: str, *, key_id: str | None = None) -> None:
        """Keep the key's name. It stays so until somebody mends it, so there is no hurry to try again."""
        super().__init__(f"something sealed cannot be opened: {why}", retry_after=60)
        self.key_id = key_id


class BadCursor(StillhereError, ValueError):
    """A list was to go on from a cursor that is none, or that another list gave.

    Attributes:
        cursor: what was given.
    """

    status_hint = 422

    def __init__(self, cursor: str) -> None:
        """Keep what was given."""
        super().__init__(f"{cursor!r} is not a cursor of this list; use the `next` of its last answer, with the same words")
        self.cursor = cursor


class BadFilter(StillhereError, ValueError):
    """A question about visits that cannot be read.

    Attributes:
        field: the name of what is at fault, as in a URL: `from`, `min`, `zone`.
    """

    status_hint = 422

    def __init__(self, field: str, message: str) -> None:
        """Keep the field's name."""
        super().__init__(message)
        self.field = field


class MissingExtra(StillhereError):
    """Something was asked for whose library is not installed.

    Attributes:
        extra: what to install: `stillhere[extra]`.
    """

    status_hint = 501

    def __init__(self, extra: str, what: str) -> None:
        """Keep the extra's name."""
        super().__init__(f"{what} needs a library that is not installed; install stillhere[{extra}]")
        self.extra = extra


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
