"""Mistakes that are told before anything is written, the way out of them, and the same said by a job that pauses."""

import io
import json

import pytest

from collect.demo import baseline
from collect.demo.baseline import Survey
from integration.files.desk import Desk

ROWS = 1_500
EARLIER = Survey(rows=400, seed=2016, first=90_000)


def text(survey: Survey) -> bytes:
    out = io.StringIO()
    baseline.write_csv(survey, out)
    return out.getvalue().encode()


@pytest.fixture
def dataset(desk: Desk) -> str:
    """The demo's, with the rows of an earlier round."""
    name = desk.new_dataset(baseline.TEMPLATE_COLUMNS, key=baseline.KEY)
    assert desk.run(text(EARLIER), dataset=name).state == "succeeded"
    return name


@pytest.mark.parametrize(
    "swap", [("district", "block"), ("latitude", "longitude"), ("phone_number", "collector_phone")]
)
def test_exchanged_columns_are_told_by_the_preview_and_corrected_by_its_suggestion(
    desk: Desk, dataset: str, swap: tuple[str, str]
) -> None:
    wrong = desk.send(text(Survey(rows=ROWS, swap=swap)))
    params = {"file_id": wrong, "dataset": dataset}
    seen = desk.client.jobs.preview("upload", params)
    (warning,) = [warning for warning in seen.warnings if warning.code == "columns_swapped"]
    assert set(warning.columns) == set(swap)
    assert warning.suggestion is not None

    corrected = {**params, **warning.suggestion}
    assert desk.client.jobs.preview("upload", corrected).warnings == []
    outcome = desk.run(text(Survey(rows=ROWS, swap=swap)), dataset=dataset, **warning.suggestion)
    assert outcome.state == "succeeded"
    right = dict(zip(baseline.COLUMNS, next(baseline.blocks(Survey(rows=ROWS)))[7], strict=True))
    row = outcome.rows[right["respondent_id"]]
    assert [str(row[name]) for name in ("district", "block", "phone_number")] == [
        right[name] for name in ("district", "block", "phone_number")
    ]
    assert (row["latitude"], row["longitude"]) == (float(right["latitude"]), float(right["longitude"]))


def test_the_file_as_it_should_be_gives_no_warning(desk: Desk, dataset: str) -> None:
    file_id = desk.send(text(Survey(rows=ROWS)))
    assert desk.client.jobs.preview("upload", {"file_id": file_id, "dataset": dataset}).warnings == []


def test_a_job_that_pauses_for_its_rejects_says_which_columns_look_exchanged(desk: Desk, dataset: str) -> None:
    wrong = text(Survey(rows=ROWS, swap=("age", "district")))
    outcome = desk.run(wrong, dataset=dataset, max_rejected={"rows": 100})
    assert (outcome.state, outcome.code) == ("paused", "rejections_over_limit")
    assert outcome.job.reason is not None
    hint = str(outcome.job.reason.hint)
    assert (
        "Columns `age` and `district` look exchanged" in hint or "Columns `district` and `age` look exchanged" in hint
    )
    begin = hint.index('{"column_map"')
    suggestion = json.JSONDecoder().raw_decode(hint[begin:])[0]
    desk.client.jobs.terminate(outcome.job.id, reason="a test")
    desk.client.jobs.wait(outcome.job.id)
    again = desk.client.jobs.restart(outcome.job.id, reason="as its hint says", params=suggestion)
    assert desk.client.jobs.wait(again.id).progress.rejected == 0


def test_a_job_that_pauses_for_single_mistakes_suspects_no_columns(desk: Desk, dataset: str) -> None:
    outcome = desk.run(text(Survey(rows=ROWS, rejects=5)), dataset=dataset, max_rejected={"rows": 100})
    assert outcome.code == "rejections_over_limit"
    assert outcome.job.reason is not None
    assert "look exchanged" not in str(outcome.job.reason.hint)
    assert "Are its columns the right ones?" in str(outcome.job.reason.hint)
