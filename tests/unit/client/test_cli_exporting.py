"""Filters and columns as they are typed, and what the command sends for them."""

import json
from typing import Any

import click
import pytest

from collect.client.cli.exporting import Filter, Names
from unit.client.commandline import run, sent
from unit.client.scripted import Scripted, answering, job


@pytest.mark.parametrize(
    ("text", "field", "op", "value"),
    [
        ("age gte 18", "age", "gte", 18),
        ("latitude lt -1.5", "latitude", "lt", -1.5),
        ("district eq Pune", "district", "eq", "Pune"),
        ("name eq Asha  Rao ", "name", "eq", "Asha  Rao "),
        ('respondent_id eq "18"', "respondent_id", "eq", "18"),
        ("consent eq true", "consent", "eq", True),
        ("submitted_at gte 2017-08-01", "submitted_at", "gte", "2017-08-01"),
        ("district in Pune, Nashik", "district", "in", ["Pune", "Nashik"]),
        ("age in 1,2", "age", "in", [1, 2]),
        ('district in ["a,b"]', "district", "in", ["a,b"]),
        ("flag_reason exists", "flag_reason", "exists", True),
        ("flag_reason exists false", "flag_reason", "exists", False),
    ],
)
def test_a_filter_is_three_words(text: str, field: str, op: str, value: Any) -> None:
    assert Filter().convert(text, None, None) == {"field": field, "op": op, "value": value}


@pytest.mark.parametrize("text", ["", "age", "age gte"])
def test_anything_else_is_no_filter(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Filter().convert(text, None, None)


def test_columns_stand_between_commas() -> None:
    assert Names().convert("a, b,", None, None) == ["a", "b"]


def test_an_export_is_asked_for_with_what_was_given_and_nothing_else() -> None:
    gateway = Scripted(answering(202, job(kind="export", state="queued")))
    options = ["--from", "2017-08-01", "--filter", "age gte 18", "--filter", "district eq Pune", "--columns", "a,b"]
    more = ["--format", "csv.gz", "--confirm", "never", "--reason", "weekly", "--no-formula-safe"]
    code, out, _ = run(gateway, "jobs", "create", "export", "--form", "f", *options, *more, "--json")
    assert (code, json.loads(out)["id"]) == (0, "01kj")
    filters = [{"field": "age", "op": "gte", "value": 18}, {"field": "district", "op": "eq", "value": "Pune"}]
    assert sent(gateway) == {
        "kind": "export",
        "params": {
            "form_id": "f",
            "from_date": "2017-08-01",
            "filters": filters,
            "columns": ["a", "b"],
            "format": "csv.gz",
            "formula_safe": False,
        },
        "reason": "weekly",
        "confirm": "never",
    }


def test_little_is_sent_when_little_was_given() -> None:
    gateway = Scripted(answering(202, job(kind="export", state="queued")))
    run(gateway, "create", "export", "--form", "f")
    assert sent(gateway) == {"kind": "export", "params": {"form_id": "f"}}


def test_a_preview_says_how_much_it_is_and_what_is_unusual() -> None:
    warning = {"code": "range_unusual", "message": "Far above.", "suggestion": {"from_date": "2017-08-01"}}
    found = {
        "ok": True, "total_rows": 20_000_000, "exact": False, "bytes": 6_300_000_000, "seconds": 100.0,
        "confirm_required": True, "warnings": [warning], "columns": [{"name": "age", "type": "integer"}],
    }  # fmt: skip
    gateway = Scripted(answering(200, found))
    code, out, _ = run(gateway, "create", "export", "--form", "f", "--preview")
    assert code == 0
    assert "about 20,000,000 rows, about 6,300.0 MB, about 100 s" in out
    assert "It would wait for a confirmation." in out
    assert "Warning: Far above.\n  add --from 2017-08-01\n" in out


def test_a_watched_export_that_has_to_be_confirmed_is_not_what_was_wished() -> None:
    reason = {"code": "confirmation_required", "message": "20 rows; the threshold is 10.", "hint": "Confirm it."}
    waiting = job(kind="export", state="awaiting_confirmation", reason=reason)
    code, out, _ = run(
        Scripted(answering(202, waiting), answering(200, waiting)), "create", "export", "--form", "f", "--watch"
    )
    assert code == 1
    assert "the threshold is 10" in out
    assert "Confirm it." in out


def test_how_values_are_written_is_asked_for_by_options() -> None:
    gateway = Scripted(answering(202, job(kind="export", state="queued")))
    options = ["--time-zone", "Asia/Kolkata", "--delimiter", "tab", "--bom", "--null-text", "NA", "--split-multiple"]
    code, _, _ = run(gateway, "jobs", "create", "export", "--form", "f", *options, "--json")
    assert code == 0
    style = {"time_zone": "Asia/Kolkata", "delimiter": "\t", "bom": True, "null_text": "NA", "split_multiple": True}
    assert sent(gateway)["params"] == {"form_id": "f", **style}
