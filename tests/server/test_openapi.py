"""The document of the HTTP surface is true: random requests to the running program are answered as it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from tests.conftest import NIGHTLY

if TYPE_CHECKING:
    from tests.server.site import Site

OPERATIONS: Final = (
    ("POST", "/session/beat"),
    ("GET", "/session"),
    ("POST", "/session/end"),
    ("GET", "/session/client.js"),
    ("GET", "/session/client/{name}"),
    ("POST", "/gate"),
    ("GET", "/admin/api/now"),
    ("GET", "/admin/api/visits"),
    ("GET", "/admin/api/visits/{id}"),
    ("GET", "/admin/api/visitors"),
    ("POST", "/admin/api/sessions/{handle}/end"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
)
STREAMS: Final = (("GET", "/session/events"), ("GET", "/session/socket"))
"""These do not end. They have tests of their own."""

ASKS_FOR_NOTHING: Final = {"/session", "/session/client/{name}", "/session/client.js", "/healthz", "/readyz"}
"""Operations without a parameter, or with one that takes any text: there is no wrong way to ask."""

NOT_ASKED: Final = [negative_data_rejection, positive_data_acceptance]
"""A schema cannot say all: what an e-mail address or a cursor is, or that 1.0 is no whole number here."""

EXAMPLES: Final = 1_000 if NIGHTLY else 80


def test_every_route_is_in_the_document(site: Site) -> None:
    """The document and the list of these tests name the same operations."""
    document = site.visitor().get("/openapi.json").json()
    assert {(method.upper(), path) for path, methods in document["paths"].items() for method in methods} == {*OPERATIONS, *STREAMS}


@pytest.mark.parametrize(
    ("mode", "method", "path"),
    [
        (mode, method, path)
        for mode in GenerationMode
        for method, path in OPERATIONS
        if mode is GenerationMode.POSITIVE or path not in ASKS_FOR_NOTHING
    ],
)
def test_random_requests_are_answered_as_documented(site: Site, mode: GenerationMode, method: str, path: str) -> None:
    """As intended or not, no request is a server error, and status, media type, headers and body are as documented."""
    load_all_checks()
    operation = schemathesis.openapi.from_url(f"{site.url}/openapi.json")[path][method]
    browser = site.enter()
    browser.post("/session/beat", json={"view": "v1", "visibleMs": 1, "lifecycle": "active"})
    cookie = f"session={browser.cookies['session']}; operator={site.operator().cookies['operator']}"
    said_once = {"Cookie": cookie, **({"Origin": site.url} if mode is GenerationMode.POSITIVE else {})}

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        case.call_and_validate(headers={**said_once, "X-Forwarded-For": site.address()}, excluded_checks=NOT_ASKED, timeout=20)

    ask()
