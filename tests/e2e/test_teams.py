"""Teams from the command line: a list that has slipped, rejected rows that are corrected, another file instead."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from e2e.shell import Town

TEAMS = 300
Row = dict[str, str]


def managers(path: Path) -> dict[str, list[str]]:
    """Each team's manager, as the file has it."""
    with path.open(encoding="utf-8", newline="") as lines:
        return {row["team_name"]: [f"+{row['country_code']}{row['manager_phone']}"] for row in csv.DictReader(lines)}


def stored(town: Town, path: Path) -> dict[str, list[str]]:
    """Each of these teams' managers, as they are in the database."""
    found = town.db.teams.find({"org_id": "labs", "values.team_name": {"$in": list(managers(path))}})
    return {team["values"]["team_name"]: team["values"]["managers"] for team in found}


def everything(town: Town) -> list[dict[str, Any]]:
    return [*town.db.teams.find().sort("_id", 1), *town.db.members.find().sort("_id", 1)]


def change(path: Path, correct: Callable[[Row], Row]) -> Path:
    """The file, with each of its rows corrected."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = [correct(row) for row in csv.DictReader(lines)]
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_list_that_has_slipped_is_corrected_by_the_command_that_starts_it(town: Town, folder: Path) -> None:
    right = town.roster(folder / "right.csv", rows=TEAMS, first=1)
    slipped = town.roster(folder / "slipped.csv", rows=TEAMS, first=1, shift="manager_phone=10")
    made = town.collect("jobs", "create", "teams", right, "--reason", "Round 1", "--wait", "--json")
    assert (made.code, made.json["progress"]["succeeded"]) == (0, TEAMS), made.err
    assert stored(town, right) == managers(right)

    preview = town.collect("jobs", "preview", slipped, "--kind", "teams", "--mode", "upsert")
    assert preview.code == 0, preview.err
    assert "add --column-shift manager_phone=-10, or --apply-suggestions" in preview.out

    done = town.collect("create", "teams", slipped, "--mode", "upsert", "--apply-suggestions", "--wait", "--json")
    assert done.code == 0, done.err
    assert "Applied: --column-shift manager_phone=-10" in done.err
    assert stored(town, right) == managers(right)
    rejects = town.collect("rejects", done.json["id"], "--json").json
    assert [(reject["row"], reject["code"]) for reject in rejects] == [
        (row, "no_cell") for row in range(TEAMS - 9, TEAMS + 1)
    ]


def test_rejected_rows_run_once_more_in_the_same_job_when_they_are_corrected(town: Town, folder: Path) -> None:
    right = town.roster(folder / "right.csv", rows=TEAMS, first=1_001)
    phones = {name: manager for name, (manager,) in managers(right).items()}

    def spoil(row: Row) -> Row:
        return row | ({"manager_phone": "12345"} if row["team_name"].endswith("7") else {})

    wrong = change(town.roster(folder / "wrong.csv", rows=TEAMS, first=1_001), spoil)
    started = town.collect("create", "teams", wrong, "--wait", "--json")
    job_id = started.json["id"]
    assert (started.code, started.json["progress"]["rejected"]) == (0, TEAMS // 10), started.err
    assert town.collect("rejects", job_id, "-o", folder / "rejects.csv").code == 0

    def put_right(row: Row) -> Row:
        return row | {"manager_phone": phones[row["team_name"]].removeprefix("+91")}

    change(folder / "rejects.csv", put_right)
    corrected = town.collect(
        "jobs", "correct", job_id, folder / "rejects.csv", "--reason", "Asked them", "--wait", "--json"
    )

    assert corrected.code == 0, corrected.err
    assert (corrected.json["id"], corrected.json["state"]) == (job_id, "succeeded")
    assert (corrected.json["progress"]["succeeded"], corrected.json["progress"]["rejected"]) == (TEAMS, 0)
    assert stored(town, right) == managers(right)
    shown = town.collect("teams", "show", next(iter(phones)), "--json").json
    assert [manager["phone"] for manager in shown["managers"]] == [next(iter(phones.values()))]


def test_a_job_that_was_taken_back_begins_again_with_another_file(town: Town, folder: Path) -> None:
    before = everything(town)
    right = town.roster(folder / "right.csv", rows=TEAMS, first=2_001)
    wrong = town.roster(folder / "wrong.csv", rows=TEAMS, first=2_001, shift="manager_phone=3")
    started = town.collect("create", "teams", wrong, "--wait", "--json")
    job_id = started.json["id"]
    undone = town.collect("undo", job_id, "--reason", "Slipped by three", "--wait", "--json")
    assert undone.code == 0, undone.err
    assert everything(town) == before

    again = town.collect("jobs", "restart", job_id, "--file", right, "--reason", "The right list", "--wait", "--json")

    assert again.code == 0, again.err
    assert (again.json["parent_id"], again.json["progress"]["succeeded"]) == (job_id, TEAMS)
    assert stored(town, right) == managers(right)
    listed = town.collect("teams", "list", "--name", next(iter(managers(right)))[:10], "--json", "--limit", 5)
    assert (listed.code, len(listed.json)) == (0, 5)


def test_rows_of_an_upload_are_corrected_as_well(town: Town, folder: Path) -> None:
    path = town.csv(folder / "a.csv", rows=700, first=700_001, rejects="1/100")
    right = town.csv(folder / "right.csv", rows=700, first=700_001)
    with right.open(encoding="utf-8", newline="") as lines:
        cells = dict(enumerate(csv.DictReader(lines), 1))
    job_id = town.upload(path)
    assert town.collect("watch", job_id).code == 0
    town.collect("rejects", job_id, "-o", folder / "rejects.csv")

    change(folder / "rejects.csv", lambda row: row | cells[int(row["row"])])
    corrected = town.collect("correct", job_id, folder / "rejects.csv", "--wait", "--json")

    assert corrected.code == 0, corrected.err
    assert (corrected.json["progress"]["succeeded"], corrected.json["progress"]["rejected"]) == (700, 0)
    assert town.written(job_id) == 700


def test_the_stores_are_sound_after_all_of_this(town: Town) -> None:
    checked = town.admin("check", "--wait", 60, "--json")

    assert (checked.code, checked.json) == (0, []), checked.err
