"""The same responses in each of the four formats, and what of the documents is seen in them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from integration.export.counter import (
    FIELDS,
    T0,
    Counter,
    csv_rows,
    first_member,
    ids,
    json_rows,
    moment,
    table,
    unpacked,
)

ANSWERS: list[dict[str, Any]] = [
    {
        "name": "Asha",
        "age": 31,
        "height": 1.5,
        "married": True,
        "born_on": datetime(1986, 2, 28, tzinfo=UTC),
        "phone": "+919431000123",
    },
    {"name": None, "age": None, "height": 2, "married": False, "more": {"a": [1, {"b": None}], "é": "x"}},
    {},
    {"name": '=1+1,"x"\n', "age": 2**40, "height": -0.25, "more": "text", "unknown": 1},
    {"name": "+91 94310 00123", "age": "old", "height": "tall", "married": 1, "born_on": "1986", "phone": 12},
    {"name": "-3.5e4", "age": 3.7, "born_on": datetime(1986, 2, 28, 1, 2, 3, 456000, tzinfo=UTC), "more": [1, 2]},
]


def test_csv_has_a_cell_for_each_value_as_it_is(counter: Counter) -> None:
    form = counter.new_form()
    stored = counter.answer(form, ANSWERS)
    rows = csv_rows(counter.run(form))
    assert ids(rows) == ids(stored)
    assert list(rows[0]) == list(FIELDS)
    assert [row["submitted_at"] for row in rows] == [moment(T0 + timedelta(seconds=n)) for n in range(len(rows))]
    assert [row["name"] for row in rows] == ["Asha", "", "", '\'=1+1,"x"\n', "+91 94310 00123", "-3.5e4"]
    assert [row["age"] for row in rows] == ["31", "", "", str(2**40), "old", "3.7"]
    assert [row["height"] for row in rows] == ["1.5", "2", "", "-0.25", "tall", ""]
    assert [row["married"] for row in rows] == ["true", "false", "", "", "1", ""]
    assert [row["born_on"] for row in rows] == ["1986-02-28", "", "", "", "1986", "1986-02-28T01:02:03.456Z"]
    assert [row["phone"] for row in rows] == ["+919431000123", "", "", "", "12", ""]
    assert [row["more"] for row in rows] == ["", '{"a":[1,{"b":null}],"é":"x"}', "", "text", "", "[1,2]"]


def test_formulas_stay_as_they_are_when_that_is_asked_for(counter: Counter) -> None:
    form = counter.new_form()
    counter.answer(form, [{"name": "=SUM(A1)"}, {"name": "@x"}, {"name": "\tx"}])
    assert [row["name"] for row in csv_rows(counter.run(form, formula_safe=False))] == ["=SUM(A1)", "@x", "\tx"]
    assert [row["name"] for row in csv_rows(counter.run(form))] == ["'=SUM(A1)", "'@x", "'\tx"]


def test_packed_csv_is_the_same_csv(counter: Counter) -> None:
    form = counter.new_form()
    counter.answer(form, ANSWERS)
    assert unpacked(counter.run(form, format="csv.gz")) == counter.run(form)


def test_packed_csv_is_one_member_and_so_is_each_of_its_parts(counter: Counter) -> None:
    form = counter.new_form()
    counter.answer(form, ({"age": n} for n in range(45_000)))
    plain = counter.run(form)
    job_id = counter.start(form, format="csv.gz")
    counter.rests(job_id)
    packed = counter.result(job_id)
    assert first_member(packed) == plain
    header, parts = plain[: plain.index(b"\n") + 1], counter.manifest(job_id)["parts"]
    assert len(parts) > 1
    pieces = [counter.part(job_id, part) for part in parts]
    assert header + b"".join(map(first_member, pieces)) == plain
    for start, end in ((0, 1), (5, 40), (len(packed) // 2, len(packed) // 2 + 9), (len(packed) - 12, len(packed))):
        assert counter.result_range(job_id, start, end) == packed[start:end]


def test_json_lines_keep_types_and_nesting(counter: Counter) -> None:
    form = counter.new_form()
    stored = counter.answer(form, ANSWERS)
    rows = json_rows(counter.run(form, format="jsonl"))
    assert ids(rows) == ids(stored)
    assert [row["name"] for row in rows] == [document.get("name") for document in stored]
    assert [row["age"] for row in rows] == [31, None, None, 2**40, "old", 3.7]
    assert [row["more"] for row in rows] == [None, {"a": [1, {"b": None}], "é": "x"}, None, "text", None, [1, 2]]
    assert rows[0]["born_on"] == "1986-02-28"
    assert "unknown" not in rows[3]


def test_parquet_is_one_file_with_types_and_says_what_did_not_fit(counter: Counter) -> None:
    form = counter.new_form()
    stored = counter.answer(form, ANSWERS)
    job_id = counter.start(form, format="parquet")
    counter.rests(job_id)
    found = table(counter.result(job_id)).to_pydict()
    assert found["response_id"] == ids(stored)
    assert found["age"] == [31, None, None, 2**40, None, None]
    assert found["height"] == [1.5, 2.0, None, -0.25, None, None]
    assert found["submitted_at"][0] == T0
    assert found["more"][1] == '{"a":[1,{"b":null}],"é":"x"}'
    assert counter.manifest(job_id)["misfits"] == {"age": 2, "born_on": 1, "height": 1, "married": 1, "phone": 1}


def test_no_responses_are_a_header_and_nothing_more(counter: Counter) -> None:
    form = counter.new_form()
    assert counter.run(form) == (",".join(FIELDS) + "\n").encode()
    assert first_member(counter.run(form, format="csv.gz")) == (",".join(FIELDS) + "\n").encode()
    assert counter.run(form, format="jsonl") == b""
    empty = table(counter.run(form, format="parquet"))
    assert (empty.num_rows, empty.column_names) == (0, list(FIELDS))


def test_chosen_columns_come_in_their_order(counter: Counter) -> None:
    form = counter.new_form()
    counter.answer(form, ANSWERS)
    data = counter.run(form, columns=["age", "response_id"])
    assert data.startswith(b"age,response_id\n31,")
    assert counter.run(form, columns=["age"]).splitlines()[1:4] == [b"31", b'""', b'""']


def test_a_job_counts_the_rows_that_it_wrote(counter: Counter) -> None:
    form = counter.new_form()
    counter.answer(form, ({"age": n} for n in range(25_000)))
    job = counter.rests(counter.start(form, filters=[{"field": "age", "op": "lt", "value": 7}]))
    assert (job.progress.total, job.progress.succeeded, job.progress.done) == (7, 7, 7)
    assert job.status == "Succeeded: 7 of 7 rows written."
    whole = counter.rests(counter.start(form))
    assert (whole.progress.total, whole.progress.succeeded, whole.progress.percent) == (25_000, 25_000, 100.0)


def test_dates_are_from_inclusive_to_exclusive_and_what_came_late_is_not_in_it(counter: Counter) -> None:
    form = counter.new_form()
    late = datetime.now(UTC) + timedelta(seconds=5)
    moments = [
        datetime(2016, 12, 31, 23, 59, 59, 999000, tzinfo=UTC),
        datetime(2017, 1, 1, tzinfo=UTC),
        datetime(2017, 6, 1, tzinfo=UTC),
        late,
    ]
    stored = counter.answer(form, ({"submitted_at": at} for at in moments))
    assert ids(csv_rows(counter.run(form, from_date="2017-01-01", to_date="2017-06-01"))) == ids(stored[1:2])
    assert ids(csv_rows(counter.run(form, from_date="2017-01-01"))) == ids(stored[1:3])
    assert ids(csv_rows(counter.run(form, to_date="2017-01-01T05:30:00.001+05:30"))) == ids(stored[:2])
