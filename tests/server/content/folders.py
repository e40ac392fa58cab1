"""Folders to be shown, and readers of them."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pathlib import Path

    import httpx2

PAGE: Final = "<!doctype html><title>Deck</title><body><p>Welcome.</body></html>"

NAVIGATES: Final = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}

HOSTILE_NAME: Final = "\"><img src=x onerror=alert(1)> & 'it' 100% #1?.txt"


def pdf(pages: int) -> bytes:
    """Write a PDF whose every page says its number, and is A4 but for the second, which is a slide."""
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(pages))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for n in range(1, pages + 1):
        box = "0 0 960 540" if n == 2 else "0 0 595 842"
        text = f"BT /F1 36 Tf 60 420 Td (This is page {n}.) Tj 0 -60 Td /F1 14 Tf (Read it as long as you like.) Tj ET"
        page = f"<< /Type /Page /Parent 2 0 R /MediaBox [{box}] /Resources << /Font << /F1 3 0 R >> >> /Contents {4 + 2 * n - 1} 0 R >>"
        objects += [page.encode(), stream(text.encode())]
    return document(objects)


def scan() -> bytes:
    """Write a PDF of one page that is a picture, black all over, kept as scanners do it: JBIG2."""
    first = "001" + "00110101" + "000101"  # no white, eight black: ITU-T T.6
    bits = first + "11" * 7 + "000000000001" * 2
    rows = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    eight = (8).to_bytes(4, "big")
    page = bytes(4) + b"\x30\x00\x01" + (19).to_bytes(4, "big") + eight * 2 + bytes(11)
    region = eight * 2 + bytes(9) + b"\x01" + rows
    picture = page + b"\x00\x00\x00\x01\x26\x00\x01" + len(region).to_bytes(4, "big") + region
    kept = b"/Type /XObject /Subtype /Image /Width 8 /Height 8 /ColorSpace /DeviceGray /BitsPerComponent 1 /Filter /JBIG2Decode"
    return document(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 400] /Resources << /XObject << /I 5 0 R >> >> /Contents 4 0 R >>",
            stream(b"400 0 0 400 0 0 cm /I Do"),
            stream(picture, kept),
        ]
    )


def stream(content: bytes, said: bytes = b"") -> bytes:
    """Write a stream of a PDF."""
    return b"<< %b /Length %d >>\nstream\n%b\nendstream" % (said, len(content), content)


def document(objects: list[bytes]) -> bytes:
    """Write a PDF of these objects, the first of which is its catalogue."""
    written, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(written))
        written += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(written))
    return b"%bxref\n0 %d\n0000000000 65535 f \n%b%b" % (written, len(objects) + 1, table, end)


def furnish(folder: Path, secret: Path) -> None:
    """Put pages, documents, and what must stay hidden into a folder; the secret is a file outside of it."""
    site = folder / "site"
    (folder / "terms" / "2025").mkdir(parents=True)
    (folder / "empty").mkdir()
    site.mkdir()
    (site / "index.html").write_text(PAGE, "utf-8")
    (site / "style.css").write_text("p { color: teal }", "utf-8")
    (site / "old.html").write_bytes("<!doctype html><meta charset=latin1><p>Grüße</body>".encode("latin-1"))
    (folder / "deck.pdf").write_bytes(pdf(3))
    (folder / "terms" / "2025" / "sheet.csv").write_text("a,b\n1,2\n", "utf-8")
    (folder / "numbers.bin").write_bytes(bytes(range(256)) * 4)
    (folder / "picture.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "utf-8")
    (folder / HOSTILE_NAME).write_text("harmless", "utf-8")
    (folder / ".env").write_text("PASSWORD=planted", "utf-8")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("planted", "utf-8")
    (folder / "leak.txt").symlink_to(secret)
    (folder / "out").symlink_to(secret.parent)
    (folder / "in.csv").symlink_to(folder / "terms" / "2025" / "sheet.csv")
    (folder / "bare.txt").symlink_to(folder / ".env")
    (folder / "loop.txt").symlink_to(folder / "loop.txt")


def raw(visitor: httpx2.Client, target: str, **headers: str) -> tuple[int, bytes]:
    """Ask for a target exactly as it is written, which no client library would send; give status and body."""
    base = urlsplit(str(visitor.base_url))
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    lines = [f"GET {target} HTTP/1.1", f"Host: {base.netloc}", f"Cookie: {cookies}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection((base.hostname or "", base.port or 80), timeout=20) as line:
        line.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        answer = b""
        while piece := line.recv(65_536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), body


def headers_of(answer: httpx2.Response, *names: str) -> list[Any]:
    """Tell some headers of an answer."""
    return [answer.headers.get(name) for name in names]
