"""The model's rules are the product's."""

import pytest

from capacity import costs
from collect.rows import planning as files
from collect.runtime import pacing, slice
from collect.storage import creation
from export_worker import planning
from export_worker.task import ExportTask
from monitor.settings import MonitorSettings
from upload_worker.task import UploadTask


def test_slices_and_looks_are_as_long() -> None:
    names = ["CHUNK_SECONDS", "SLICE_SECONDS", "SLICE_SECONDS_WHEN_OWN_PARTS_WAIT"]
    names += ["PLAN_SECONDS_WHEN_OWN_PARTS_WAIT", "SLICE_SECONDS_WHEN_ANOTHER_JOB_WAITS"]
    assert {name: getattr(costs, name) for name in names} == {name: getattr(pacing, name) for name in names}
    assert slice.LOOK_SECONDS == costs.LOOK_SECONDS
    assert slice.SOME_PLAN_SECONDS == costs.PLAN_STEP_SECONDS
    assert creation.DEFAULT_WINDOW == costs.DEFAULT_WINDOW
    assert MonitorSettings.model_fields["tick_seconds"].default == costs.MONITOR_TICK_SECONDS


def parts(rows: costs.PartRows, total: int) -> list[int]:
    found: list[int] = []
    while (size := rows(sum(found), total)) > 0:
        found.append(size)
    return found


def test_exports_are_cut_into_the_same_parts() -> None:
    found = parts(costs.export_part_rows, 2_000_000)
    assert found[:-1] == [planning.part_rows(n) for n in range(1, len(found))]
    assert sum(found) == 2_000_000


@pytest.mark.parametrize("megabytes", [3, 40, 173, 2_000])
def test_files_are_cut_into_parts_of_the_same_bounds(megabytes: int) -> None:
    rows = round(megabytes * 1e6 / 150)
    found = [size * 150 for size in parts(costs.file_part_rows(row_bytes=150.0), rows)]
    assert sum(found) == rows * 150
    assert max(found) <= files.BIGGEST_PART_BYTES + 150
    assert min(found[:-1], default=files.SMALLEST_PART_BYTES) >= files.SMALLEST_PART_BYTES - 150


def test_chunks_begin_and_end_with_as_many_rows() -> None:
    assert (costs.UPLOAD.first_rows, costs.UPLOAD.most_rows) == (UploadTask.rows.first, UploadTask.rows.most)
    assert costs.EXPORT.first_rows == ExportTask.rows.first
