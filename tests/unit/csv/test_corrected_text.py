"""Cells of a correction that are written in another way than the file have the same values as the job reads them."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collect.csv import cells, corrected_text
from collect.csv.cells import CellRules
from collect.csv.corrections import Given, Sheet
from collect.jobs.template import Column, ColumnType, Template

PLAIN = CellRules()
GERMAN = CellRules(decimal=",", date_formats=("%d.%m.%Y",))
FORMATS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y-%d-%m", "%d %b %y")
rules = st.builds(
    CellRules, decimal=st.sampled_from(".,"), date_formats=st.lists(st.sampled_from(FORMATS), max_size=3).map(tuple)
)


def value(text: str, column: Column, how: CellRules) -> object:
    return cells.check(column, pa.array([text], pa.string()), required=False, rules=how).values[0].as_py()


@pytest.mark.parametrize(
    ("kind", "text", "written", "own", "becomes"),
    [
        (ColumnType.NUMBER, "1,5", GERMAN, PLAIN, "1.5"),
        (ColumnType.NUMBER, "1.5", GERMAN, PLAIN, "1.5"),
        (ColumnType.NUMBER, "1.5", PLAIN, GERMAN, "1,5"),
        (ColumnType.LATITUDE, "-18,52", GERMAN, PLAIN, "-18.52"),
        (ColumnType.NUMBER, "1,5 kg", GERMAN, PLAIN, "1,5 kg"),
        (ColumnType.STRING, "1,5", GERMAN, PLAIN, "1,5"),
        (ColumnType.DATE, "31.05.2017", GERMAN, PLAIN, "2017-05-31"),
        (ColumnType.DATE, "2017-05-31", GERMAN, PLAIN, "2017-05-31"),
        (ColumnType.DATE, "31.02.2017", GERMAN, PLAIN, "31.02.2017"),
        (ColumnType.DATE, "31.05.2017", GERMAN, CellRules(date_formats=("%Y-%d-%m",)), "2017-31-05"),
        (ColumnType.DATETIME, "31.05.2017 09:30+0530", CellRules(date_formats=("%d.%m.%Y %H:%M%z",)), PLAIN,
         "2017-05-31T04:00:00.000000+0000"),
        (ColumnType.STRING, " x\u00a0", CellRules(trim=True), PLAIN, "x"),
        (ColumnType.STRING, " x ", PLAIN, PLAIN, " x "),
    ],
)  # fmt: skip
def test_a_cell_is_written_as_the_job_reads_it(
    kind: ColumnType, text: str, written: CellRules, own: CellRules, becomes: str
) -> None:
    assert corrected_text.cell(text, Column(name="c", type=kind), written, own) == becomes


@given(day=st.dates(date(1970, 1, 1), date(2060, 1, 1)), written=rules, own=rules, data=st.data())
@settings(max_examples=300)
def test_a_day_stays_the_day_that_it_is(day: date, written: CellRules, own: CellRules, data: st.DataObject) -> None:
    column = Column(name="c", type=ColumnType.DATE)
    moment = datetime.fromisoformat(str(day)).replace(tzinfo=UTC)
    text = moment.strftime(data.draw(st.sampled_from(("%Y-%m-%d", *written.date_formats))))
    meant = value(text, column, written)
    if meant is not None and (written.date_formats or not own.date_formats):
        assert value(corrected_text.cell(text, column, written, own), column, own) == meant


@given(number=st.floats(-1e6, 1e6).map(lambda x: round(x, 4)), written=rules, own=rules)
def test_a_number_stays_the_number_that_it_is(number: float, written: CellRules, own: CellRules) -> None:
    column = Column(name="c", type=ColumnType.NUMBER)
    text = f"{number:.4f}".replace(".", written.decimal)
    assert value(corrected_text.cell(text, column, written, own), column, own) == number


def test_cells_of_columns_that_are_left_out_stay() -> None:
    template = Template.model_validate({"key": ["k"], "columns": [{"name": "k", "type": "string"}]})
    sheet = Sheet(headers=("k", "note"), columns=("k", None), delimiter=",")
    given_ = Given(row=1, cells={0: " a ", 1: " b "})
    assert corrected_text.row(given_, sheet, template, CellRules(trim=True), PLAIN).cells == {0: "a", 1: " b "}
