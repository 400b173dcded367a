"""The formats of dates that a wrong cell's message suggests."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect.csv import scalars, wrong_cells
from collect.csv.wrong_cells import _CLOCKS_WITH_ZONE, _MIDNIGHTS, _USUAL_FORMATS, _formats_by_outline, _outline

FORMATS: dict[tuple[str, ...], list[str]] = {
    clocks: [form + clock for form in _USUAL_FORMATS for clock in clocks] for clocks in (_MIDNIGHTS, _CLOCKS_WITH_ZONE)
}
ZONES = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)
MOMENTS = st.builds(datetime.fromtimestamp, st.integers(0, 2_840_000_000), ZONES)


def tried(text: str, clocks: tuple[str, ...]) -> list[str]:
    return _formats_by_outline(clocks).get(_outline(text), [])


@pytest.mark.parametrize("clocks", FORMATS, ids=["days", "times"])
@given(data=st.data(), at=MOMENTS)
def test_formats_of_another_outline_would_not_read_the_text(
    clocks: tuple[str, ...], data: st.DataObject, at: datetime
) -> None:
    text = at.strftime(data.draw(st.sampled_from(FORMATS[clocks])))
    text = data.draw(st.sampled_from((text, text.replace("0", ""), text.replace(" ", "  "), f" {text}", text + "Z")))
    read = [form for form in FORMATS[clocks] if scalars.read_as(text, form) is not None]
    assert [form for form in tried(text, clocks) if form in read] == read


@pytest.mark.parametrize("clocks", FORMATS, ids=["days", "times"])
def test_a_text_is_tried_with_no_more_formats_than_strptime_keeps(clocks: tuple[str, ...]) -> None:
    texts = (
        "31/05/2017",
        "31.05.2017",
        "5 May 2017",
        "31/05/2017 10:30",
        "31/05/2017 10:30:00Z",
        "31/05/2017 10:30+0530",
    )
    assert max(len(tried(text, clocks)) for text in texts) <= 5


@pytest.mark.parametrize("text", ["", "none", "31|05|2017", "N/A", "x" * 10_000, "?" * 10_000])
def test_a_text_that_looks_like_no_date_is_tried_with_few_or_none(text: str) -> None:
    assert len(tried(text, _MIDNIGHTS)) <= 1
    assert wrong_cells._hint_of_dates(text, clocks=_MIDNIGHTS) == ""
