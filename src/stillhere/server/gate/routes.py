"""The gate's routes: the form, the code, and what a visitor sees. Where a code is asked, who is on a list sees what others see."""

from __future__ import annotations

import secrets
from secrets import compare_digest
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from stillhere.adapters.asgi import session_of
from stillhere.core.addresses import read_email
from stillhere.core.gate import GATE_ANSWERS, Judged, judge
from stillhere.core.records import EndedBy, Ending
from stillhere.core.rules import open_session
from stillhere.errors import InsecureTransport, SignInRefused
from stillhere.http.cookies import refuse_unsafe_way
from stillhere.http.problems import over_sentence
from stillhere.server.gate.codes import Wrong, drop_challenge, keep_challenge, read_challenge
from stillhere.server.gate.config import hash_access_code
from stillhere.server.gate.forms import Forms, safe_path
from stillhere.server.gate.sending import Later, Sending, log_refusal
from stillhere.server.gate.throttles import ACCESS_OF_NETWORK
from stillhere.server.pages import go, with_headers

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from stillhere.adapters.asgi import RequestSession
    from stillhere.core.policy import Policy
    from stillhere.mail import Mailer
    from stillhere.manager import SessionManager
    from stillhere.server.gate.codes import Challenge
    from stillhere.server.gate.config import GateConfig
    from stillhere.server.pages import Pages

    Handler = Callable[[Request], Awaitable[Response]]

TRIES_PER_MINUTE: Final = 60
LONGEST_SHOWN: Final = 300

NO_EMAIL: Final = "Please enter an e-mail address, such as you@company.example."
NO_ACCESS: Final = "That is not the access code. Ask whoever sent you here."
NO_TERMS: Final = "Please accept the terms to go on."
WRONG: Final = {
    Wrong.CODE: (
        "That is not the code, or it is older than ten minutes, or another browser asked for it. "
        "Look at the newest message, or ask for another code."
    ),
    Wrong.SPENT: "Five wrong codes are too many. Ask for another one.",
}


class Timeouts(msgspec.Struct, frozen=True):
    """The policy's timeouts in seconds, for pages."""

    idle_seconds: int
    absolute_seconds: int
    warning_seconds: int


def timeouts_of(policy: Policy) -> Timeouts:
    """Tell pages the timeouts."""
    return Timeouts(policy.idle_timeout // 1000, policy.absolute_timeout // 1000, policy.warning_timeout // 1000)


class Gate:
    """The gate's routes.

    Args:
        pages: renders.
        config: what it asks, and of whom.
        manager: the sessions. Its store has to be able to note things (`Noting`) where codes are asked.
        mailer: sends codes, or None.
        random_bytes: draws so many random bytes. Default: the operating system's.

    Attributes:
        counts: how often it answered what, in this process: the manager's `metrics.gate`, by words of `GATE_ANSWERS`.

    Raises:
        SettingsError: if codes are asked, and cannot be sent or kept.
    """

    def __init__(
        self,
        pages: Pages,
        config: GateConfig,
        manager: SessionManager,
        mailer: Mailer | None = None,
        *,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,  # noqa: TID251  # here it enters
    ) -> None:
        """Count nothing yet."""
        self._pages = pages
        pages.share(gate=config)  # what is shown behind it looks like it
        self._config = config
        self._policy = manager.policy
        self._clock = manager.clock
        self._forms = Forms(pages, tries_per_minute=TRIES_PER_MINUTE)
        self._sending = Sending.of(config, manager, mailer, random_bytes)
        self.counts: Counter[str] = manager.metrics.gate
        self.counts.update(dict.fromkeys(GATE_ANSWERS, 0))

    async def close(self) -> None:
        """Wait for messages that are on their way."""
        if self._sending is not None:
            await self._sending.close()

    def routes(self) -> list[Route]:
        """List the routes."""
        path, config = self._config.path, self._config
        if config.ask_path == path:
            routes = [_form_at(path, self.ask, self.enter)]
        else:
            routes = [Route(config.ask_path, self.ask), _form_at(path, self.lead, self.enter)]
        if config.asks_for_code:
            routes.append(_form_at(f"{path}/code", self.ask_code, self.enter_code))
        if config.terms is not None and config.terms.text is not None:
            routes.append(Route(f"{path}/terms", self.terms))
        if config.style is not None:
            routes.append(Route(config.style_path, _asset(config.style.encode(), "text/css")))
        if config.logo is not None:
            routes.append(Route(config.logo_path, _asset(config.logo.content, config.logo.media_type)))
        return routes

    async def ask(self, request: Request) -> Response:
        """Show the form, and why the last session ended if it did."""
        mine = session_of(request.scope)
        return self._form(
            following=safe_path(request.query_params.get("next")),
            notice=self._notice(mine.verdict.ending, request.query_params.get("reason")),
            signed_in_as=mine.session.subject if mine.session else None,
        )

    async def lead(self, request: Request) -> Response:
        """Lead to where the gate asks, if that is elsewhere; the way back and the reason go along."""
        told = {"next": safe_path(request.query_params.get("next")), "reason": request.query_params.get("reason")}
        kept = urlencode({name: word[:LONGEST_SHOWN] for name, word in told.items() if word})
        return go(f"{self._config.ask_path}?{kept}" if kept else self._config.ask_path)

    async def terms(self, request: Request) -> Response:  # noqa: ARG002  # every route gets its request
        """Show the terms."""
        return self._show("gate_terms.html", terms=self._config.terms)

    async def enter(self, request: Request) -> Response:
        """Take an address; begin a session for it, or mail it a code."""
        mine = session_of(request.scope)
        form = await self._forms.read(request, mine.request, mine.peer, mine.endpoints.config)
        if not isinstance(form, dict):
            return form
        try:
            refuse_unsafe_way(mine.peer)
        except InsecureTransport as error:
            return self._pages.error(403, "Not safe here", f"{error}.")
        if self._config.access_code_hash is not None and not await self._may_try_access(mine):
            wait_s = ACCESS_OF_NETWORK.span_s
            why = f"Too many tries from this address. Try again in {wait_s} seconds."
            return self._pages.error(429, "Slow down", why, retry_after=wait_s)
        following, email = safe_path(form.get("next")), read_email(form.get("email", ""))
        errors = self._errors(form, email)
        self.counts["wrong_access_code"] += "access_code" in errors
        if email is None or errors:
            return self._form(following, status=422, email=form.get("email", "")[:LONGEST_SHOWN], errors=errors)
        return await self._let_in(mine, email, following)

    async def _let_in(self, mine: RequestSession, email: str, following: str | None) -> Response:
        judged = judge(email, self._config.lists, asks_for_code=self._config.asks_for_code)
        self.counts[judged] += 1
        if judged.is_refused:
            log_refusal(email, judged)
        if self._config.asks_for_code:
            return await self._send(mine, email, following, self._clock(), judged)
        if judged.is_refused:
            why = "The owner of this site has not opened it for your address. Ask whoever sent you here."
            return self._pages.error(403, "Not for this address", why)
        return await self._start(mine, email, following, self._attributes(self._clock()))

    async def ask_code(self, request: Request) -> Response:
        """Show where the code is typed, to a browser that asked for one."""
        following = safe_path(request.query_params.get("next"))
        challenge = read_challenge((mine := session_of(request.scope)).request, mine.peer)
        return self._back(following) if challenge is None else self._code_form(challenge, following)

    async def enter_code(self, request: Request) -> Response:
        """Take a code and begin the session, or mail another one."""
        mine = session_of(request.scope)
        form = await self._forms.read(request, mine.request, mine.peer, mine.endpoints.config)
        if not isinstance(form, dict):
            return form
        following, challenge = safe_path(form.get("next")), read_challenge(mine.request, mine.peer)
        if challenge is None or self._sending is None:
            return self._back(following)
        if "again" in form:
            accepted_at = await self._sending.codes.accepted_at(challenge, terms=self._terms_version())
            if accepted_at is None:  # the challenge is over, or the terms have changed: both begin at the form
                return self._back(following)
            judged = judge(challenge.email, self._config.lists, asks_for_code=True)
            return await self._send(mine, challenge.email, following, accepted_at, judged, before=challenge)
        found = await self._check(self._sending, challenge, form.get("code", ""))
        if isinstance(found, Wrong):
            return self._code_form(challenge, following, status=422, error=WRONG[found])
        entered = await self._start(mine, challenge.email, following, {"verified": True, **self._attributes(found)})
        return with_headers(entered, drop_challenge(mine.peer))

    async def _check(self, sending: Sending, challenge: Challenge, typed: str) -> int | Wrong:
        found = await sending.codes.check(challenge, typed, terms=self._terms_version())
        judged = judge(challenge.email, self._config.lists, asks_for_code=True)
        if isinstance(found, Wrong):
            self.counts["wrong_code"] += 1
        elif judged.is_refused:  # by a list that has changed since the code was mailed
            self.counts[judged] += 1
            log_refusal(challenge.email, judged)
            return Wrong.CODE
        return found

    async def _send(
        self,
        mine: RequestSession,
        email: str,
        following: str | None,
        accepted_at: int,
        judged: Judged,
        *,
        before: Challenge | None = None,
    ) -> Response:
        assert self._sending is not None  # noqa: S101  # whoever calls has looked; this tells the type checker
        asked = await self._sending.ask(
            email, network=mine.peer.network, terms=self._terms_version(), accepted_at=accepted_at, judged=judged
        )
        if isinstance(asked, Later):
            mine_already = read_challenge(mine.request, mine.peer) if before is None else None
            if mine_already is not None and mine_already.email == email and await self._is_under_way(self._sending, mine_already):
                return go(self._code_path(following))  # the form was sent twice, and the code is on its way to this browser
            return self._later(asked, email, following, before)
        return with_headers(go(self._code_path(following)), keep_challenge(asked, mine.peer))

    async def _is_under_way(self, sending: Sending, challenge: Challenge) -> bool:
        return await sending.codes.accepted_at(challenge, terms=self._terms_version()) is not None

    def _later(self, later: Later, email: str, following: str | None, before: Challenge | None) -> Response:
        """Show the page that was sent in once more, with what to do."""
        if before is None:
            response = self._form(following, status=later.status, email=email, trouble=later.sentence)
        else:
            response = self._code_form(before, following, status=later.status, trouble=later.sentence)
        response.headers["cache-control"] = "private, no-store"
        response.headers["retry-after"] = str(later.wait_s)
        return response

    async def _may_try_access(self, mine: RequestSession) -> bool:
        return self._sending is None or await self._sending.throttles.takes(f"access:{mine.peer.network}", ACCESS_OF_NETWORK)

    def _errors(self, form: Mapping[str, str], email: str | None) -> dict[str, str]:
        config = self._config
        typed = hash_access_code(form.get("access_code", ""))
        is_known = config.access_code_hash is None or compare_digest(typed, config.access_code_hash)
        return {
            **({} if email is not None else {"email": NO_EMAIL}),
            **({} if is_known else {"access_code": NO_ACCESS}),
            **({} if config.terms is None or form.get("terms") == config.terms.version else {"terms": NO_TERMS}),
        }

    async def _start(self, mine: RequestSession, email: str, following: str | None, attributes: Mapping[str, Any]) -> Response:
        try:
            _, cookies = await mine.start(email, **attributes)
        except InsecureTransport as error:
            return self._pages.error(403, "Not safe here", f"{error}.")
        except SignInRefused as error:
            return self._pages.error(error.status_hint, "Not signed in", f"Nobody was signed in: {error}.")
        self.counts["entered"] += 1
        return with_headers(go(following or self._config.after), cookies)

    def _attributes(self, accepted_at: int) -> dict[str, Any]:
        terms = self._config.terms
        return {} if terms is None else {"terms": {"version": terms.version, "accepted_at": accepted_at}}

    def _terms_version(self) -> str:
        return "" if self._config.terms is None else self._config.terms.version

    def _back(self, following: str | None) -> Response:
        return go(_with_next(self._config.ask_path, following))

    def _code_path(self, following: str | None) -> str:
        return _with_next(f"{self._config.path}/code", following)

    def _code_form(
        self, challenge: Challenge, following: str | None, *, status: int = 200, error: str | None = None, trouble: str | None = None
    ) -> Response:
        return self._show(
            "gate_code.html",
            status=status,
            next=following or "",
            other=_with_next(self._config.ask_path, following),
            email=challenge.email,
            error=error,
            trouble=trouble,
        )

    def _form(
        self,
        following: str | None,
        *,
        status: int = 200,
        notice: str | None = None,
        trouble: str | None = None,
        errors: Mapping[str, str] | None = None,
        email: str = "",
        signed_in_as: str | None = None,
    ) -> Response:
        return self._show(
            "gate.html",
            status=status,
            next=following or "",
            after_gate=self._config.after,
            notice=notice,
            trouble=trouble,
            errors=errors or {},
            email=email,
            # Who sent the form, and is not told to accept the terms, has accepted these very ones.
            has_accepted=bool(errors or trouble) and "terms" not in (errors or {}),
            timeouts=timeouts_of(self._policy),
            signed_in_as=signed_in_as,
        )

    def _show(self, template: str, **variables: Any) -> Response:  # noqa: ANN401  # templates take anything
        return self._pages.show(template, gate=self._config, assets=self._config.assets, **variables)

    def _notice(self, ending: Ending | None, reason: str | None) -> str | None:
        by = ending.by if ending is not None else reason
        if by not in tuple(EndedBy):
            return None
        # The sentence names the timeouts; a session under today's policy has the same ones.
        like = open_session("", "", "", {}, policy=self._policy, now=0)
        return over_sentence(like, Ending(at=0, by=EndedBy(by)))


def _form_at(path: str, ask: Handler, take: Handler) -> Route:
    # One route, so that a wrong method is told both right ones.
    async def answer(request: Request) -> Response:
        return await (take if request.method == "POST" else ask)(request)

    return Route(path, answer, methods=["GET", "POST"])


def _with_next(path: str, following: str | None) -> str:
    return path if following is None else f"{path}?{urlencode({'next': following})}"


def _asset(content: bytes, media_type: str) -> Callable[[Request], Any]:
    # A picture may be a document that a browser runs; alone it may do nothing.
    headers = {"cache-control": "public, max-age=300", "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}

    async def answer(request: Request) -> Response:  # noqa: ARG001  # every route gets its request
        return Response(content, media_type=media_type, headers=headers)

    return answer
