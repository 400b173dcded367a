"""A column that has slipped by some rows is found, and files of teams as they should be give no alarm."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collect.checks import shifted
from collect.checks.alignment import ShiftColumn
from collect.checks.warning import Warning
from support import shifted_files

SEEDS = range(200)


def looked(file: shifted_files.File) -> list[Warning]:
    return shifted.find(file.names, file.columns)


def moves(found: list[Warning]) -> dict[str, int]:
    """What the suggestion of every one of them says: the same."""
    suggested = [dict((each.suggestion or {})["column_shift"]) for each in found]
    assert all(each == suggested[0] for each in suggested)
    return suggested[0] if suggested else {}


def managers(texts: list[str], stored: list[str]) -> tuple[list[str], ShiftColumn]:
    """Teams with a manager each, and who it is that is stored."""
    names = [f"team {n:05d}" for n in range(len(texts))]
    return names, ShiftColumn(
        name="manager_phone",
        texts=texts,
        values=[frozenset({text} if text else ()) for text in texts],
        stored={name: frozenset({text}) for name, text in zip(names, stored, strict=True)},
        things="managers",
    )


def phones(count: int, *, seed: int = 1) -> list[str]:
    rng = random.Random(seed)
    return [f"+91{9_000_000_000 + number}" for number in rng.sample(range(10**9), count)]


@pytest.mark.detectors
@pytest.mark.parametrize("stored", [True, False, None])
def test_good_files_of_teams_give_no_alarm_whatever_is_stored(stored: bool | None) -> None:
    alarms = {seed: found for seed in SEEDS if (found := looked(shifted_files.good(seed, stored=stored)))}
    assert alarms == {}


@pytest.mark.detectors
def test_of_200_files_beside_stored_teams_95_percent_are_found_and_corrected() -> None:
    files = [shifted_files.shifted(seed) for seed in SEEDS]
    hits = sum(moves(looked(file)) == file.moves for file in files)
    assert hits >= 0.95 * len(files), hits


@pytest.mark.detectors
def test_of_200_files_that_are_the_first_some_are_found_and_few_misread() -> None:
    """Of columns that have slipped together sometimes one is seen, and the next preview tells the other."""
    files = [shifted_files.shifted(seed, stored=False) for seed in SEEDS]
    found = [(moves(looked(file)), file.moves) for file in files]
    assert sum(seen == wanted for seen, wanted in found) >= 50
    assert [seen for seen, wanted in found if not seen.items() <= wanted.items()] == []


def test_ten_thousand_managers_ten_rows_too_far_down() -> None:
    right = phones(10_000)
    names, column = managers(phones(10, seed=2) + right[:-10], right)
    (found,) = shifted.find(names, [column])
    assert found.message == (
        "10,000 of 10,000 managers change; moving `manager_phone` up by 10 rows makes 9,990 of them match what is "
        "stored."
    )
    assert found.suggestion == {"column_shift": {"manager_phone": -10}}
    assert found.evidence == {
        "manager_phone": {"by": "stored", "compared": 10_000, "changing": 10_000, "mended": 9_990}
    }


@pytest.mark.detectors
@settings(max_examples=60, deadline=None)
@given(shift=st.integers(-900, 900).filter(bool), seed=st.integers(0, 100))
def test_a_slip_of_any_length_is_corrected_by_its_contrary(shift: int, seed: int) -> None:
    right = phones(2_000, seed=seed)
    names, column = managers(shifted_files.slipped(right, shift, "rotated", random.Random(seed)), right)
    assert moves(shifted.find(names, [column])) == {"manager_phone": -shift}


def test_rows_in_another_order_than_stored_are_found_by_their_names() -> None:
    right = phones(500)
    names, column = managers(right, right)
    order = random.Random(3).sample(range(500), 500)
    moved = ShiftColumn(
        name=column.name,
        texts=[right[n] for n in order],
        values=[column.values[n] for n in order],
        stored=column.stored,
    )
    assert shifted.find([names[n] for n in order], [moved]) == []


def test_all_managers_changed_is_no_slip() -> None:
    names, column = managers(phones(1_000, seed=1), phones(1_000, seed=2))
    assert shifted.find(names, [column]) == []
    old = phones(12)
    pool = random.Random(4)
    names, column = managers([pool.choice(old) for _ in range(300)], [pool.choice(old) for _ in range(300)])
    assert shifted.find(names, [column]) == []


def test_teams_given_to_the_next_manager_at_one_border_are_no_slip() -> None:
    """Moving the column would make all of them match, and yet it is one decision."""
    one, other = phones(2)
    names, column = managers([one] * 520 + [other] * 480, [one] * 500 + [other] * 500)
    assert shifted.find(names, [column]) == []


def test_managers_of_many_teams_in_a_row_are_found_by_their_borders() -> None:
    right = [phone for phone in phones(40) for _ in range(25)]
    names, column = managers([""] * 3 + right[:-3], right)
    assert moves(shifted.find(names, [column])) == {"manager_phone": -3}


def test_a_shift_that_the_request_has_already_is_added_to() -> None:
    right = phones(200)
    names, column = managers([""] * 4 + right[:-4], right)
    (found,) = shifted.find(names, [column], column_shift={"manager_phone": -6, "form_ids": 1})
    assert found.suggestion == {"column_shift": {"manager_phone": -10, "form_ids": 1}}
    (found,) = shifted.find(names, [column], column_shift={"manager_phone": 4})
    assert found.suggestion == {"column_shift": {}}


def first_file(managers_at: list[str], members: list[str], names: list[str]) -> list[Warning]:
    columns = [
        ShiftColumn(name=name, texts=texts, values=[shifted_files.said(name, text) for text in texts], stored={})
        for name, texts in (("manager_phone", managers_at), ("member_phones", members))
    ]
    return shifted.find(names, columns)


def test_in_a_first_file_blank_cells_at_the_beginning_and_none_elsewhere_tell_it() -> None:
    members, right = phones(100, seed=5), phones(100)
    names = [f"team {n}" for n in range(100)]
    (found,) = first_file([""] * 10 + right[:-10], members, names)
    assert found.suggestion == {"column_shift": {"manager_phone": -10}}
    assert found.message.startswith("The first 10 cells under `manager_phone` are empty and all others are filled")
    assert first_file([""] * 10 + [right[0], "", *right[:-12]], members, names) == []
    assert first_file([""] * 10 + sorted(right[:-10]), members, names) == []
    assert first_file([""] * 10 + right[:-10], members, ["office"] * 10 + names[10:]) == []


def test_in_a_first_file_a_manager_among_the_members_of_another_row_tells_it() -> None:
    right, others = phones(100), phones(100, seed=6)
    members = [f"{one};{other}" for one, other in zip(right, others, strict=True)]
    names = [f"North {n}" if n % 3 else f"South {n}" for n in range(100)]
    rotated = shifted_files.slipped(right, 7, "rotated", random.Random(1))
    assert first_file(rotated, members, names) == []  # which of the two has slipped?
    (found,) = first_file(shifted_files.slipped(right, 7, "lost", random.Random(1)), members, names)
    assert found.suggestion == {"column_shift": {"manager_phone": -7}}
    assert "goes with `member_phones` in 0 of 100 rows" in found.message


def test_in_a_first_file_phones_that_begin_like_their_region_tell_it() -> None:
    rng = random.Random(7)
    regions = [rng.randrange(8) for _ in range(400)]
    right = [f"+9194{region}{rng.randrange(10**7):07d}" for region in regions]
    names = [f"Region {'ABCDEFGH'[region]} {n}" for n, region in enumerate(regions)]
    members = phones(400)
    (found,) = first_file(shifted_files.slipped(right, 12, "rotated", rng), members, names)
    assert found.suggestion == {"column_shift": {"manager_phone": -12}}
    assert "goes with the names in" in found.message
    assert first_file(right, members, names) == []


@pytest.mark.detectors
def test_it_is_found_among_ten_thousand_rows() -> None:
    assert moves(looked(shifted_files.shifted_at(10_000, shift=10))) == {"manager_phone": -10}
