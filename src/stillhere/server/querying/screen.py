"""What tables look like on a screen: fewer columns than their files have, spans and instants for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence  # beside the record, whose annotations are read at run time
from typing import TYPE_CHECKING, Any, Final, Generic

import msgspec

from stillhere.archive.export import BUCKETS, DURATIONS, PAGES, SIMULTANEOUS, TOTALS, VIEWS, VISITORS, VISITS, Row
from stillhere.archive.zones import local
from stillhere.server.reports import short
from stillhere.words import even_span

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from stillhere.archive.records import VisitorTotals, VisitReport
    from stillhere.archive.statistics import Bin, Bucket, PageTotals, Point, Totals
    from stillhere.core.records import View


class Look(msgspec.Struct, Generic[Row], frozen=True):
    """What a table looks like on a screen.

    Attributes:
        columns: what they are called, as `reports.show` takes them.
        cells: writes a row.
        empty: what is said if there is no row.
    """

    columns: Sequence[str]
    cells: Callable[[Row], Sequence[str]]
    empty: str


def _visit(visit: VisitReport) -> Sequence[str]:
    ended = "still here" if visit.ended_by is None else short(visit.ended_at)
    spans = _spans(visit.open_ms, visit.visible_ms, visit.active_ms)
    return visit.visitor, short(visit.started_at), ended, *spans, visit.ended_by or ""


def _view(found: tuple[VisitReport, View]) -> Sequence[str]:
    visit, view = found
    spans = _spans(view.visible_ms, view.active_ms)
    return visit.visitor, view.page or "", short(view.opened_at), *spans, f"{view.scroll_pct:.0f} %"


def _visitor(row: VisitorTotals) -> Sequence[str]:
    spans = _spans(row.open_ms, row.visible_ms, row.active_ms, row.median_visible_ms)
    return row.visitor, str(row.visits), *spans, str(row.total_minutes), short(row.last_at)


def _page(row: PageTotals) -> Sequence[str]:
    spans = _spans(row.visible.sum, row.visible.q1, row.visible.median, row.visible.q3)
    return row.page, str(row.views), str(row.visitors), *spans, f"{row.scroll.median:.0f} %"


def _bucket(row: Bucket, zone: ZoneInfo) -> Sequence[str]:
    begins = local(row.from_at, zone).isoformat(" ", "minutes")
    return begins, str(row.visits), str(row.visitors), *_spans(row.visible_ms, row.active_ms)


def _bin(row: Bin) -> Sequence[str]:
    return even_span(row.from_ms), "" if row.to_ms is None else even_span(row.to_ms), str(row.visits)


def _point(row: Point) -> Sequence[str]:
    return short(row.at), str(row.visitors)


def _totals(row: Totals) -> Sequence[str]:
    spans = _spans(row.open_ms, row.visible_ms, row.active_ms, row.visible.q1, row.visible.median, row.visible.q3)
    return str(row.visits), str(row.visitors), *spans


def _spans(*spans_ms: float) -> Sequence[str]:
    return tuple(even_span(int(span_ms)) for span_ms in spans_ms)


_QUARTERS: Final = (">a quarter", ">median", ">three quarters")

_LOOKS: Final[dict[str, Look[Any]]] = {
    VISITS.name: Look(("visitor", "started (UTC)", "ended", ">open", ">visible", ">active", "ended by"), _visit, "No visits yet."),
    VIEWS.name: Look(("visitor", "page", "opened (UTC)", ">visible", ">active", ">scrolled"), _view, "No views yet."),
    VISITORS.name: Look(
        ("visitor", ">visits", ">open", ">visible", ">active", ">median", ">minutes", "last (UTC)"), _visitor, "No visitors yet."
    ),
    PAGES.name: Look(("page", ">views", ">visitors", ">visible", *_QUARTERS, ">scrolled"), _page, "No pages yet."),
    DURATIONS.name: Look((">visible from", ">to", ">visits"), _bin, "No visits yet."),
    SIMULTANEOUS.name: Look(("at (UTC)", ">visitors"), _point, "No visits yet."),
    TOTALS.name: Look((">visits", ">visitors", ">open", ">visible", ">active", *_QUARTERS), _totals, "No visits yet."),
}


def look_of(name: str, zone: ZoneInfo) -> Look[Any]:
    """Tell what a table looks like; buckets begin when the clocks of their zone say."""
    if name == BUCKETS.name:
        return Look(("from", ">visits", ">visitors", ">visible", ">active"), lambda row: _bucket(row, zone), "No visits yet.")
    return _LOOKS[name]
