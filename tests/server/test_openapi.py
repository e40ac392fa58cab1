"""The document of the HTTP surface is true: random requests to the running program are answered as it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

from tests.conftest import NIGHTLY
from tests.server.site import ADMIN_TOKEN

if TYPE_CHECKING:
    from tests.server.site import Site

OPERATIONS: Final = (
    ("POST", "/session/beat"),
    ("GET", "/session"),
    ("POST", "/session/end"),
    ("GET", "/session/list"),
    ("POST", "/session/revoke"),
    ("GET", "/session/client.js"),
    ("GET", "/session/client/{name}"),
    ("POST", "/gate"),
    ("GET", "/admin/api/me"),
    ("GET", "/admin/api/now"),
    ("GET", "/admin/api/audit"),
    ("GET", "/admin/api/visits"),
    ("GET", "/admin/api/visits/{id}"),
    ("GET", "/admin/api/visitors"),
    ("GET", "/admin/api/pages"),
    ("GET", "/admin/api/buckets"),
    ("GET", "/admin/api/durations"),
    ("GET", "/admin/api/simultaneous"),
    ("GET", "/admin/api/totals"),
    ("GET", "/admin/api/export/{name}.{form}"),
    ("GET", "/admin/api/subjects/export"),
    ("POST", "/admin/api/subjects/erase"),
    ("POST", "/admin/api/visits/{id}/exclude"),
    ("POST", "/admin/api/sessions/{handle}/end"),
    ("GET", "/admin/api/mirrors"),
    ("GET", "/admin/api/mirrors/{name}/dead"),
    ("POST", "/admin/api/mirrors/{name}/wake"),
    ("POST", "/admin/api/mirrors/{name}/retry"),
    ("POST", "/admin/api/mirrors/{name}/dead/{id}/retry"),
    ("POST", "/admin/api/mirrors/{name}/dead/{id}/drop"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
)
STREAMS: Final = (("GET", "/session/events"), ("GET", "/session/socket"), ("GET", "/admin/api/events"))
"""These do not end. They have tests of their own."""

ASKS_FOR_NOTHING: Final = {
    "/session",
    "/session/list",
    "/session/client/{name}",
    "/session/client.js",
    "/healthz",
    "/readyz",
    "/metrics",
    "/admin/api/me",
    "/admin/api/mirrors",
}
"""Operations without a parameter, or with one that takes any text: there is no wrong way to ask."""

NOT_ASKED: Final = [negative_data_rejection, positive_data_acceptance, ignored_auth]
"""A schema cannot say all: what an e-mail address or a cursor is, or that 1.0 is no whole number here. And a made-up token is replaced by
one that opens, or nothing but refusals would be seen; that others open nothing has tests of its own."""

EXAMPLES: Final = 1_000 if NIGHTLY else 20


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
    said_once = {"Cookie": f"session={browser.cookies['session']}"}
    if mode is GenerationMode.POSITIVE:
        said_once["Origin"] = site.url
    if path.startswith("/admin/api/"):
        said_once["Authorization"] = f"Bearer {ADMIN_TOKEN}"

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        case.call_and_validate(headers={**said_once, "X-Forwarded-For": site.address()}, excluded_checks=NOT_ASKED, timeout=20)

    ask()
