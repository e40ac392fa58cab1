"""What a sign-in is remembered by, for its own person to know it again: a short name of the browser, a network. And who is none."""

from __future__ import annotations

import ipaddress
import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from stillhere.core.people import REMEMBERED

if TYPE_CHECKING:
    from collections.abc import Callable

    from ua_parser import Result

    from stillhere.http.config import HttpConfig
    from stillhere.http.messages import Request
    from stillhere.http.origin import Peer

LONGEST: Final = 512
"""Characters of a `User-Agent` that are looked at; honest ones are shorter."""

LONGEST_NAME: Final = 40
"""Characters of a browser's name; it may be cut out of what was sent."""

_IPV4_BITS: Final = 24
_IPV6_BITS: Final = 48

# The first that is found names it: the later ones pretend to be the earlier, and are found in their texts too.
_BROWSERS: Final = (
    *(("Edge", r"Edg(?:e|A|iOS)?/"), ("Opera", r"OPR/|Opera"), ("Samsung Internet", r"SamsungBrowser/")),
    *(("Firefox", r"Firefox/|FxiOS/"), ("Chrome", r"Chrome/|CriOS/"), ("Safari", r"Safari/")),
)
# Cubot makes phones.
_ROBOTS: Final = re.compile(
    r"(?<!cu)bot\b|crawler|spider|slurp|link ?(?:expand|preview|scan|check)|externalhit|urlscan|safelinks", re.IGNORECASE
)
_SYSTEMS: Final = (
    *(("iOS", r"iPhone|iPad|iPod"), ("Android", r"Android"), ("Windows", r"Windows"), ("Chrome OS", r"CrOS")),
    *(("macOS", r"Macintosh|Mac OS X"), ("Linux", r"Linux")),
)


def remembered(request: Request, peer: Peer, config: HttpConfig) -> dict[str, Any]:
    """Tell the attributes by which a sign-in is remembered, as far as `remember_device` and `remember_network` say; empty if by nothing.

    Args:
        request: the one that signs in.
        peer: where it comes from.
        config: says what may be kept.
    """
    device = device_of(request.header("user-agent")) if config.remember_device else None
    # Behind a proxy that nobody named the address is the proxy's, and would tell people wrong.
    network = network_of(peer.address) if config.remember_network and not peer.is_behind_stranger else None
    facts = {name: value for name, value in (("device", device), ("network", network)) if value is not None}
    return {REMEMBERED: facts} if facts else {}


def network_of(address: str) -> str | None:
    """Tell the network of an address, /24 of IPv4 and /48 of IPv6: a neighbourhood, and no household; None of what is no address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address):
        parsed = parsed.ipv4_mapped or parsed
    bits = _IPV4_BITS if isinstance(parsed, ipaddress.IPv4Address) else _IPV6_BITS
    return str(ipaddress.ip_network((parsed, bits), strict=False))


def device_of(user_agent: str | None) -> str | None:
    """Name browser and system in a few words, `Firefox on Windows`; None if neither is known. What is sent here is a claim, and no proof.

    With extra `devices` the names are those of ua-parser; else the few that nearly everybody uses.
    """
    text = (user_agent or "")[:LONGEST]
    parse = _library()
    if parse is None:
        browser, system = _first(_BROWSERS, text), _first(_SYSTEMS, text)
    else:
        found = parse(text)
        browser = None if found.user_agent is None else _clean(found.user_agent.family)
        system = None if found.os is None else _clean(found.os.family)
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or None


@lru_cache(maxsize=1_024)
def is_robot(user_agent: str | None) -> bool:
    """Tell whether somebody says that they are a crawler, a link scanner or a preview: honest machines, and no more than that.

    With extra `devices` those that ua-parser knows are among them. Browsers without a window are not: people drive them, too.
    """
    text = (user_agent or "")[:LONGEST]
    if _ROBOTS.search(text):
        return True
    parse = _library()
    device = None if parse is None else parse(text).device
    return device is not None and device.family == "Spider"


def make_ready() -> None:
    """Load the library now, if it is installed, rather than at the first message: it takes half a second, in which nobody is answered."""
    parse = _library()
    if parse is not None:
        parse("")


@cache
def _library() -> Callable[[str], Result] | None:
    try:
        from ua_parser import parse  # noqa: PLC0415  # an extra: loaded only where it is
    except ImportError:
        return None
    return parse


def _first(names: tuple[tuple[str, str], ...], text: str) -> str | None:
    return next((name for name, pattern in names if re.search(pattern, text)), None)


def _clean(name: str) -> str:
    return "".join(letter for letter in name if letter.isprintable())[:LONGEST_NAME].strip()
