"""`stillhere doctor`: which deadline applies and when, and what cannot work. It looks, and writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from rich.table import Table
from rich.text import Text

from stillhere.clock import system_clock
from stillhere.core.deadlines import NO_TOKENS
from stillhere.core.findings import Finding, Level, by_level
from stillhere.core.spans import in_words
from stillhere.errors import PolicyError, SettingsError, StoreError
from stillhere.explain import Explanation, explain_rules, explain_session, holding_of
from stillhere.http.explaining import told_deadlines
from stillhere.server.checks import findings_of_store, findings_of_way
from stillhere.server.part_checks import finding_of_start, findings_of_others, findings_of_parts
from stillhere.server.reports import console, open_manager
from stillhere.server.writing import put
from stillhere.stores import look_at_store, shown
from stillhere.stores.facts import StoreFacts
from stillhere.words import instant, left_span

if TYPE_CHECKING:
    from collections.abc import Callable

    from stillhere.core.deadlines import Deadline, TokenSpans
    from stillhere.core.records import Session
    from stillhere.core.refreshing import Holding
    from stillhere.server.settings import Settings

_STYLES: Final = {Level.ERROR: "bold red", Level.WARNING: "yellow", Level.NOTE: "dim"}


class Examination(msgspec.Struct, frozen=True, kw_only=True):
    """What the doctor found.

    Attributes:
        findings: all of them, the worst first.
        explanation: the deadlines, or None if the settings give no policy.
        store: what was seen of the store, or None if it cannot be reached.
    """

    findings: tuple[Finding, ...]
    explanation: Explanation | None = None
    store: StoreFacts | None = None

    @property
    def is_well(self) -> bool:
        """Nothing was found that cannot work."""
        return all(finding.level is not Level.ERROR for finding in self.findings)


async def examine(settings: Settings, *, handle: str | None = None, tokens: TokenSpans = NO_TOKENS) -> Examination:
    """Examine settings and the store they name, and explain the rules, or one session.

    Args:
        settings: the program's.
        handle: of the session to explain, or None.
        tokens: what tokens the program has.
    """
    clock, found = system_clock(), list[Finding]()
    explanation = None
    try:
        explanation = explain_rules(settings.policy(), tokens, retention=settings.retention)
    except PolicyError as error:
        found.append(Finding(level=Level.ERROR, code="policy-refused", text=str(error)))
    try:
        found += findings_of_way(settings.host, settings.http())
    except SettingsError as error:
        found.append(Finding(level=Level.ERROR, code="http-refused", text=str(error)))
    found += findings_of_parts(settings)
    refused = None if any(finding.level is Level.ERROR for finding in found) else await finding_of_start(settings)
    found += [refused] if refused else await findings_of_others(settings)
    store = _looked_at("store", settings.store, found, clock)
    if settings.archive is not None:
        _looked_at("archive", settings.archive, found, clock)
    if handle is not None and explanation is not None and store is not None:
        seen = await _seen(settings, handle, store, found)
        if seen is not None:
            session, holding = seen
            retention = settings.retention
            explanation = explain_session(explanation, settings.policy(), tokens, session, holding, now=clock(), retention=retention)
    told = () if explanation is None else explanation.findings
    return Examination(findings=by_level([*found, *told]), explanation=explanation, store=store)


def _looked_at(name: str, url: str, found: list[Finding], clock: Callable[[], int]) -> StoreFacts | None:
    try:
        facts = look_at_store(url)
    except (SettingsError, StoreError) as error:
        code = "store-refused" if isinstance(error, SettingsError) else "store-away"
        found.append(Finding(level=Level.ERROR, code=code, text=f"{name} {shown(url)}: {error}"))
        return None
    found += findings_of_store(name, facts, now=clock())
    return facts


async def _seen(settings: Settings, handle: str, store: StoreFacts, found: list[Finding]) -> tuple[Session, Holding | None] | None:
    seen, why = None, "`stillhere sessions list` shows those that live"
    if store.revision == store.newest:
        try:
            async with open_manager(settings) as manager:
                session = await manager.store.get(handle)
                seen = None if session is None else (session, await holding_of(manager.store, handle))
        except (SettingsError, StoreError) as error:
            why = str(error)
    else:
        why = "the store is not at this release's revision, and opening it would change that"
    if seen is None:
        found.append(Finding(level=Level.ERROR, code="no-session", text=f"no session {handle!r} can be seen: {why}"))
    return seen


def show(examination: Examination, settings: Settings, *, as_json: bool) -> None:
    """Write what was found to standard output."""
    explanation = examination.explanation
    if as_json:
        put(msgspec.json.format(msgspec.json.encode(_exported(examination))).decode() + "\n")
        return
    where = shown(settings.store) if examination.store is None else f"{shown(settings.store)}, {examination.store.software}"
    findings = Table.grid(padding=(0, 2))
    for finding in examination.findings:
        findings.add_row(Text(finding.level, style=_STYLES[finding.level]), Text(finding.text))
    with console() as out:
        out.print(f"Store: {where}", soft_wrap=True)
        if explanation is not None:
            out.print()
            if explanation.session is not None:
                out.print(_sentence(explanation), soft_wrap=True)
                out.print()
            out.print(_table(explanation))
        out.print()
        out.print(findings)
        out.print()
        out.print(_summary(examination.findings))


def _summary(findings: tuple[Finding, ...]) -> Text:
    counts = [(level, sum(finding.level is level for finding in findings)) for level in Level]
    told = ", ".join(f"{count} {level}{'' if count == 1 else 's'}" for level, count in counts if count)
    if counts[0][1]:
        return Text(f"This cannot work: {told}.", style="bold red")
    return Text(f"Nothing is in the way{f': {told}' if told else ''}.", style="bold green")


def _sentence(explanation: Explanation) -> str:
    session, now, row, over = explanation.session, explanation.now or 0, explanation.effective, explanation.ending
    who = "" if session is None else f"Session {session.handle} of {session.subject}"
    if over is not None:
        return f"{who} is over: it ended at {instant(over.at)}, by {over.by}."
    left = left_span(row.remaining_ms(now) or 0)
    when = f"{who} ends in {left}, at {instant(row.at or 0)}, by its {row.name} of {in_words(row.span_ms or 0)}"
    return f"{when}. Nothing moves that." if row.moved_by == "nothing" else f"{when}, unless one of these comes first: {row.moved_by}."


def _table(explanation: Explanation) -> Table:
    now, is_over = explanation.now, explanation.ending is not None
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("deadline", ratio=3)
    table.add_column("span", justify="right", no_wrap=True)
    if now is not None:
        table.add_column("left", justify="right", no_wrap=True)
    for name, ratio in (("counts from", 3), ("moved by", 4), ("then", 5), ("set by", 3)):
        table.add_column(name, ratio=ratio)
    for row in explanation.deadlines:
        left = [] if now is None else [_left(row, now)]
        span = "" if row.span_ms is None else in_words(row.span_ms)
        mark, style = ("▶", "bold") if row.is_effective and not is_over else ("", "")
        table.add_row(mark, row.name, span, *left, row.counts_from, row.moved_by, row.then, row.setting, style=style)
    return table


def _left(row: Deadline, now: int) -> str:
    remaining = row.remaining_ms(now)
    return "" if remaining is None else left_span(remaining) if remaining else "past"


def _exported(examination: Examination) -> dict[str, Any]:
    explanation = examination.explanation
    session = None if explanation is None else explanation.session
    over = None if explanation is None else explanation.ending
    told = (
        {
            "handle": session.handle,
            "subject": session.subject,
            "ended_at": None if over is None else instant(over.at),
            "ended_by": None if over is None else over.by,
        }
        if session is not None
        else None
    )
    return {
        "well": examination.is_well,
        "findings": examination.findings,
        "deadlines": [] if explanation is None else told_deadlines(explanation),
        "session": told,
        "store": examination.store,
    }
