import csv
import io

import pytest

from collect.demo.baseline import COLUMNS, MISTAKES, Survey, template, write_csv
from collect.errors import InvalidInput


def made(survey: Survey) -> str:
    out = io.StringIO()
    write_csv(survey, out)
    return out.getvalue()


def rows(survey: Survey) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(made(survey))))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    assert made(Survey(rows=500)) == made(Survey(rows=500))
    assert made(Survey(rows=500)) != made(Survey(rows=500, seed=1))


def test_a_longer_file_begins_with_the_rows_of_a_shorter_one() -> None:
    assert made(Survey(rows=10_050)).startswith(made(Survey(rows=120)))


def test_keys_are_unique_and_count_up_from_the_first() -> None:
    found = rows(Survey(rows=10_001, first=7))

    assert [row["respondent_id"] for row in found] == [f"R{n:08d}" for n in range(7, 7 + 10_001)]


def test_swapped_columns_are_the_right_ones_exchanged_under_the_same_header() -> None:
    right, wrong = rows(Survey(rows=300)), rows(Survey(rows=300, swap=("district", "block")))

    assert list(wrong[0]) == list(COLUMNS)
    for good, bad in zip(right, wrong, strict=True):
        assert {**good, "district": good["block"], "block": good["district"]} == bad


def test_one_row_in_so_many_is_broken_in_one_cell_across_blocks() -> None:
    survey = Survey(rows=20_100, rejects=37)
    sound, broken = rows(Survey(rows=20_100)), rows(survey)

    changed = [
        {(name, bad[name]) for name in COLUMNS if bad[name] != good[name]}
        for good, bad in zip(sound, broken, strict=True)
        if good != bad
    ]
    assert len(changed) == survey.expected_rejects == 543
    assert all(len(cells) == 1 and cells <= set(MISTAKES) for cells in changed)


def test_a_column_that_is_not_there_cannot_be_swapped() -> None:
    with pytest.raises(InvalidInput, match="no column 'town'"):
        Survey(rows=1, swap=("district", "town"))


def test_the_template_is_one_and_has_the_columns_of_the_files() -> None:
    assert template().names == COLUMNS
    assert template().key == ("respondent_id",)
