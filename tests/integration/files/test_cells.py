"""Cells that are not what their column wants: each is rejected alone, by row, column, and what stood there."""

from typing import Any

from integration.files.desk import Desk

COLUMNS: list[dict[str, Any]] = [
    {"name": "k", "type": "string"},
    {"name": "n", "type": "integer"},
    {"name": "x", "type": "number"},
    {"name": "d", "type": "date"},
    {"name": "t", "type": "datetime"},
    {"name": "p", "type": "phone", "country": "IN"},
    {"name": "lat", "type": "latitude"},
    {"name": "e", "type": "enum", "values": ["yes", "no"]},
    {"name": "s", "type": "string"},
]

BAD = [
    ("n", "9223372036854775808", "not_an_integer", "n '9223372036854775808' is not between -9,223,372,036,854,775,808"),
    ("n", "-9223372036854775809", "not_an_integer", "and 9,223,372,036,854,775,807"),
    ("n", "7" * 5_000, "not_an_integer", "n '" + "7" * 40 + "…' is not between"),
    ("n", "1_000", "not_an_integer", "n '1_000' is no whole number as 1024 is one"),
    ("n", "１２", "not_an_integer", "n '１２' is no whole number"),
    ("n", "1.0", "not_an_integer", "n '1.0' is no whole number"),
    ("n", "1e3", "not_an_integer", "n '1e3' is no whole number"),
    ("n", "0x10", "not_an_integer", "n '0x10' is no whole number"),
    ("n", " 1", "not_an_integer", "n ' 1' is no whole number"),
    ("n", "nan", "not_an_integer", "n 'nan' is no whole number"),
    ("n", "=1+1", "not_an_integer", "n '=1+1' is no whole number"),
    ("x", "nan", "not_a_number", "x 'nan' is no number as 10.24 is one"),
    ("x", "inf", "not_a_number", "x 'inf' is no number"),
    ("x", "-Infinity", "not_a_number", "x '-Infinity' is no number"),
    ("x", "1e999", "not_a_number", "x '1e999' is no number"),
    ("x", "1_000.5", "not_a_number", "x '1_000.5' is no number"),
    ("x", "１.５", "not_a_number", "x '１.５' is no number"),
    ("x", "1 000", "not_a_number", "x '1 000' is no number"),
    ("d", "0000-00-00", "not_a_date", "d '0000-00-00' is no day of the calendar"),
    ("d", "2017-02-31", "not_a_date", "d '2017-02-31' is no day of the calendar."),
    ("d", "2017-31-05", "not_a_date", "d '2017-31-05' is no day of the calendar: its day and month look swapped."),
    ("d", "10000-01-01", "not_a_date", "d '10000-01-01' is no date as 2017-05-31 is one"),
    ("d", "31/05/2017", "not_a_date", "d '31/05/2017' is no date as 2017-05-31 is one"),
    ("d", "05-31-2017", "not_a_date", "d '05-31-2017' is no date as 2017-05-31 is one"),
    ("d", "2017-5-1", "not_a_date", "d '2017-5-1' is no date"),
    ("d", "42886", "not_a_date", "d '42886' is no date"),
    ("t", "2017-05-31T09:30:00", "not_a_datetime", "has no time zone, as the Z of 2017-05-31T09:30:00Z is one"),
    ("t", "2017-02-31T09:30:00Z", "not_a_datetime", "t '2017-02-31T09:30:00Z' is no time"),
    ("t", "9999-12-31T23:59:59-12:00", "not_a_datetime", "t '9999-12-31T23:59:59-12:00' is no time"),
    ("t", "yesterday", "not_a_datetime", "t 'yesterday' is no time with a zone as 2017-05-31T09:30:00Z is one"),
    ("p", "9.19E+11", "phone_in_scientific_notation", "p '9.19E+11' was shortened by a spreadsheet"),
    ("p", "12345", "not_a_phone", "p '12345' is no phone number valid in IN"),
    ("p", "९८२०१२३४५६", "not_a_phone", "is no phone number valid in IN"),
    ("p", "98201 23456 ext", "phone_with_letters", "p '98201 23456 ext' is no phone number: it has letters"),
    ("p", "98201 23456 ext. 7", "phone_with_extension", "has an extension, which is not kept"),
    ("p", "98201 23456/57", "several_phones", "p '98201 23456/57' holds more than one number"),
    ("k", "\u00a0\u200b", "required", "k is empty, and it is required"),
    ("lat", "91", "out_of_range", "lat '91' is not at least -90.0 and at most 90.0"),
    ("e", "maybe", "not_in_values", "e 'maybe' is none of: yes, no"),
    ("s", "x\0y", "nul_character", r"s 'x\x00y' has a NUL character. Remove it."),
    ("k", "x\0y", "nul_character", r"k 'x\x00y' has a NUL character. Remove it."),
    ("k", "", "required", "k is empty, and it is required"),
    ("k", "é" * 600, "key_too_long",
     f"k '{'é' * 40}…' has 1,200 bytes; in a key it has at most 1,024. Shorten it."),
    ("s", "x" * (1024 * 1024 + 1), "field_too_long", "s has 1,048,577 bytes; a cell has at most 1,048,576."),
]  # fmt: skip


def test_each_bad_cell_is_rejected_alone_with_its_row_its_column_and_what_stood_there(desk: Desk) -> None:
    """All of them in one file, between rows that are right: one bad cell takes nothing with it."""
    names = [column["name"] for column in COLUMNS]
    lines = []
    for place, (column, cell, _, _) in enumerate(BAD):
        cells = {"k": f"bad-{place}", "s": "x", column: cell}  # a line of empty cells would be blank
        lines += [",".join(cells.get(name, "") for name in names), f"good-{place}" + "," * (len(names) - 1)]
    outcome = desk.run("\n".join([",".join(names), *lines, ""]).encode(), dataset=desk.new_dataset(COLUMNS))
    assert outcome.state == "succeeded"
    assert set(outcome.rows) == {f"good-{place}" for place in range(len(BAD))}
    assert outcome.numbers == {f"good-{place}": 2 * place + 2 for place in range(len(BAD))}
    assert outcome.rejected == {
        2 * place + 1: (column, code, lines[2 * place]) for place, (column, _, code, _) in enumerate(BAD)
    }
    for place, (_, _, _, words) in enumerate(BAD):
        assert words in outcome.said[2 * place + 1]
    assert max(map(len, outcome.said.values())) < 300


def test_the_values_of_good_cells_are_what_they_say(desk: Desk) -> None:
    text = (
        "k,n,x,d,t,p,lat,e,s\n"
        "a,9223372036854775807,1e3,2016-02-29,2017-05-31T09:30:00+05:30,+919820123456,-90,yes,=1+1\n"
        "b,-9223372036854775808,.5,0001-01-01,2017-05-31 09:30:00.5Z,98201 23456,90,no,@SUM(A1)\n"
        'c,+007,-0,9999-12-31,,09820123456,,,"+1 ""x"""\n'
        "-1+1,,,,,+91 (98201) 23-456,,,  x  \n"
    )
    outcome = desk.run(text.encode(), dataset=desk.new_dataset(COLUMNS))
    assert (outcome.state, outcome.rejects) == ("succeeded", [])
    rows = outcome.rows
    assert [rows[k]["n"] for k in "abc"] == [2**63 - 1, -(2**63), 7]
    assert [rows[k]["x"] for k in "abc"] == [1000.0, 0.5, 0.0]
    assert [rows[k]["d"].date().isoformat() for k in "abc"] == ["2016-02-29", "0001-01-01", "9999-12-31"]
    assert [rows[k]["t"].isoformat()[:19] for k in "ab"] == ["2017-05-31T04:00:00", "2017-05-31T09:30:00"]
    assert [row["p"] for row in rows.values()] == ["+919820123456"] * 4
    assert {k: row["s"] for k, row in rows.items()} == {"a": "=1+1", "b": "@SUM(A1)", "c": '+1 "x"', "-1+1": "  x  "}


def test_all_that_is_wrong_with_a_row_is_in_one_reject(desk: Desk) -> None:
    outcome = desk.run(b"k,n,x,d,p\n,one,two,three,four\n", dataset=desk.new_dataset(COLUMNS))
    (reject,) = outcome.rejects
    assert [(error.field, error.code) for error in reject.errors] == [
        ("k", "required"),
        ("n", "not_an_integer"),
        ("x", "not_a_number"),
        ("d", "not_a_date"),
        ("p", "not_a_phone"),
    ]


def test_rejects_come_back_as_a_file_that_can_be_corrected_and_sent_again(desk: Desk) -> None:
    dataset = desk.new_dataset(COLUMNS)
    first = desk.run(b'k,n,s\na,1,x\nb,"2,5","say ""no"", he said\nb"\nc,x\n', dataset=dataset)
    assert set(first.rejected) == {2, 3}
    header, *rows = desk.rejects_csv(first.job.id)
    assert header == ["k", "n", "s", "row", "code", "field", "message"]
    assert rows[0][:6] == ["b", "2,5", 'say "no", he said\nb', "2", "not_an_integer", "n"]
    assert rows[1][:6] == ["c", "x", "", "3", "wrong_number_of_cells", ""]
    path = desk.folder / f"rejects-{first.job.id}.csv"
    corrected = path.read_text().replace('"2,5"', "25").replace("c,x,", "c,3,")
    again = desk.run(corrected.encode(), dataset=dataset)
    assert (again.state, again.rejects) == ("succeeded", [])
    assert {k: row["n"] for k, row in again.rows.items()} == {"a": 1, "b": 25, "c": 3}


def test_when_most_rows_are_bad_the_job_pauses_itself_and_says_what_is_wrong(desk: Desk) -> None:
    """A date column in another format: the reason names column, code, count and the first row."""
    lines = [f"k{row},{row % 28 + 1:02}/05/2017" for row in range(1, 101)]
    outcome = desk.run("\n".join(["k,d", *lines, ""]).encode(), dataset=desk.new_dataset(COLUMNS), max_rejected=None)
    assert (outcome.state, outcome.code, outcome.rows) == ("paused", "rejections_over_limit", {})
    assert "21 rows were rejected; 20 were allowed" in outcome.sentence
    hint = outcome.job.reason.hint if outcome.job.reason else None
    assert hint is not None
    assert "d: not_a_date (21 times, first in row 1: d '02/05/2017' is no date as 2017-05-31 is one. " in hint
    assert 'set date_formats, as in ["%d/%m/%Y"] or ["%m/%d/%Y"].' in hint
