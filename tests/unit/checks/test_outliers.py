"""Values that are like nothing that is stored: compared as they would be stored, however the file writes them."""

from collect.checks import outliers
from collect.checks.column_fit import FileColumn
from collect.checks.warning import Warning
from collect.jobs.template import Column

STORED = [f"+9198765{n:05}" for n in range(300)]


def found(texts: list[str], column: Column, stored: list[str]) -> list[Warning]:
    return outliers.find([FileColumn(header="c", column=column, texts=texts)], stored={"c": stored})


def test_phones_that_are_stored_already_are_not_unlike_themselves_without_a_calling_code() -> None:
    phone = Column(name="c", type="phone", country="IN")
    for texts in ([f"98765{n:05}" for n in range(200)], [f"98765 {n:05}" for n in range(200)], STORED):
        assert not found(texts, phone, STORED)


def test_codes_of_another_form_are_told() -> None:
    (warning,) = found(
        [f"X-{n:04}" for n in range(200)], Column(name="c", type="string"), [f"R{n:06}" for n in range(300)]
    )
    assert (warning.code, warning.columns) == ("values_unlike_stored", ("c",))
