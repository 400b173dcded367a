"""Ugly files, through the preview and through planning and reading, in pieces of any size."""

from __future__ import annotations

from typing import Any

import pytest

from collect.checks.preview import preview
from collect.csv.reading import Source, lots
from collect.csv.validation import Validator
from collect.errors import TaskRefused
from collect.jobs.template import Template
from collect.rows import planning
from support.in_memory import MemoryBlobs
from support.ugly_files import FILES, Ugly
from support.upload_driver import new_job

TEMPLATE = Template.model_validate(
    {
        "key": ["k"],
        "columns": [
            {"name": "k", "type": "string"},
            {"name": "n", "type": "integer"},
            {"name": "s", "type": "string"},
        ],
    }
)
LONGEST_HEADER_BYTES = 40
"""Of the files, with the lines above it."""
SMALL_FILE_BYTES = 200
"""A bigger file is not read in pieces of a few bytes: that would take long."""
IN_PIECES = [
    pytest.param(ugly, size, id=f"{ugly.name}-{size}")
    for ugly in FILES
    for size in (1, 5, 1024 * 1024)
    if size > SMALL_FILE_BYTES or len(ugly.data) <= SMALL_FILE_BYTES
]
NAMED = [pytest.param(ugly, id=ugly.name) for ugly in FILES]


def run(data: bytes, params: Any, *, rows: int = 7) -> tuple[dict[str, Any], dict[int, str], int]:
    """Rows by key, codes of rejects by row, and blank lines, part by part."""
    blobs = MemoryBlobs({"f": data})
    written: dict[str, Any] = {}
    rejects: dict[int, str] = {}
    blank = total = 0
    job = new_job(blob="f", dataset="d", **params)
    for part in filter(None, planning.plan(blobs, job, template=TEMPLATE)):
        validator = Validator(template=TEMPLATE, layout=planning.arranged(part.source, TEMPLATE))
        source = Source.of(part.source)
        assert (source.first_row, part.cursor["offset"]) == (total + 1, source.start)
        blank += source.blank_rows
        for lot in lots(blobs, source, part.cursor, most_rows=lambda: rows, most_bytes=1024 * 1024):
            valid, wrong = validator.validate(lot)
            cells = [valid.columns[name].to_pylist() for name in TEMPLATE.names]
            written.update({k: tuple(values) for k, *values in zip(*cells, strict=True)})
            rejects.update({reject.row: reject.errors[0].code for reject in wrong})
            total += lot.rows
    assert total == len(written) + len(rejects)
    return written, rejects, blank


@pytest.mark.parametrize(("ugly", "size"), IN_PIECES)
def test_an_ugly_file_loses_no_row_without_an_error(ugly: Ugly, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collect.csv.sources.PIECE_BYTES", max(size, len("sep=;")))
    monkeypatch.setattr("collect.csv.blocks.BLOCK_BYTES", size)
    monkeypatch.setattr("collect.csv.files.MAX_HEADER_BYTES", max(size, LONGEST_HEADER_BYTES))
    monkeypatch.setattr(planning, "SMALLEST_PART_BYTES", 2 * size)
    if ugly.refusal is None:
        assert run(ugly.data, ugly.params) == (ugly.rows, ugly.rejects, ugly.blank)
        return
    with pytest.raises(TaskRefused) as refused:
        run(ugly.data, ugly.params)
    assert (refused.value.code, refused.value.where) == (ugly.refusal, ugly.where)
    assert [words for words in ugly.says if words not in refused.value.detail] == []


@pytest.mark.parametrize("ugly", NAMED)
def test_the_preview_says_the_same_as_the_job(ugly: Ugly) -> None:
    seen = preview(MemoryBlobs({"f": ugly.data}), "f", template=TEMPLATE, params=ugly.params)
    codes = [warning.code for warning in seen.warnings]
    assert ("quoted_lines" in codes, "blank_rows" in codes) == (ugly.warns, seen.blank_rows > 0)
    if ugly.refusal is not None:
        (error, *_) = seen.errors
        assert error.code == ugly.refusal
        assert error.code == "unknown_column" or error.field == (ugly.where or "file")
        assert [words for words in ugly.says if words not in error.message] == []
        return
    assert not seen.errors
    assert (seen.total_rows, seen.blank_rows) == (len(ugly.rows) + len(ugly.rejects), ugly.blank)
    assert {reject.row: reject.errors[0].code for reject in seen.rejects.items} == ugly.rejects


def test_there_are_at_least_forty_of_them() -> None:
    assert len({ugly.name for ugly in FILES}) == len(FILES) >= 40
