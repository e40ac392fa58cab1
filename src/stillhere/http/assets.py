"""The browser client and its optional parts: the same for everyone, so the only answers below the prefix that may be kept."""

from __future__ import annotations

from gzip import compress
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import msgspec

from stillhere.http.messages import Headers, Request, Response

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

CLIENT: Final = "client.js"

_MEDIA_TYPES: Final = {".js": "text/javascript; charset=utf-8", ".json": "application/json", ".svg": "image/svg+xml"}


class Asset(msgspec.Struct, frozen=True):
    """One file.

    Attributes:
        body: its bytes.
        media_type: what they are.
        version: 16 hexadecimal digits that change with them.
        zipped: the same bytes by gzip.
    """

    body: bytes
    media_type: str
    version: str
    zipped: bytes

    def answer(self, request: Request) -> Response:
        """Answer 200, or 304 to who has it; for a year if asked for by its version; zipped to who can read that."""
        etag = f'"{self.version}"'
        forever = f"v={self.version}" in request.query.split("&")
        zipped = _reads_gzip(request.header("accept-encoding") or "")
        headers: Headers = (
            ("cache-control", "public, max-age=31536000, immutable" if forever else "public, no-cache"),
            # Weak where it is zipped: the content is the same, the bytes are not.
            ("etag", f"W/{etag}" if zipped else etag),
            ("vary", "accept-encoding"),
            ("x-content-type-options", "nosniff"),
        )
        if etag in [tag.strip().removeprefix("W/") for tag in (request.header("if-none-match") or "").split(",")]:
            return Response(status=304, headers=headers)
        headers = (("content-type", self.media_type), *headers)
        if zipped:
            return Response(status=200, headers=(*headers, ("content-encoding", "gzip")), body=self.zipped)
        return Response(status=200, headers=headers, body=self.body)


def _reads_gzip(accepted: str) -> bool:
    for told in accepted.lower().split(","):
        coding, _, quality = told.replace(" ", "").partition(";")
        if coding == "gzip":
            return not quality or quality.strip("q=0.") != ""  # q=0 means: not this one
    return False


def read_assets(folder: Traversable | None = None) -> dict[str, Asset]:
    """Read what is shipped: `client.js`, and each part by its path from there, `client/de.json`.

    Args:
        folder: where they lie. Default: the package's own.
    """
    return dict(_read(folder or files("stillhere.http").joinpath("static"), ""))


def _read(folder: Traversable, path: str) -> Iterator[tuple[str, Asset]]:
    for file in folder.iterdir():
        if file.is_dir():
            yield from _read(file, f"{path}{file.name}/")
            continue
        media_type = _MEDIA_TYPES[file.name[file.name.rindex(".") :]]
        body = file.read_bytes()
        version = sha256(body).hexdigest()[:16]
        yield path + file.name, Asset(body=body, media_type=media_type, version=version, zipped=compress(body, mtime=0))
