"""Jobs that read a file, as they are typed: what the command sends, and what it says of a preview."""

import json
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect.client.cli import file_options, suggestions
from collect.client.cli.parameters import Mapping, Shift
from unit.client.commandline import run, sent
from unit.client.scripted import FILE, Answer, Scripted, answering, job

UP_BY_TEN = {"column_shift": {"manager_phone": -10}}
EXCHANGED = {"column_map": {"district": "block", "block": "district"}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "teams.csv"
    path.write_text("team_name\nTeam Pune\n")
    return path


def stored(file_id: str = "01kf") -> Answer:
    return answering(201, {**FILE, "id": file_id})


def previewed(*warnings: dict[str, Any], **more: Any) -> Answer:
    return answering(200, {"ok": True, "total_rows": 10_000, "warnings": list(warnings), "file": FILE, **more})


def warning(code: str, suggestion: dict[str, Any] | None) -> dict[str, Any]:
    suggested = {} if suggestion is None else {"suggestion": suggestion}
    return {"code": code, "message": "Something slipped.", **suggested}


def test_teams_are_asked_for_with_what_was_given_and_nothing_else(path: Path) -> None:
    gateway = Scripted(stored(), answering(202, job(kind="teams", state="queued")))
    how = ("--mode", "upsert", "--column-map", "Chef=manager_phone", "--column-map", "Notes=")
    which = ("--column-shift", "manager_phone=-10", "--max-rejected", "5%", "--supersedes", "01ka")

    ran = run(gateway, "jobs", "create", "teams", path, *how, *which, "--reason", "Round 2", "--json")

    assert (ran.code, json.loads(ran.out)["id"]) == (0, "01kj")
    assert sent(gateway, 1) == {
        "kind": "teams",
        "params": {
            "file_id": "01kf",
            "mode": "upsert",
            "column_map": {"Chef": "manager_phone", "Notes": None},
            "column_shift": {"manager_phone": -10},
            "max_rejected": {"percent": 5.0},
            "supersedes": "01ka",
            "on_conflict": "supersede",
        },
        "reason": "Round 2",
    }


def test_little_is_sent_when_little_was_given(path: Path) -> None:
    gateway = Scripted(stored(), answering(202, job(kind="teams", state="queued")))

    run(gateway, "create", "teams", path)

    assert sent(gateway, 1) == {"kind": "teams", "params": {"file_id": "01kf"}}


def test_a_preview_says_what_would_become_of_the_teams_and_what_to_add_to_the_command(path: Path) -> None:
    teams = {
        "created": 3, "changed": 9_990, "unchanged": 7, "rejected": 0, "examined_rows": 10_000,
        "managers_changed": 9_990, "duplicate_names": 0, "new_members": 15, "phones_in_several_teams": 2,
    }  # fmt: skip
    effects = ["manager_phone replaces the managers."]
    found = previewed(warning("column_shifted", UP_BY_TEN), teams=teams, effects=effects)

    ran = run(Scripted(stored(), found), "jobs", "preview", path, "--kind", "teams", "--mode", "upsert")

    assert ran.code == 0
    assert "teams: 3 would be created, 9,990 changed, 7 left as they are, 0 rejected\n" in ran.out
    assert "people: 15 would be new\nmanagers: 9,990 teams would have others\nphones: 2 would be in" in ran.out
    assert "names:" not in ran.out
    assert "  manager_phone replaces the managers.\n" in ran.out
    assert "Warning: Something slipped.\n  add --column-shift manager_phone=-10, or --apply-suggestions\n" in ran.out


def test_a_preview_asks_for_uploads_into_the_baseline_as_it_always_did(path: Path) -> None:
    gateway = Scripted(stored(), previewed(warning("columns_swapped", EXCHANGED)))

    ran = run(gateway, "preview", path)

    assert sent(gateway, 1) == {"kind": "upload", "params": {"file_id": "01kf", "dataset": "baseline"}}
    assert "  add --column-map district=block --column-map block=district, or --apply-suggestions\n" in ran.out


def test_applied_suggestions_start_the_job_as_the_preview_suggests_and_says_so(path: Path) -> None:
    found = previewed(warning("many_rejects", None), warning("columns_swapped", EXCHANGED))
    gateway = Scripted(stored(), found, answering(202, job()))

    ran = run(gateway, "create", "upload", path, "--dataset", "b", "--column-map", "x=y", "--mend")

    asked, started = sent(gateway, 1)["params"], sent(gateway, 2)["params"]
    assert asked == {"file_id": "01kf", "dataset": "b", "column_map": {"x": "y"}}
    assert started == {**asked, "column_map": {"x": "y", "district": "block", "block": "district"}}
    assert "Something slipped.\nApplied: --column-map district=block --column-map block=district\n" in ran.err


def test_applied_suggestions_change_nothing_but_how_columns_are_read(path: Path) -> None:
    gateway = Scripted(stored(), previewed(warning("duplicate_keys", {"mode": "upsert"})), answering(202, job()))

    ran = run(gateway, "create", "teams", path, "--mend")

    assert sent(gateway, 2)["params"] == {"file_id": "01kf"}
    assert "The preview has no suggestions for columns." in ran.err


def test_a_restart_reads_the_columns_of_the_same_file_otherwise() -> None:
    gateway = Scripted(answering(202, job(parent_id="01ka")))

    run(gateway, "jobs", "restart", "01ka", "--reason", "Ten rows up", "--column-shift", "manager_phone=-10")

    assert sent(gateway) == {"reason": "Ten rows up", "params": UP_BY_TEN}


def test_a_restart_may_have_other_limits_and_is_previewed() -> None:
    gateway = Scripted(answering(202, job(parent_id="01ka")), previewed(warning("rows_of_parent", None)))
    how = ("--priority", "low", "--max-rows-per-second", "20", "--confirm", "never", "--max-rejected", "5")
    asked = {
        "reason": "Slower", "params": {"max_rejected": {"rows": 5}}, "priority": "low", "confirm": "never",
        "max_rows_per_second": 20.0,
    }  # fmt: skip

    run(gateway, "jobs", "restart", "01ka", "--reason", "Slower", *how)
    ran = run(gateway, "jobs", "restart", "01ka", "--reason", "Slower", *how, "--preview")

    assert (sent(gateway), sent(gateway, 1)) == (asked, asked)
    assert (gateway.requests[1].url or "").endswith("/v1/jobs/01ka/restart?validate_only=true")
    assert "Warning: Something slipped." in ran.out


def test_a_restart_with_a_corrected_file_sends_it_first(path: Path) -> None:
    gateway = Scripted(stored("01kg"), answering(202, job(parent_id="01ka")))

    run(gateway, "jobs", "restart", "01ka", "--reason", "Corrected", "--file", path)

    assert sent(gateway, 1) == {"reason": "Corrected", "file_id": "01kg"}


def test_a_restart_that_corrects_looks_at_the_file_of_the_first_job() -> None:
    params = {"file_id": "01kf", "mode": "upsert", "on_conflict": "supersede", "supersedes": "01k0"}
    parent = answering(200, job(id="01ka", kind="teams", state="undone", params=params))
    found = previewed(warning("column_shifted", UP_BY_TEN))
    gateway = Scripted(parent, found, answering(202, job(parent_id="01ka")))

    run(gateway, "restart", "01ka", "--reason", "As suggested", "--mend")

    assert sent(gateway, 1) == {"kind": "teams", "params": {"file_id": "01kf", "mode": "upsert"}}
    assert sent(gateway, 2) == {"reason": "As suggested", "params": UP_BY_TEN}


READING = (
    "--encoding", "cp1252", "--delimiter", "tab", "--no-header", "--skip-lines", "3", "--decimal", ",", "--date-format",
    "%d/%m/%Y", "--date-format", "%d %b %y", "--trim", "--blank", "keep",
)  # fmt: skip
READ_SO = {
    "encoding": "cp1252", "delimiter": "\t", "has_header": False, "skip_lines": 3, "decimal": ",",
    "date_formats": ["%d/%m/%Y", "%d %b %y"], "trim": True, "blank": "keep",
}  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [
        ("create", "upload", "FILE", "--dataset", "b"), ("create", "teams", "FILE"), ("preview", "FILE"),
        ("jobs", "preview", "FILE", "--kind", "teams"), ("jobs", "restart", "01ka", "--reason", "x"),
    ],
)  # fmt: skip
def test_each_command_that_has_a_file_read_says_how(path: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    table = tmp_path / "values.csv"
    table.write_text("Puna,Pune\nNasik,Nashik\n")
    restarts = "restart" in command
    answer = previewed() if "preview" in command else answering(202, job())
    gateway = Scripted(answer) if restarts else Scripted(stored(), answer)

    typed = [path if word == "FILE" else word for word in command]
    ran = run(gateway, *typed, *READING, "--value-map", f"district={table}")

    asked = sent(gateway, 0 if restarts else 1)["params"]
    assert ran.code == 0
    assert {name: asked.get(name) for name in READ_SO} == READ_SO
    assert asked["value_map"] == {"district": {"Puna": "Pune", "Nasik": "Nashik"}}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("tab", "\t"),
        ("\\t", "\t"),
        ("\t", "\t"),
        ("Semicolon", ";"),
        (";", ";"),
        ("comma", ","),
        ("|", "|"),
        ("bar", "|"),
    ],
)
def test_a_delimiter_is_typed_as_itself_or_by_name(typed: str, meant: str) -> None:
    assert file_options.Delimiter().convert(typed, None, None) == meant


def test_a_delimiter_that_is_none_is_wrong_usage(path: Path) -> None:
    with pytest.raises(click.BadParameter, match="use comma, semicolon, tab or bar"):
        run(Scripted(), "create", "teams", path, "--delimiter", "colon")


@given(
    params=st.fixed_dictionaries(
        {},
        optional={
            "encoding": st.sampled_from(["cp1252", "utf-16"]), "delimiter": st.sampled_from([",", ";", "\t", "|"]),
            "has_header": st.booleans(), "skip_lines": st.integers(0, 1_000), "decimal": st.sampled_from([".", ","]),
            "trim": st.booleans(), "blank": st.sampled_from(["clear", "keep"]), "mode": st.just("upsert"),
            "date_formats": st.lists(st.sampled_from(["%d/%m/%Y", "%d %b '%y"]), min_size=1),
            "value_map": st.dictionaries(
                st.sampled_from(["a", "b"]), st.dictionaries(st.text(), st.text(), min_size=1), min_size=1
            ),
        },
    )
)  # fmt: skip
def test_what_is_suggested_is_shown_as_options_that_mean_it(params: dict[str, Any]) -> None:
    words = shlex.split(suggestions.options(params))
    seen: dict[str, Any] = {}

    @click.command()
    @click.option("--mode")
    @file_options.reading
    def command(**given: Any) -> None:
        seen.update(file_options.params(given))

    command.main(words, standalone_mode=False)
    assert seen == params


@given(
    columns=st.dictionaries(st.text(min_size=1), st.one_of(st.none(), st.text("abc_", min_size=1)), min_size=1),
    rows=st.dictionaries(st.text("abc_", min_size=1), st.integers(-50, 50), min_size=1),
)
def test_the_options_that_are_shown_are_read_back_as_the_suggestion(
    columns: dict[str, str | None], rows: dict[str, int]
) -> None:
    words = shlex.split(suggestions.options({"column_map": columns, "column_shift": rows}))
    typed = list(zip(words[::2], words[1::2], strict=True))

    mapped = [Mapping().convert(value, None, None) for option, value in typed if option == "--column-map"]
    moved = [Shift().convert(value, None, None) for option, value in typed if option == "--column-shift"]
    assert (dict(mapped), dict(moved)) == (columns, rows)


@pytest.mark.parametrize("text", ["manager_phone", "manager_phone=up", "=1.5"])
def test_a_shift_is_a_column_and_a_number_of_rows(text: str) -> None:
    with pytest.raises(click.BadParameter, match="COLUMN=ROWS"):
        Shift().convert(text, None, None)
