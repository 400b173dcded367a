"""Two exchanged columns are found, and files as they should be give no alarm."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from collect.checks import swapped
from collect.checks.column_fit import FileColumn
from collect.checks.warning import Warning, percent
from collect.demo import baseline
from collect.jobs.template import Template
from support import file_generators

SEEDS = range(200)


def looked(file: file_generators.File) -> list[Warning]:
    return swapped.find(file.columns, stored=file.stored, column_map={})


def survey(rows: int, *, seed: int = 1, first: int = 1, swap: tuple[str, str] | None = None) -> list[FileColumn]:
    """The demo's file as columns."""
    template = baseline.template()
    made = [
        row for block in baseline.blocks(baseline.Survey(rows=rows, seed=seed, first=first, swap=swap)) for row in block
    ]
    return [
        FileColumn(header=name, column=template.column(name), texts=texts)
        for name, texts in zip(baseline.COLUMNS, map(list, zip(*made, strict=True)), strict=True)
    ]


def kept(columns: Sequence[FileColumn]) -> dict[str, list[Any]]:
    """What an earlier file has left in the columns of text."""
    return {each.name: [text for text in each.texts if text] for each in columns}


def columns(template: dict[str, Any], **texts: list[str]) -> list[FileColumn]:
    made = Template.model_validate(template)
    return [FileColumn(header=name, column=made.column(name), texts=cells) for name, cells in texts.items()]


@pytest.mark.detectors
@pytest.mark.parametrize("hundred", range(0, len(SEEDS), 50))
def test_good_files_with_any_template_beside_any_stored_rows_give_no_alarm(hundred: int) -> None:
    alarms = {seed: found for seed in SEEDS[hundred : hundred + 50] if (found := looked(file_generators.good(seed)))}
    assert alarms == {}


@pytest.mark.detectors
def test_of_200_files_with_two_columns_exchanged_95_percent_are_found_and_corrected() -> None:
    hits = 0
    for seed in SEEDS:
        file = file_generators.swapped(seed)
        assert file.swapped is not None
        one, other = file.swapped
        match looked(file):
            case [Warning(suggestion={"column_map": {**mapped}})] if mapped == {one: other, other: one}:
                hits += 1
    assert hits >= 0.95 * len(SEEDS), hits


def test_districts_under_block_are_told_by_the_values_that_are_stored() -> None:
    (found,) = swapped.find(
        survey(2_000, swap=("district", "block")), stored=kept(survey(1_000, seed=2, first=9_000)), column_map={}
    )
    assert found.code == "columns_swapped"
    assert set(found.columns) == {"district", "block"}
    assert found.suggestion == {"column_map": {"district": "block", "block": "district"}}
    assert "100 % of the values under `district` are known in `block`, 0 % in `district`" in found.message
    assert found.evidence["block"]["fit_the_other"] == 1.0


def test_districts_under_block_are_told_in_an_empty_dataset_by_which_lies_in_which() -> None:
    (found,) = swapped.find(survey(2_000, swap=("district", "block")), stored={}, column_map={})
    assert found.suggestion == {"column_map": {"district": "block", "block": "district"}}
    assert found.evidence == {
        "district": {"by": "levels", "values": 79},
        "block": {"by": "levels", "values": 18},
    }
    assert swapped.find(survey(2_000), stored={}, column_map={}) == []


@pytest.mark.parametrize("name", ["village", "state"])
def test_places_that_do_not_lie_within_one_another_say_nothing_in_an_empty_dataset(name: str) -> None:
    """Villages of the same name are in many districts."""
    found = swapped.find(survey(2_000, swap=("respondent_name", "team_name")), stored={}, column_map={})
    assert found == []
    assert (
        swapped.find([each for each in survey(500) if each.name in ("district", name)], stored={}, column_map={}) == []
    )


def test_coordinates_are_told_by_the_ranges_of_the_template() -> None:
    (found,) = swapped.find(survey(500, swap=("latitude", "longitude")), stored={}, column_map={})
    assert found.suggestion == {"column_map": {"latitude": "longitude", "longitude": "latitude"}}


def test_coordinates_that_are_all_degrees_are_told_by_where_others_are_stored() -> None:
    template = {
        "key": ["id"],
        "columns": [
            {"name": "id", "type": "string"},
            {"name": "latitude", "type": "latitude"},
            {"name": "longitude", "type": "longitude"},
        ],
    }
    rng = random.Random(1)

    def places(count: int) -> tuple[list[float], list[float]]:
        return [rng.uniform(14, 28) for _ in range(count)], [rng.uniform(71, 89) for _ in range(count)]

    stored = dict(zip(("latitude", "longitude"), places(300), strict=True))
    latitudes, longitudes = ([f"{value:.5f}" for value in side] for side in places(50))
    ids = [f"p{n}" for n in range(50)]
    wrong = columns(template, id=ids, latitude=longitudes, longitude=latitudes)
    (found,) = swapped.find(wrong, stored=stored, column_map={})
    assert "are in the usual range of `longitude`" in found.message
    assert swapped.find(wrong, stored={}, column_map={}) == []
    right = columns(template, id=ids, latitude=latitudes, longitude=longitudes)
    assert swapped.find(right, stored=stored, column_map={}) == []


def test_the_suggestion_is_laid_over_the_request_s_own_column_map() -> None:
    file = [
        FileColumn(header="ZILA" if each.name == "district" else each.header, column=each.column, texts=each.texts)
        for each in survey(2_000, swap=("district", "block"))
    ]
    own = {"ZILA": "district", "note": None}
    (found,) = swapped.find(file, stored=kept(survey(1_000, seed=2)), column_map=own)
    assert found.suggestion == {"column_map": {"ZILA": "block", "block": "district", "note": None}}


def test_two_exchanges_in_one_file_are_corrected_by_the_suggestion_of_either() -> None:
    wrong = survey(500, swap=("latitude", "longitude"))
    by_name = {each.name: each for each in wrong}
    texts = by_name["age"].texts, by_name["gender"].texts
    both = [
        FileColumn(
            header=each.header,
            column=each.column,
            texts={"age": texts[1], "gender": texts[0]}.get(each.name, each.texts),
        )
        for each in wrong
    ]
    found = swapped.find(both, stored={}, column_map={})
    corrected = {"column_map": {"latitude": "longitude", "longitude": "latitude", "age": "gender", "gender": "age"}}
    assert [each.suggestion for each in found] == [corrected, corrected]


def test_where_several_columns_could_be_the_other_one_none_is_suggested() -> None:
    template = {
        "key": ["id"],
        "columns": [
            {"name": "id", "type": "string", "pattern": "R.*"},
            {"name": "age", "type": "integer"},
            {"name": "house", "type": "string"},
            {"name": "street", "type": "string"},
        ],
    }
    numbers = [str(n) for n in range(20)]
    names = [f"{letter}street" for letter in "abcdefghijklmnopqrst"]
    file = columns(template, id=["R" + n for n in numbers], age=names, house=numbers, street=numbers)
    (found,) = swapped.find(file, stored={}, column_map={})
    assert found.suggestion is None
    assert set(found.columns) == {"age", "house", "street"}


def test_a_new_year_s_dates_are_in_nobody_s_range() -> None:
    template = {
        "key": ["id"],
        "columns": [
            {"name": "id", "type": "string"},
            {"name": "start_date", "type": "date"},
            {"name": "end_date", "type": "date"},
        ],
    }
    days = [f"2018-0{month}-{day:02d}" for month in (1, 2, 3) for day in range(1, 25)]
    later = [f"2018-0{month}-{day:02d}" for month in (4, 5, 6) for day in range(1, 25)]
    file = columns(template, id=[str(n) for n in range(len(days))], start_date=later, end_date=later[::-1])
    stored = {
        name: [value.replace(tzinfo=None) for value in map(_moment, texts)]
        for name, texts in (("start_date", days), ("end_date", later))
    }
    assert swapped.find(file, stored=stored, column_map={}) == []


def _moment(text: str) -> Any:
    from datetime import datetime

    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0 %"), (0.001, "under 1 %"), (0.96, "96 %"), (0.999, "over 99 %"), (1.0, "100 %")]
)
def test_a_share_is_said_so_that_some_is_never_none_nor_all(share: float, text: str) -> None:
    assert percent(share) == text
