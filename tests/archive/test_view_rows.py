"""Views one by one: however they are added up, it comes to the same."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.archive import packing, page_days
from stillhere.archive.days import visits_of
from stillhere.archive.records import DayView, Stay
from stillhere.archive.view_rows import Counted, rows_of, views_in

VISITS = 12

many_views = st.lists(
    st.builds(
        lambda visit, page, visible, scroll: DayView(visit, page, page.upper(), visit, visible, visible // 2, scroll, None),
        st.integers(0, VISITS - 1),
        st.sampled_from(["/a", "/b", "/c", "/d"]),
        st.sampled_from([0, 1, 63, 1_000, 86_400_000]) | st.integers(0, 3_600_000),
        st.floats(0, 100),
    ),
    max_size=40,
)
masks = st.lists(st.booleans(), min_size=VISITS, max_size=VISITS).map(np.array) | st.sampled_from([np.ones(VISITS, np.bool_)])


@given(views=many_views, kept=masks, before=masks, other=st.permutations(["/a", "/b", "/c", "/d"]), roomy=st.sampled_from([0, 1_000]))
def test_what_comes_and_goes_adds_up_to_what_there_is(
    views: list[DayView], kept: npt.NDArray[np.bool_], before: npt.NDArray[np.bool_], other: list[str], roomy: int
) -> None:
    """Taking those off who are left out, from what is known of others in whatever order of pages, is as good as counting all anew."""
    visits = visits_of([Stay(f"v{n % 5}", n, n + 1, 1, 1) for n in range(VISITS)])
    rows = rows_of(views, np.arange(VISITS), visits.starts)
    elsewhere = rows_of(sorted(views, key=lambda view: other.index(view.page)), np.arange(VISITS), visits.starts)
    known = page_days.read_bins(page_days.write(views_in(0, elsewhere, before, visits)))
    anew = views_in(0, rows, kept, visits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "_ROOMY", roomy)
        found = views_in(0, rows, kept, visits, Counted(before, *known))
    assert page_days.pages(found) == page_days.pages(anew)
    for (keys, times), (keys_anew, times_anew) in zip(found.bins, anew.bins, strict=True):
        assert (keys.tolist(), times.tolist()) == (keys_anew.tolist(), times_anew.tolist())
