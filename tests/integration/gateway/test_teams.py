"""Teams as they are shown: one by its name, many by the beginning of their names, and only the organisation's own."""

from typing import Any
from urllib.parse import quote

import pytest

from integration.gateway.calls import Api, problem
from support.team_jobs import team

ANY_NAME = [
    "Team Pune 1", "a/b", "/a", "a/", "a//b", "महिला गट", "100% sure?", "a+b", "a;b&c=d", "#1", "a\\b", "a|b", "..",
    "a\nb", "Équipe",
]  # fmt: skip


def names(api: Api, query: str = "", **options: Any) -> list[str]:
    answer = api.get(f"/v1/teams{query}", **options)
    assert answer.status_code == 200, answer.text
    return [found["name"] for found in answer.get_json()["items"]]


def test_a_team_is_shown_with_all_its_links(api: Api) -> None:
    team(
        api.db, "North", description="Of the north", managers=["+919800000001"],
        members=["+919800000002", "+919800000003"], form_ids=["household-survey"], written_by="01j:2:7",
    )  # fmt: skip
    shown = {
        "name": "North",
        "description": "Of the north",
        "managers": [{"phone": "+919800000001"}],
        "members": [{"phone": "+919800000002"}, {"phone": "+919800000003"}],
        "form_ids": ["household-survey"],
        "written_by": "01j:2:7",
        "revision": 1,
    }
    assert api.get("/v1/teams/North", key="viewer").get_json() == shown
    assert api.get("/v1/teams", key="viewer").get_json() == {"items": [shown], "next_cursor": None}


@pytest.mark.parametrize("name", ANY_NAME)
def test_a_team_of_any_name_is_found_by_it(api: Api, name: str) -> None:
    team(api.db, name)
    team(api.db, "another")
    answer = api.get(f"/v1/teams/{quote(name, safe='')}")
    assert answer.status_code == 200, answer.text
    assert answer.get_json()["name"] == name
    assert names(api, f"?name={quote(name, safe='')}") == [name]


@pytest.mark.parametrize("asked", ["\u00c9quipe", "E\u0301quipe", " \u00c9quipe "])
def test_a_name_is_read_as_in_a_file(api: Api, asked: str) -> None:
    team(api.db, "\u00c9quipe")
    assert api.get(f"/v1/teams/{quote(asked, safe='')}").get_json()["name"] == "\u00c9quipe"
    assert names(api, f"?name={quote(asked.strip(), safe='')}") == ["\u00c9quipe"]


def test_a_slash_need_not_be_escaped(api: Api) -> None:
    team(api.db, "a/b/c")
    assert api.get("/v1/teams/a/b/c").get_json()["name"] == "a/b/c"
    problem(api.get("/v1/teams/a/b"), 404, "not_found")


@pytest.mark.parametrize(
    ("prefix", "found"),
    [("", ["A.1", "A.2", "Ab", "a.1"]), ("A.", ["A.1", "A.2"]), (".", []), ("A.*", []), ("^A", []), ("A.1", ["A.1"])],
)
def test_the_beginning_of_a_name_means_just_itself(api: Api, prefix: str, found: list[str]) -> None:
    for name in ("A.1", "A.2", "Ab", "a.1"):
        team(api.db, name)
    assert names(api, f"?name={quote(prefix, safe='')}") == found


def test_pages_follow_each_other(api: Api) -> None:
    wanted = [f"Team {n}" for n in range(5)]
    for name in (*wanted, "Zebra"):
        team(api.db, name)
    found: list[str] = []
    query = "?name=Team&limit=2"
    while True:
        page = api.get(f"/v1/teams{query}").get_json()
        found += [each["name"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        query = f"?name=Team&limit=2&cursor={page['next_cursor']}"
    assert found == wanted


def test_teams_of_others_are_neither_shown_nor_counted(api: Api) -> None:
    team(api.db, "North", org_id="other")
    team(api.db, "Mine")
    assert names(api) == ["Mine"]
    problem(api.get("/v1/teams/North"), 404, "not_found")
    assert names(api, key="other viewer") == ["North"]
    assert names(api, key="platform", headers={"X-Organisation": "other"}) == ["North"]
    problem(api.get("/v1/teams", key="platform"), 400)


def test_a_cursor_of_another_organisation_shows_nothing_of_it(api: Api) -> None:
    for name in ("A", "B", "C"):
        team(api.db, name, org_id="other")
    team(api.db, "Mine")
    theirs = api.get("/v1/teams?limit=1", key="other viewer").get_json()["next_cursor"]
    assert names(api, f"?cursor={theirs}") == []
