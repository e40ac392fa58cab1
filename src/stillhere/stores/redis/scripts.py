"""The Lua scripts, and the digests that Redis knows them by."""

from __future__ import annotations

from hashlib import sha1
from importlib.resources import files
from typing import Final


class Script:
    """One script, with what all of them share in front of it.

    Attributes:
        source: what is sent to a server that does not know it.
        digest: what is sent to one that does.
    """

    def __init__(self, name: str) -> None:
        """Read it."""
        folder = files("stillhere.stores.redis")
        self.source = b"\n".join(folder.joinpath(f"{part}.lua").read_bytes() for part in ("record", name))
        self.digest = sha1(self.source, usedforsecurity=False).hexdigest().encode()


ADVANCE: Final = Script("advance")
ARCHIVED: Final = Script("archived")
BEAT: Final = Script("beat")
CHECK: Final = Script("check")
COUNT: Final = Script("count")
CREATE: Final = Script("create")
DROP: Final = Script("drop")
DUE: Final = Script("due")
END: Final = Script("end")
FIND: Final = Script("find")
FIRST: Final = Script("first")
FORGET: Final = Script("forget")
HELD: Final = Script("held")
LIVING: Final = Script("living")
NOTE: Final = Script("note")
ROTATE: Final = Script("rotate")
SUBJECT: Final = Script("subject")
SWAP: Final = Script("swap")
SWEEP: Final = Script("sweep")
