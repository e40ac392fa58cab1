"""One provider and our registration there, as one frozen record that refuses what cannot work."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from stillhere.errors import SettingsError
from stillhere.tokens.provider.records import Discreet

SigningAlgorithm = Literal["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]

ALGORITHMS: Final[tuple[SigningAlgorithm, ...]] = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
"""What an ID token may be signed with. Each has its own kind of key, and none is made with a shared secret. `EdDSA` is the old name of
`Ed25519` (RFC 9864), which providers still use."""

AssertionAlgorithm = Literal["RS256", "PS256", "ES256", "Ed25519"]

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")

SMALLEST_RSA_BITS: Final = 2048
"""NIST SP 800-131A; RFC 7518 section 3.3."""

LONGEST_WAIT_MS: Final = 60_000

OURS: Final = frozenset(
    {
        "client_id",
        "client_secret",
        "code_challenge",
        "code_challenge_method",
        "max_age",
        "nonce",
        "redirect_uri",
        "request",
        "request_uri",
        "response_mode",
        "response_type",
        "scope",
        "state",
    }
)
"""Parameters of the authorization request that are written by the login and may not be set beside it."""

_SCOPE: Final = re.compile(r"[!#-\[\]-~]+\Z")  # RFC 6749 section 3.3

_KEYS: Final[Mapping[str, type[RSAKey | ECKey | OKPKey]]] = {"RS256": RSAKey, "PS256": RSAKey, "ES256": ECKey, "Ed25519": OKPKey}


class Provider(Discreet, frozen=True, kw_only=True):
    """A provider, and what was agreed with it when this application was registered there. Spans are whole milliseconds.

    Attributes:
        issuer: the provider's issuer, to the letter as it names itself. https; http on a loopback address while developing.
        client_id: how the provider knows this application.
        redirect_uri: where it sends people back to, to the letter as registered.
        client_secret: for `client_secret_basic` and `client_secret_post`.
        private_key: PEM text, for `private_key_jwt`; instead of a secret.
        private_key_id: the `kid` under which the provider knows the key, if it wants to be told.
        private_key_algorithm: what assertions are signed with: `RS256`, `PS256`, `ES256` (default) or `Ed25519`.
        client_authentication: `client_secret_basic` (default with a secret), `client_secret_post` or `private_key_jwt` (default with a
            key).
        assertion_audience: for whom assertions are meant. Default: the issuer, as draft-ietf-oauth-rfc7523bis asks; some older providers
            want their token endpoint's address.
        scopes: what is asked for. Default `openid` and `offline_access`, which gives a refresh token.
        audience: parameter `audience` of the authorization request, which some providers have (Auth0). Default none.
        authorize_parameters: more parameters of the authorization request, such as `{"prompt": "consent"}`. Default none.
        algorithms: what ID tokens and logout tokens may be signed with. Default `RS256`, `PS256`, `ES256`, `EdDSA` and `Ed25519`.
        post_logout_redirect_uri: where people come back to after they signed out at the provider, as registered. Default none.
        access_lifetime: how long an access token is believed to be good if the provider does not say. Default 5 minutes.
        refresh_margin: the fraction of an access token's life that is left when it is time for the next one. Default 0.3.
        least_margin: and at least so much of it. Default 30 seconds. Never more than half of the life is taken.
        connect_timeout: for a connection. Default 3 seconds.
        read_timeout: between two pieces of an answer. Default 10 seconds.
        total_timeout: for the whole call. Default 15 seconds.
        clock_skew: how far the provider's clock may be from ours. Default 1 minute.
        metadata_lifetime: how long its metadata and keys are kept. Default 5 minutes.
        login_lifetime: how long a login may take. Default 15 minutes.

    Raises:
        SettingsError: if a value cannot work. The message names it, and the other one where two contradict each other.
    """

    SHOWN = ("issuer", "client_id", "authentication")

    issuer: str
    client_id: str
    redirect_uri: str
    client_secret: str | None = None
    private_key: str | None = None
    private_key_id: str | None = None
    private_key_algorithm: AssertionAlgorithm = "ES256"
    client_authentication: Literal["client_secret_basic", "client_secret_post", "private_key_jwt"] | None = None
    assertion_audience: str | None = None
    scopes: tuple[str, ...] = ("openid", "offline_access")
    audience: str | None = None
    authorize_parameters: Mapping[str, str] = msgspec.field(default_factory=dict)
    algorithms: tuple[SigningAlgorithm, ...] = ALGORITHMS
    post_logout_redirect_uri: str | None = None
    access_lifetime: int = 300_000
    refresh_margin: float = 0.3
    least_margin: int = 30_000
    connect_timeout: int = 3_000
    read_timeout: int = 10_000
    total_timeout: int = 15_000
    clock_skew: int = 60_000
    metadata_lifetime: int = 300_000
    login_lifetime: int = 900_000

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        self._refuse_wrong_addresses()
        self._refuse_wrong_authentication()
        self._refuse_wrong_request()
        self._refuse_wrong_spans()

    @property
    def authentication(self) -> str:
        """How we prove to the provider that it is us."""
        return self.client_authentication or ("client_secret_basic" if self.private_key is None else "private_key_jwt")

    def signing_key(self) -> RSAKey | ECKey | OKPKey:
        """Read the private key.

        Raises:
            SettingsError: if it is none, or none for the algorithm. The message does not show it.
        """
        algorithm = self.private_key_algorithm
        try:
            key = _KEYS[algorithm].import_key(self.private_key or "")
        except (JoseError, ValueError, TypeError):
            raise SettingsError(
                f"private_key cannot be read as a PEM key for {algorithm}; set private_key_algorithm if it is another kind"
            ) from None
        if not key.is_private:
            raise SettingsError("private_key is a public key; give the private one, the provider has the public one")
        if isinstance(key, RSAKey) and key.raw_value.key_size < SMALLEST_RSA_BITS:
            raise SettingsError(f"private_key has {key.raw_value.key_size} bits; {algorithm} needs at least {SMALLEST_RSA_BITS}")
        if (isinstance(key, ECKey) and key.curve_name != "P-256") or (isinstance(key, OKPKey) and key.curve_name != "Ed25519"):
            raise SettingsError(f"private_key is of curve {key.curve_name}, which cannot sign {algorithm}")
        return key

    def problems(self) -> list[str]:
        """Tell what works and is probably not what was meant, a sentence each."""
        found = []
        if "offline_access" not in self.scopes:
            found.append(
                "scopes have no `offline_access`: most providers then give no refresh token, and access ends with the first access token",
            )
        if self.post_logout_redirect_uri is None:
            found.append("there is no post_logout_redirect_uri: people who sign out stay on the provider's page")
        if self.issuer.startswith("http://"):
            found.append("the issuer is plain http: good for developing on this machine, and for nothing else")
        return found

    def margin_of(self, lifetime: int) -> int:
        """Tell how long before its end an access token is to be replaced.

        Never more than half of its life: with a margin as long as the life every beat would ask for a new token.

        Args:
            lifetime: how long the token is good in all, in milliseconds.

        Returns:
            Milliseconds.
        """
        return min(self.wanted_margin_of(lifetime), lifetime // 2)

    def wanted_margin_of(self, lifetime: int) -> int:
        """Tell the same as it is set, however long that is, in milliseconds."""
        return max(round(lifetime * self.refresh_margin), self.least_margin)

    def _refuse_wrong_addresses(self) -> None:
        refuse_insecure(self.issuer, "issuer")
        if urlsplit(self.issuer).query:
            raise SettingsError(f"issuer {self.issuer!r} has a query; OpenID Connect Discovery knows none")
        refuse_insecure(self.redirect_uri, "redirect_uri")
        if self.post_logout_redirect_uri is not None:
            refuse_insecure(self.post_logout_redirect_uri, "post_logout_redirect_uri")

    def _refuse_wrong_authentication(self) -> None:
        if not self.client_id:
            raise SettingsError("client_id is empty; the provider gave one when this application was registered")
        if bool(self.client_secret) == bool(self.private_key):
            raise SettingsError("give either client_secret or private_key: this is a server, and proves to the provider that it is itself")
        wanted = "private_key" if self.authentication == "private_key_jwt" else "client_secret"
        if not getattr(self, wanted):
            raise SettingsError(f"client_authentication {self.authentication} needs {wanted}, which is not set")
        if self.authentication not in {"client_secret_basic", "client_secret_post", "private_key_jwt"}:
            raise SettingsError(
                f"client_authentication must be client_secret_basic, client_secret_post or private_key_jwt, not {self.authentication!r}"
            )
        if self.private_key_algorithm not in _KEYS:
            raise SettingsError(f"private_key_algorithm must be one of {', '.join(_KEYS)}, not {self.private_key_algorithm!r}")
        if self.private_key:
            self.signing_key()

    def _refuse_wrong_request(self) -> None:
        if "openid" not in self.scopes:
            raise SettingsError(f"scopes must have `openid`, or the provider does not say who somebody is, not {self.scopes!r}")
        for scope in self.scopes:
            if not _SCOPE.match(scope):
                raise SettingsError(f"{scope!r} is not a scope (RFC 6749 section 3.3); give each its own string")
        taken = OURS & self.authorize_parameters.keys()
        if taken:
            raise SettingsError(f"authorize_parameters may not set {', '.join(sorted(taken))}: the login writes it itself")
        if not self.algorithms or not set(self.algorithms) <= set(ALGORITHMS):
            raise SettingsError(f"algorithms must be some of {', '.join(ALGORITHMS)}, not {self.algorithms!r}")

    def _refuse_wrong_spans(self) -> None:
        for name in ("access_lifetime", "metadata_lifetime", "login_lifetime", "connect_timeout", "read_timeout", "total_timeout"):
            value = getattr(self, name)
            if type(value) is not int or value <= 0:
                raise SettingsError(f"{name} must be a whole number of milliseconds above 0, not {value!r}")
        for name in ("least_margin", "clock_skew"):
            value = getattr(self, name)
            if type(value) is not int or value < 0:
                raise SettingsError(f"{name} must be a whole number of milliseconds from 0, not {value!r}")
        if not 0 <= self.refresh_margin <= 1:
            raise SettingsError(f"refresh_margin must be a fraction from 0 to 1, not {self.refresh_margin!r}")
        if self.least_margin >= self.access_lifetime:
            raise SettingsError(
                f"least_margin ({self.least_margin} ms) must be shorter than access_lifetime ({self.access_lifetime} ms), "
                "or a token would be old when it comes",
            )
        for name in ("connect_timeout", "read_timeout"):
            if getattr(self, name) > self.total_timeout:
                raise SettingsError(f"{name} ({getattr(self, name)} ms) must not be longer than total_timeout ({self.total_timeout} ms)")
        if self.total_timeout > LONGEST_WAIT_MS:
            raise SettingsError(f"total_timeout ({self.total_timeout} ms) must not be longer than {LONGEST_WAIT_MS} ms: people wait for it")


def is_safe_address(url: str) -> bool:
    """Tell whether secrets may travel there: https, or http on a loopback address; no user, no fragment (RFC 6749 section 3.2)."""
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    if not parts.hostname or parts.username is not None or parts.password is not None or "#" in url or not has_port:
        return False
    if not url.isascii() or any(character <= " " or character in '\\"<>`{}|^' for character in url):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


def refuse_insecure(url: str, name: str) -> None:
    """Refuse an address where secrets may not travel.

    Raises:
        SettingsError: that names it.
    """
    if not is_safe_address(url):
        raise SettingsError(f"{name} {url!r} must be an address of https, or of http on a loopback address, without user and fragment")
