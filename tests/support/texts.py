"""Small files of three columns, read as a job and as a preview read them."""

from typing import Any

from collect.checks.preview import CsvPreview, preview
from collect.csv.reading import Source, lots
from collect.csv.validation import Validator
from collect.jobs.outcomes import Reject
from collect.jobs.template import Template
from collect.rows import planning
from collect.runtime.task import PlannedPart
from support.in_memory import MemoryBlobs
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
MIB = 1024 * 1024


def plan(data: bytes, blobs: MemoryBlobs | None = None, **params: Any) -> list[PlannedPart]:
    """Return the parts of a file."""
    store = blobs or MemoryBlobs()
    store.contents["f"] = data
    job = new_job(blob="f", dataset="d", **params)
    return [step for step in planning.plan(store, job, template=TEMPLATE) if step is not None]


def read(data: bytes, **params: Any) -> tuple[dict[int, tuple[Any, ...]], tuple[Reject, ...]]:
    """Valid rows by number as (k, n, s), and rejects, read part by part."""
    blobs = MemoryBlobs()
    rows: dict[int, tuple[Any, ...]] = {}
    rejects: list[Reject] = []
    for part in plan(data, blobs, **params):
        validator = Validator(template=TEMPLATE, layout=planning.arranged(part.source, TEMPLATE))
        total = 0
        source = Source.of(part.source)
        for lot in lots(blobs, source, part.cursor, most_rows=lambda: 7, most_bytes=MIB):
            valid, wrong = validator.validate(lot)
            cells = [valid.columns[name].to_pylist() for name in TEMPLATE.names if name in valid.columns]
            rows.update(zip(valid.rows.to_pylist(), zip(*cells, strict=True), strict=True))
            rejects.extend(wrong)
            total += lot.rows
        assert total == part.total
    return rows, tuple(rejects)


def look(data: bytes, **params: Any) -> CsvPreview:
    """Return the preview of a file."""
    return preview(MemoryBlobs({"f": data}), "f", template=TEMPLATE, params=params)


LINES = b"k,n,s\na,1,x\nb,2,y\n"
BOTH = {1: ("a", 1, "x"), 2: ("b", 2, "y")}
