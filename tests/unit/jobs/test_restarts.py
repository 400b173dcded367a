"""What is true of one file is not taken over for another."""

from typing import Any

import pytest

from collect.jobs import restarts

PARENT = {
    "file_id": "f1", "mode": "upsert", "column_map": {"a": "b"}, "column_shift": {"manager_phone": -10},
    "encoding": "cp1252", "skip_lines": 2, "trim": True, "on_conflict": "supersede", "supersedes": "j0",
}  # fmt: skip


def restarted(given: dict[str, Any], *, with_file: bool = False, detected: tuple[str, ...] = ()) -> dict[str, Any]:
    other_file = restarts.reads_other_file(PARENT, given, with_file=with_file)
    return restarts.params(PARENT, given, other_file=other_file, detected=detected)


KEPT = ("file_id", "mode", "column_map", "column_shift", "encoding", "skip_lines", "trim")


@pytest.mark.parametrize("given", [{}, {"file_id": "f1"}, {"mode": "create"}])
def test_the_same_file_is_read_as_before(given: dict[str, Any]) -> None:
    found = restarted(given)
    assert found == {name: PARENT[name] for name in KEPT} | given


@pytest.mark.parametrize(("given", "with_file"), [({"file_id": "f2"}, False), ({}, True)])
def test_another_file_is_read_without_what_corrected_the_first(given: dict[str, Any], with_file: bool) -> None:
    found = restarted(given, with_file=with_file)
    assert found == {"file_id": "f1", "mode": "upsert", "column_map": {"a": "b"}, "trim": True} | given


def test_what_is_said_again_holds_for_another_file_too() -> None:
    given = {"file_id": "f2", "column_shift": {"manager_phone": -3}}
    assert restarted(given)["column_shift"] == {"manager_phone": -3}


def test_what_was_detected_in_a_file_says_nothing_of_another_file() -> None:
    assert "trim" in restarted({}, detected=("trim",))
    assert "trim" not in restarted({}, with_file=True, detected=("trim",))
    assert "trim" not in restarted({"file_id": "f2"}, detected=("trim",))
    assert restarted({"trim": False}, with_file=True, detected=("trim",))["trim"] is False
