"""Teams through the API and a real worker: made, refused, shifted, stopped, taken back."""

import io
from collections import Counter
from typing import Any

import pytest

from collect.api.jobs import Job
from collect.client.errors import InvalidRequest, Refused
from collect.demo.teams import Roster, write_csv
from integration.teams.desk import FORM, Desk, Office, file_of
from support.waiting import eventually

PHONE, OTHER = "9845012345", "9845012346"


def values_of(row: dict[str, str]) -> dict[str, Any]:
    return {
        "team_name": row["team_name"],
        "description": None,
        "managers": [f"+91{row['manager_phone']}"] if row.get("manager_phone") else [],
        "members": [f"+91{phone}" for phone in row.get("member_phones", "").split(";") if phone],
        "form_ids": [],
    }


def managers(office: Office) -> dict[str, str | None]:
    return {name: next(iter(values["managers"]), None) for name, values in office.teams().items()}


def is_whole(office: Office, roster: Roster) -> None:
    """Each team that is there has all its links, and everybody whom it names is somebody."""
    expected = {row[0]: row for row in roster.rows()}
    people = office.people()
    for name, values in office.teams().items():
        _, description, _, manager, members, form_ids = expected[name]
        assert values == {
            "team_name": name,
            "description": description,
            "managers": [f"+91{manager}"],
            "members": [f"+91{phone}" for phone in members.split(";")],
            "form_ids": form_ids.split(";"),
        }
        assert people.issuperset([*values["managers"], *values["members"]])


def running_at(office: Office, job: Job, *, done: int) -> Job:
    """The job once it has written so many teams, and not all."""

    def far_enough() -> Job | None:
        found = office.client.jobs.get(job.id)
        return found if found.progress.done >= done else None

    found = eventually(far_enough, seconds=30, what=f"{done} teams are written")
    assert found is not None
    assert found.state.value == "running"
    return found


def test_ten_thousand_are_not_needed_to_see_that_all_are_made_and_all_are_taken_back(office: Office) -> None:
    roster = Roster(teams=700)
    job = office.run(roster)
    assert (job.state.value, job.progress.succeeded, job.progress.rejected) == ("succeeded", 700, 0)
    assert len(office.teams()) == 700
    is_whole(office, roster)
    shown = office.client.teams.get("Team Purnia 1")
    assert [person.phone for person in shown.managers] == office.teams()["Team Purnia 1"]["managers"]
    assert len(list(office.client.teams.list(name="Team Purnia "))) == sum(
        name.startswith("Team Purnia ") for name in office.teams()
    )
    undone = office.undo(job)
    assert (undone.state.value, undone.progress.undone, undone.conflicts) == ("undone", 700, 0)
    assert office.everything() == {}


BAD: list[tuple[dict[str, str], str]] = [
    ({"manager_phone": "12345"}, "not_a_phone"),
    ({"manager_phone": "9.84E+09"}, "phone_in_scientific_notation"),
    ({"member_phones": f"{PHONE};000;{OTHER}"}, "not_a_phone"),
    ({"manager_phone": PHONE, "country_code": ""}, "country_code_missing"),
    ({"manager_phone": PHONE, "country_code": "999"}, "unknown_country_code"),
    ({"form_ids": "no-such-form"}, "unknown_form"),
    ({"team_name": "   "}, "required"),
    ({"team_name": "a\u200bb"}, "bad_name"),
    ({"team_name": ""}, "required"),
    ({"team_name": "x" * 201}, "bad_name"),
    ({"member_phones": ";".join(f"98450{n:05}" for n in range(1_001))}, "too_many_members"),
    ({"description": "a\0b"}, "nul_character"),
    ({"team_name": "Good", "manager_phone": OTHER}, "duplicate_key"),
]


def test_each_bad_row_is_rejected_whole_with_its_reason_and_the_preview_says_so_before(office: Office) -> None:
    good = [
        {"team_name": "Good", "manager_phone": PHONE},
        {"team_name": "Also good", "member_phones": f"{PHONE};{PHONE}"},
    ]
    bad = [{"team_name": f"Bad {n}", **cells} for n, (cells, _) in enumerate(BAD)]
    data = file_of([*good, *bad])
    expected = {row: code for row, (_, code) in enumerate(BAD, start=3)}

    seen = office.preview(data)
    assert {item.row: item.code for item in seen.rejects.items} == expected
    assert seen.teams is not None
    assert (seen.teams.created, seen.teams.rejected, seen.teams.new_members) == (2, len(BAD), 1)

    job = office.run(data)
    assert office.rejected(job) == expected
    assert set(office.teams()) == {"Good", "Also good"}
    assert office.people() == {f"+91{PHONE}"}
    assert (job.progress.succeeded, job.progress.rejected) == (2, len(BAD))
    for reject in office.client.jobs.rejects(job.id):
        assert reject.message.endswith((".", "x")), reject.message


def test_a_list_with_a_title_blank_lines_and_quotes_is_read_without_losing_a_team(office: Office) -> None:
    lines = [
        "Teams of the north",
        "team_name,manager_phone,country_code,description,,",
        f"North,{PHONE},IN,a,,",
        ",,,,,",
        f'"South"x,{PHONE},IN,b,,',
        f'East,{PHONE},IN,"say "hi" now"',
        f'West,{PHONE},IN,"c',
        f"Hill,{PHONE},IN,d",
        f'Dale,{OTHER},IN,e"',
    ]
    data = "\n".join(lines).encode()
    assert "set skip_lines to 1" in office.preview(data).errors[0].message
    seen = office.preview(data, skip_lines=1)
    warned = {warning.code: warning.message for warning in seen.warnings}
    assert set(warned) >= {"quoted_lines", "blank_rows"}
    assert f"line 8, 'Hill,{PHONE},IN,d'" in warned["quoted_lines"]
    assert (seen.total_rows, seen.blank_rows) == (4, 1)
    assert {item.row: item.code for item in seen.rejects.items} == {2: "text_after_quote", 3: "text_after_quote"}
    job = office.run(data, skip_lines=1, max_rejected={"rows": 9})
    assert set(office.teams()) == {"North", "West"}
    assert office.rejected(job) == {2: "text_after_quote", 3: "text_after_quote"}
    assert job.progress.blank_rows == 1
    swallowed = office.preview("\n".join([*lines[1:], f'Lake,"{PHONE}"0,IN,f']).replace(',"c', ",c").encode())
    assert swallowed.errors == []
    refused = office.preview("\n".join([*lines[1:7], f'Lake,"{PHONE}",IN,f']).encode())
    assert [error.code for error in refused.errors] == ["text_after_quote"]
    assert "row 4, column 4, before 'c" in refused.errors[0].message


def test_a_team_that_is_there_is_left_by_create_and_changed_by_upsert_and_that_is_said_before(office: Office) -> None:
    office.run(file_of([{"team_name": "A", "manager_phone": PHONE, "description": "first"}]))
    before = office.everything()
    again = office.send(file_of([{"team_name": "A", "manager_phone": OTHER}, {"team_name": "B"}]))

    seen = office.preview(again)
    assert seen.teams is not None
    assert (seen.teams.created, seen.teams.changed, seen.rejects.rejected_rows) == (1, 0, 1)
    assert "stays as it is, and its row is rejected" in " ".join(seen.effects)
    created = office.run(again)
    assert office.rejected(created) == {1: "duplicate_key"}
    assert managers(office) == {"A": f"+91{PHONE}", "B": None}
    office.undo(created)
    assert office.everything() == before

    seen = office.preview(again, mode="upsert")
    assert seen.teams is not None
    assert (seen.teams.created, seen.teams.changed, seen.teams.managers_changed) == (1, 1, 1)
    changed = office.run(again, mode="upsert")
    assert office.teams()["A"] == values_of({"team_name": "A", "manager_phone": OTHER})
    assert (changed.progress.succeeded, office.undo(changed).conflicts) == (2, 0)
    assert office.everything() == before


def test_people_whom_the_file_does_not_name_stay_and_are_said_to_be_in_several_teams(office: Office) -> None:
    office.run(file_of([{"team_name": "A", "member_phones": PHONE}, {"team_name": "Z", "member_phones": PHONE}]))
    seen = office.preview(f"team_name,country_code,manager_phone\nA,91,{OTHER}\n".encode(), mode="upsert")
    assert seen.teams is not None
    assert seen.teams.phones_in_several_teams == 1


def test_of_teams_with_very_many_people_a_preview_looks_at_fewer(office: Office) -> None:
    seen = office.preview(Roster(teams=9_000, members_each=96))
    assert seen.teams is not None
    assert seen.total_rows == 9_000
    assert 0 < seen.teams.examined_rows == seen.rejects.sampled_rows < 9_000
    assert seen.teams.created == seen.teams.examined_rows


@pytest.mark.parametrize(("mode", "wins"), [("create", PHONE), ("upsert", OTHER)])
def test_the_same_team_twice_in_a_file(office: Office, mode: str, wins: str) -> None:
    rows = [{"team_name": " Twice ", "manager_phone": PHONE}, {"team_name": "Twice", "manager_phone": OTHER}]
    job = office.run(file_of(rows), mode=mode)
    assert managers(office) == {"Twice": f"+91{wins}"}
    assert office.rejected(job) == ({2: "duplicate_key"} if mode == "create" else {})
    office.undo(job)
    assert office.everything() == {}


def test_the_same_team_in_two_files_at_once(office: Office) -> None:
    first = office.start(Roster(teams=300), max_rows_per_second=400)
    with pytest.raises(Refused) as refused:
        office.start(Roster(teams=300))
    assert (refused.value.status, refused.value.holder) == (409, first.id)
    second = office.start(Roster(teams=320), on_conflict="queue")
    assert second.waiting_for == first.id
    assert "which holds the teams" in second.status
    assert office.preview(Roster(teams=1)).holder is not None
    assert office.rest(first).progress.succeeded == 300
    assert Counter(office.rejected(office.rest(second)).values()) == {"duplicate_key": 300}
    assert len(office.teams()) == 320
    is_whole(office, Roster(teams=320))


def test_one_that_supersedes_another_leaves_nothing_of_it(office: Office) -> None:
    wrong = office.start(Roster(teams=2_000, first=5_000), max_rows_per_second=500)
    running_at(office, wrong, done=1)
    right = office.run(Roster(teams=50), on_conflict="supersede", supersedes=wrong.id)
    assert right.progress.succeeded == 50
    assert office.rest(wrong).state.value == "terminated"
    is_whole(office, Roster(teams=50))
    assert len(office.teams()) == 50
    assert len(office.people()) == 300


def test_a_manager_who_is_also_a_member_is_one_person(office: Office) -> None:
    job = office.run(file_of([{"team_name": "A", "manager_phone": PHONE, "member_phones": f"{OTHER};{PHONE}"}]))
    assert office.teams()["A"]["managers"] == [f"+91{PHONE}"]
    assert office.people() == {f"+91{PHONE}", f"+91{OTHER}"}
    office.undo(job)
    assert office.everything() == {}


def test_stopping_keeps_whole_teams_and_undoing_then_takes_all_of_them_back(office: Office) -> None:
    office.run(file_of([{"team_name": "Team Purnia 1", "manager_phone": PHONE}]))
    before = office.everything()
    roster = Roster(teams=5_000)
    job = office.start(roster, mode="upsert", max_rows_per_second=1_000)
    running_at(office, job, done=500)
    stopped = office.client.jobs.stop(job.id, reason="enough")
    assert stopped.state.value == "stopped"
    kept = office.teams()
    assert 500 <= len(kept) < 5_000
    is_whole(office, roster)
    assert stopped.progress.succeeded == len(kept)
    office.undo(job)
    assert office.everything() == before


def test_terminating_takes_back_made_and_changed_teams_and_lists_what_others_did_meanwhile(office: Office) -> None:
    office.run(file_of([{"team_name": "Team Purnia 1", "manager_phone": PHONE}]))
    before = office.everything()
    job = office.start(Roster(teams=5_000), mode="upsert", max_rows_per_second=1_000)
    running_at(office, job, done=1)
    changed, made = (f"{office.org}|{name}" for name in ("Team Purnia 1", list(office.teams())[5]))
    office.desk.db.teams.delete_many({"_id": {"$in": [changed, made]}})
    preview = office.client.jobs.will_undo(job.id, "terminate")
    assert preview.will_delete > 0
    office.client.jobs.terminate(job.id, reason="wrong")
    ended = office.rest(job)
    assert (ended.state.value, ended.conflicts) == ("terminated", 1)
    (conflict,) = office.client.jobs.conflicts(job.id)
    assert (conflict.id, conflict.why) == (changed, "Deleted since.")
    assert office.everything() == {name: there for name, there in before.items() if there["_id"] != changed}
    office.forget()  # what somebody did by hand is rightly found to be wrong


@pytest.mark.parametrize(("mode", "follows"), [("create", "are rejected"), ("upsert", "overwrites")])
def test_names_that_stand_twice_are_said_before(office: Office, mode: str, follows: str) -> None:
    seen = office.preview(
        file_of([{"team_name": "A"}, {"team_name": "B"}, {"team_name": " a"}, {"team_name": "A "}]), mode=mode
    )
    (warning,) = [warning for warning in seen.warnings if warning.code == "duplicate_keys"]
    assert warning.evidence["rows"] == [1, 4]
    assert follows in warning.message


def test_a_column_that_slipped_is_said_before_and_corrected_by_the_suggestion(office: Office) -> None:
    right = Roster(teams=600)
    office.run(right)
    before, people = managers(office), office.people()
    slipped = office.send(Roster(teams=600, shift={"manager_phone": 10}))

    seen = office.preview(slipped, mode="upsert")
    (warning,) = [warning for warning in seen.warnings if warning.code == "column_shifted"]
    assert warning.suggestion == {"column_shift": {"manager_phone": -10}}
    assert warning.columns == ["manager_phone"]
    assert seen.teams is not None
    assert seen.teams.managers_changed == 600

    wrong = office.run(slipped, mode="upsert")
    assert managers(office) != before
    office.undo(wrong)
    assert managers(office) == before

    again = office.client.jobs.restart(wrong.id, reason="as suggested", params=warning.suggestion)
    corrected = office.rest(again)
    assert corrected.parent_id == wrong.id
    assert corrected.params["mode"] == "upsert"
    assert office.rejected(corrected) == dict.fromkeys(range(591, 601), "no_cell")
    assert managers(office) == before
    assert office.people() == people
    assert office.preview(slipped, mode="upsert", **warning.suggestion).warnings == []


def test_another_organisation_sees_and_changes_nothing_of_it(desk: Desk, office: Office) -> None:
    other = desk.office()
    row = [{"team_name": "Same", "manager_phone": PHONE, "form_ids": FORM}]
    job, others = office.start(file_of(row)), other.start(file_of(row))
    assert office.rest(job).progress.succeeded == other.rest(others).progress.succeeded == 1
    office.undo(job)
    assert office.everything() == {}
    assert set(other.teams()) == {"Same"}
    assert other.people() == {f"+91{PHONE}"}


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"mode": "insert"}, "params.mode"),
        ({"invite": True}, "params.invite"),
        ({"column_shift": {"no_such": 1}}, "params.column_shift.no_such.[key]"),
        ({"column_shift": {"manager_phone": 1.5}}, "params.column_shift.manager_phone"),
        ({"column_shift": {"manager_phone": 10**9}}, "params.column_shift.manager_phone"),
        ({"dataset": "baseline"}, "params.dataset"),
    ],
)
def test_params_that_are_not_a_teams_jobs_are_refused(office: Office, params: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        office.start(file_of([{"team_name": "A"}]), **params)
    assert [error.field for error in refused.value.problem.errors] == [field]


def test_a_file_that_is_no_list_of_teams_is_refused_with_the_columns_that_there_are(office: Office) -> None:
    job = office.run(b"name;phone\nA;1\n")
    assert job.state.value == "failed"
    assert job.reason is not None
    assert job.reason.code == "unknown_column"
    assert "team_name" in job.reason.message
    seen = office.preview(b"team_name,description\n")
    assert [error.code for error in seen.errors] == ["no_rows"]


def test_the_hint_of_a_job_that_pauses_itself_says_which_column_has_slipped(office: Office) -> None:
    office.run(Roster(teams=200))
    text = io.StringIO()
    write_csv(Roster(teams=200, shift={"manager_phone": 10}), text)
    lines = text.getvalue().splitlines(keepends=True)
    spoilt = [line.replace(FORM, "no-such-form") if n % 3 == 0 else line for n, line in enumerate(lines)]
    job = office.run("".join(spoilt).encode(), mode="upsert", max_rejected={"percent": 20})
    assert (job.state.value, job.reason and job.reason.code) == ("paused", "rejections_over_limit")
    assert job.reason is not None
    assert "form_ids: unknown_form" in (job.reason.hint or "")
    assert "manager_phone" in (job.reason.hint or "")
    office.client.jobs.terminate(job.id, reason="wrong")
    assert office.rest(job).conflicts == 0


def test_what_the_organisation_may_is_what_its_teams_jobs_may(office: Office) -> None:
    office.desk.db.orgs.update_one({"_id": office.org}, {"$set": {"limits.undo_days": 0, "limits.concurrent_jobs": 1}})
    first = office.start(Roster(teams=400), max_rows_per_second=500)
    second = office.start(Roster(teams=10, first=1_000), on_conflict="queue")
    assert office.rest(first).ended_at is not None
    ended = office.rest(second)
    assert ended.progress.succeeded == 10
    assert "undo" not in ended.allowed_verbs
    with pytest.raises(Refused, match="Undo was possible until"):
        office.client.jobs.undo(second.id, reason="too late")
    assert len(office.teams()) == 410
