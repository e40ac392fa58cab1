"""Views one by one: however they are added up, it comes to the same."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stillhere.archive import page_days
from stillhere.archive.days import visits_of
from stillhere.archive.records import DayView, Stay
from stillhere.archive.view_rows import has_details, read, rows_of, some, write_details, write_viewed
from stillhere.archive.view_sums import views_in

VISITS = 12

many_views = st.lists(
    st.builds(
        lambda visit, page, visible, scroll, heat: DayView(visit, page, page.upper(), visit, visible, visible // 2, scroll, heat),
        st.integers(0, VISITS - 1),
        st.sampled_from(["/a", "/b", "/c", "/d"]),
        st.sampled_from([0, 1, 63, 1_000, 86_400_000]) | st.integers(0, 3_600_000),
        st.floats(0, 100),
        st.sampled_from([None, ".".join(["1"] * 20), ".".join(["zz", *["0"] * 18, "zzzzz"])]),
    ),
    max_size=40,
)


@given(views=many_views, group_of=st.lists(st.integers(0, 3), min_size=VISITS, max_size=VISITS))
def test_what_is_written_some_at_a_time_adds_up_to_all(views: list[DayView], group_of: list[int]) -> None:
    """Views of some visits, written and read, are the same as before; and those of all groups together tell what all tell."""
    visits = visits_of([Stay(f"v{n % 5}", n, n + 1, 1, 1) for n in range(VISITS)])
    rows = rows_of(views, np.arange(VISITS), visits.starts)
    everybody, groups = np.ones(VISITS, np.bool_), np.array(group_of)[rows.visits]
    assert has_details(rows)
    parts = []
    for group in range(4):
        taken = some(rows, np.flatnonzero(groups == group))
        back = read(write_viewed(taken), write_details(taken))
        assert (back.pages, back.titles) == (taken.pages, taken.titles)
        for name in ("counts", "visits", "titled", "visible", "active", "scroll", "measured", "heat"):
            assert getattr(back, name).tolist() == getattr(taken, name).tolist()
        parts.append(views_in(0, back, everybody, visits))
    found, anew = (page_days.pages(one) for one in (page_days.together(parts), views_in(0, rows, everybody, visits)))
    assert sorted(found, key=lambda one: one.page) == sorted(anew, key=lambda one: one.page)
