"""Made-up responses: what they are, and that a seed says all of them."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import bson
import pytest
from bson.codec_options import CodecOptions

from collect.demo import responses, survey
from collect.demo.responses import ROWS_A_BLOCK, Batch
from collect.jobs.forms import FieldType

AWARE: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True, tzinfo=UTC)
STORED: dict[FieldType, type] = {
    FieldType.STRING: str,
    FieldType.PHONE: str,
    FieldType.ENUM: str,
    FieldType.INTEGER: int,
    FieldType.LATITUDE: float,
    FieldType.LONGITUDE: float,
    FieldType.DATE: datetime,
    FieldType.DATETIME: datetime,
}


def raw(batch: Batch) -> bytes:
    return b"".join(bytes(block.data) for block in responses.blocks(batch))


def made(batch: Batch) -> list[dict[str, Any]]:
    return bson.decode_all(raw(batch), AWARE)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    batch = Batch(org_id="labs", rows=ROWS_A_BLOCK + 50)
    assert raw(batch) == raw(batch)
    assert raw(batch) != raw(Batch(org_id="labs", rows=ROWS_A_BLOCK + 50, seed=1))


def test_each_is_encoded_as_bson_encodes_it() -> None:
    data = raw(Batch(org_id="labs", rows=300))
    assert b"".join(bson.encode(found) for found in bson.decode_all(data, AWARE)) == data


def test_a_response_has_the_fields_of_the_form_each_as_its_type() -> None:
    fields = survey.form("labs").fields
    for found in made(Batch(org_id="labs", rows=500)):
        assert set(found) == {"_id", "org_id", *(field.name for field in fields)}
        for field in fields:
            if field.name != "flag_reason" or found["review_status"] == "flagged":
                assert type(found[field.name]) is STORED[field.type], field.name
        assert (found["flag_reason"] is None) == (found["review_status"] != "flagged")
        assert (found["org_id"], found["form_id"]) == ("labs", "household-survey")


@pytest.mark.parametrize("rows", [1, 9, 10, 2_500, ROWS_A_BLOCK + 5_000])
def test_nine_of_ten_are_from_before_the_right_date(rows: int) -> None:
    late = [found for found in made(Batch(org_id="labs", rows=rows)) if found["submitted_at"] >= responses.LATE_DAY]
    assert rows - len(late) == Batch(org_id="labs", rows=rows).early == rows * 9 // 10


def test_times_go_up_from_the_first_day_to_the_last_and_fit_each_other() -> None:
    found = made(Batch(org_id="labs", rows=ROWS_A_BLOCK + 10_000))
    assert all(before["submitted_at"] <= after["submitted_at"] for before, after in pairwise(found))
    assert found[0]["submitted_at"].date() == responses.FIRST_DAY.date()
    assert found[-1]["submitted_at"].date() == responses.END_DAY.date() - timedelta(days=1)
    for one in found:
        assert timedelta(minutes=8) <= one["submitted_at"] - one["started_at"] < timedelta(minutes=55)
        assert one["collected_on"] == one["submitted_at"].replace(hour=0, minute=0, second=0)
        assert one["collected_on"].date() == one["started_at"].date()


def test_ids_count_up_from_the_first_and_sort_as_they_count() -> None:
    found = made(Batch(org_id="labs", rows=ROWS_A_BLOCK + 1, first=99_990))
    ids = [one["_id"] for one in found]
    assert ids == [responses.response_id("labs", n) for n in range(99_990, 99_990 + len(ids))] == sorted(ids)
    assert all(one["response_id"] == one["_id"] for one in found)
    assert len({one["respondent_id"] for one in found}) == len(found)


def test_people_and_places_come_again_but_not_the_same_pairs() -> None:
    found = made(Batch(org_id="labs", rows=10 * ROWS_A_BLOCK))
    pairs = Counter((one["respondent_name"], one["phone_number"], one["latitude"]) for one in found)
    assert len(pairs) > 0.99 * len(found)


def test_none_is_nothing() -> None:
    assert raw(Batch(org_id="labs", rows=0)) == b""
