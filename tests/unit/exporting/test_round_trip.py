"""What an export has written can be uploaded again, and gives the same values: for every type, in every style."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect.checks import guarded_text, sampling
from collect.csv import guards
from collect.csv.cell_rules import CellRules
from collect.csv.validation import Validator
from collect.exporting import formats
from collect.exporting.selection import select
from collect.jobs.forms import FieldType, Form, FormField
from collect.jobs.template import Template
from support.in_memory import MemoryBlobs

NOW = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS: list[dict[str, Any]] = [
    {"name": "k", "type": "string"},
    {"name": "text", "type": "string"},
    {"name": "whole", "type": "integer"},
    {"name": "real", "type": "number"},
    {"name": "truth", "type": "boolean"},
    {"name": "day", "type": "date"},
    {"name": "moment", "type": "datetime"},
    {"name": "phone", "type": "phone", "country": "IN"},
    {"name": "latitude", "type": "latitude"},
    {"name": "longitude", "type": "longitude"},
    {"name": "choice", "type": "enum", "values": ["yes", "no", "=maybe", "a,b"]},
]
NAMES = [column["name"] for column in COLUMNS]
FORM = Form(
    org_id="labs",
    form_id="f",
    title="f",
    version=1,
    fields=tuple(FormField(name=column["name"], type=FieldType(column["type"])) for column in COLUMNS),
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAYS = st.integers(-719_162, 2_932_896)
texts = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    st.sampled_from(
        (
            "=1+1",
            "'=1+1",
            "''=1",
            "'x",
            "'",
            "+91 94310 00123",
            "'+91 94310 00123",
            "-5",
            "@x",
            "\t=",
            "\r",
            "\n",
            "\r\n",
        )
    ),
    st.sampled_from(
        (" ", "\u00a0", '"', '""', ",", ";", "|", "\ufeff", "NaN", "nan", "NULL", "null", "None", "N/A", "#REF!")
    ),
    st.text("'=+-@\t 19", max_size=6),
)
values: dict[str, st.SearchStrategy[Any]] = {
    "text": texts,
    "whole": st.integers(-(2**63), 2**63 - 1).map(bson.Int64),
    "real": st.floats() | st.integers(-(2**53), 2**53).map(bson.Int64),
    "truth": st.booleans(),
    "day": DAYS.map(lambda n: EPOCH + timedelta(days=n)),
    "moment": st.integers(-62_135_596_800_000, 253_402_300_799_999).map(lambda ms: EPOCH + timedelta(milliseconds=ms)),
    "phone": st.sampled_from(("+919431000123", "+4930901820", "+14155552671")),
    "latitude": st.floats(-90, 90),
    "longitude": st.floats(-180, 180),
    "choice": st.sampled_from(("yes", "no", "=maybe", "a,b")),
}
documents = st.lists(st.fixed_dictionaries({}, optional=values), min_size=1, max_size=6)


def exported(found: list[dict[str, Any]], **params: Any) -> bytes:
    chosen = select({"form_id": "f", **params}, FORM, created_at=NOW)
    keyed = [{"k": f"k{n}", **document} for n, document in enumerate(found)]
    return formats.header(chosen) + formats.render(chosen, [b"".join(map(bson.encode, keyed))]).data


def uploaded(data: bytes, *, null_values: tuple[str, ...] = (), **params: Any) -> Iterator[dict[str, Any]]:
    """The rows as they would be stored. None is rejected."""
    columns = [{**column, "null_values": null_values} for column in COLUMNS]
    template = Template.model_validate({"key": ["k"], "columns": columns})
    blobs = MemoryBlobs()
    blobs.write("file", [data])
    begun = sampling.beginning(blobs, "file", template=template, params=params, most_rows=1_000)
    assert begun is not None
    valid, rejects = Validator(template=template, layout=begun.layout, rules=CellRules.of(params)).validate(begun.lot)
    assert rejects == ()
    for cells in zip(*(valid.columns[name].to_pylist() for name in NAMES), strict=True):
        yield dict(zip(NAMES, cells, strict=True))


def expected(document: dict[str, Any], n: int) -> dict[str, Any]:
    """An upload stores no empty text: it is nothing."""
    return {name: None if document.get(name) == "" else document.get(name) for name in NAMES} | {"k": f"k{n}"}


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and math.isnan(one):
        return isinstance(other, float) and math.isnan(other)
    if isinstance(one, datetime) and isinstance(other, datetime):
        return one.replace(tzinfo=UTC) == other.replace(tzinfo=UTC)
    return bool(one == other)


def is_the_same(found: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    assert len(rows) == len(found)
    for n, (document, row) in enumerate(zip(found, rows, strict=True)):
        wanted = expected(document, n)
        differ = {name: (wanted[name], row[name]) for name in NAMES if not same(wanted[name], row[name])}
        assert differ == {}


@given(
    documents,
    st.sampled_from((",", ";", "\t", "|")),
    st.booleans(),
    st.none() | st.sampled_from(("UTC", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe")),
    st.booleans(),
)
def test_every_value_comes_back(
    found: list[dict[str, Any]], delimiter: str, bom: bool, time_zone: str | None, formula_safe: bool
) -> None:
    data = exported(found, delimiter=delimiter, bom=bom, time_zone=time_zone, formula_safe=formula_safe)
    rows = uploaded(data, delimiter=delimiter, formula_guarded=formula_safe, not_finite=True)
    is_the_same(found, list(rows))


@given(documents, st.sampled_from(("NA", "-", "-99", "NULL", "n/a")))
def test_with_a_text_for_nulls_every_value_comes_back(found: list[dict[str, Any]], null_text: str) -> None:
    found = [{name: value for name, value in each.items() if not _is(value, null_text)} for each in found]
    rows = uploaded(
        exported(found, null_text=null_text), null_values=(null_text,), formula_guarded=True, not_finite=True
    )
    is_the_same(found, list(rows))


def _is(value: Any, null_text: str) -> bool:
    return str(value) == null_text or (isinstance(value, float) and f"{value:g}" == null_text)


@pytest.mark.parametrize("text", ["=1+1", "'=1+1", "''''-x", "'+91 94310 00123", "+919431000123", "'x", "'", "-1.5e4"])
def test_a_guarded_text_is_what_it_was_when_it_is_taken_off(text: str) -> None:
    (row,) = uploaded(exported([{"text": text}]), formula_guarded=True)
    assert row["text"] == text


def test_without_being_told_an_upload_takes_nothing_off_a_text() -> None:
    (row,) = uploaded(exported([{"text": "=1+1"}]))
    assert row["text"] == "'=1+1"


def test_cells_that_look_guarded_are_warned_of_and_the_suggestion_corrects_them() -> None:
    data = exported([{"text": "=1+1"}, {"text": "x"}, {"choice": "=maybe"}], columns=["k", "text"])
    template = Template.model_validate({"key": ["k"], "columns": COLUMNS})
    blobs = MemoryBlobs()
    blobs.write("file", [data])
    begun = sampling.beginning(blobs, "file", template=template, params={}, most_rows=10)
    assert begun is not None
    sampled = sampling.columns(begun.opened, begun.layout, template, begun.records, CellRules())
    (warning,) = guarded_text.find(sampled)
    assert (warning.code, warning.columns, warning.suggestion) == ("guarded_text", ("text",), {"formula_guarded": True})
    assert guarded_text.find([column for column in sampled if column.column.name == "k"]) == []


@pytest.mark.parametrize("text", ["'=x", "''=x", "=x", "'x", "x", "", "'\t", "-1"])
def test_what_is_typed_into_a_guarded_file_is_read_as_it_was_typed(text: str) -> None:
    assert guards.taken_off(pa.array([guards.typed(text)])).to_pylist() == [text]
