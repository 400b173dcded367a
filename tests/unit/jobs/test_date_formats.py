"""Formats of dates are usable, or refused with the reason."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collect.jobs import date_formats


@pytest.mark.parametrize(
    "good",
    ["%d/%m/%Y", "%m/%d/%y", "%d.%m.%Y", "%d %B %Y", "%d-%b-%y", "%Y%m%d", "%j/%Y", "%d/%m/%Y %H:%M", "%A, %d %b %Y",
     "%G-W%V-%u", "%I:%M %p %d.%m.%Y", "%d/%m/%Y %H:%M:%S%z", "Datum: %d.%m.%Y (%%)"],
)  # fmt: skip
def test_a_format_that_names_the_whole_day_is_usable(good: str) -> None:
    assert date_formats.wrong(good) is None


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("%d/%m", "does not name"), ("%Y", "does not name"), ("%m/%Y", "does not name"), ("%H:%M", "does not name"),
        ("DD/MM/YYYY", "does not name"), ("%d/%M/%Y", "does not name"), ("%A %Y", "does not name"),
        ("%d/%m/%Q", "%Q, which"), ("%-d/%m/%Y", "%-, which"), ("%d%d%m%Y", "no format"), ("%d/%m/%Y %", "%, which"),
        ("%", "%, which"), ("%F", "%F, which"), ("%d/%m/%Y\0", "no format"),
    ],
)  # fmt: skip
def test_a_format_that_is_not_usable_is_refused_with_the_reason(bad: str, says: str) -> None:
    assert says in (date_formats.wrong(bad) or "")


@given(st.text(st.sampled_from("%dmYyBbHMSfpzZjUWaAGVu/-. :\0é[(\\"), min_size=1, max_size=12))
@settings(max_examples=300)
def test_any_text_is_usable_or_refused(text: str) -> None:
    date_formats.wrong(text)
