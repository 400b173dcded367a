"""Rejected teams are summed up, previewed and corrected by their values."""

from integration.teams.desk import FORM, Office

DATA = (
    b"team_name,country_code,manager_phone,form_ids\n"
    b"Team Pune,IN,9431000017,nowhere\n"
    b"Team Nashik,IN,12,\n"
    b"Team Satara,IN,12,nowhere\n"
)


def test_a_map_of_values_corrects_teams_that_name_a_wrong_phone_or_form(office: Office) -> None:
    job = office.run(DATA)
    assert job.progress.rejected == 3
    found = office.client.jobs.rejects_summary(job.id)
    values = {(item.field, value.value): value.count for item in found.items for value in item.values}
    assert values[("form_ids", "nowhere")] >= 1
    assert values[("manager_phone", "12")] == 2
    only_phones = {"manager_phone": {"12": "9431000018"}}
    preview = office.client.jobs.will_correct(job.id, value_map=only_phones)
    assert (preview.rows, [item.row for item in preview.rejects.items]) == (2, [3])
    value_map = {**only_phones, "form_ids": {"nowhere": FORM}}
    office.client.jobs.correct(job.id, value_map=value_map, reason="a test")
    corrected = office.rest(job)
    assert (corrected.progress.succeeded, corrected.progress.rejected) == (3, 0)
    assert sorted(office.teams()) == ["Team Nashik", "Team Pune", "Team Satara"]


def test_a_preview_names_the_team_that_a_corrected_row_would_replace(office: Office) -> None:
    data = b"team_name,country_code,manager_phone\nTeam Pune,IN,12\nTeam Pune,IN,9431000017\n"
    job = office.run(data)
    rows = [{"row": 1, "values": {"manager_phone": "9431000018"}}]
    (warning,) = office.client.jobs.will_correct(job.id, rows=rows).warnings
    assert (warning.code, warning.evidence) == (
        "row_replaced", {"count": 1, "rows": [{"row": 2, "by": 1, "key": "Team Pune"}]},
    )  # fmt: skip
