"""trim, value_map, decimal and date_formats in a job: what is stored and rejected, and how its parts are marked."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from collect.csv.reading import Source, cursor
from collect.jobs.model import Counts, part_id
from collect.jobs.template import Template
from collect.runtime.task import ChunkSize
from collect.storage import indexes
from collect.storage.database import Database, connect
from support.in_memory import MemoryBlobs
from support.upload_driver import Upload, new_dataset, new_job

TEMPLATE = Template.model_validate(
    {
        "key": ["k"],
        "columns": [
            {"name": "k", "type": "string"},
            {"name": "x", "type": "number"},
            {"name": "d", "type": "date"},
            {"name": "e", "type": "enum", "values": ["M", "F"]},
            {"name": "s", "type": "string"},
        ],
    }
)
RULES: dict[str, Any] = {
    "trim": True,
    "decimal": ",",
    "date_formats": ["%d/%m/%Y"],
    "value_map": {"e": {"male": "M", "?": ""}, "k": {"alias": "b"}},
}
DATA = (
    "k;x;d;e;s\n a ;1,5;31/05/2017;male; text\u00a0\nalias;2;2017-06-01;?;\u00a0\nc;1.5;31/05/2017;M;x\n\u00a0;1;;;x\n"
).encode()


@pytest.fixture(scope="module")
def db(mongodb_url: str, database_name: str) -> Iterator[Database]:
    database = connect(mongodb_url, database=database_name, app_name="tests")
    indexes.migrate(database)
    yield database
    database.close()


def run(db: Database, data: bytes = DATA, **params: Any) -> Upload:
    job = new_job(blob="f", dataset=new_dataset(db, TEMPLATE), delimiter=";", **params)
    upload = Upload(db, MemoryBlobs({"f": data}), job)
    upload.plan()
    upload.run(ChunkSize(rows=2))
    return upload


def values(upload: Upload) -> list[dict[str, Any]]:
    return [document["values"] for document in upload.rows().values()]


def test_cells_are_read_by_the_params_of_the_job(db: Database) -> None:
    upload = run(db, **RULES)
    assert values(upload) == [
        {"k": "a", "x": 1.5, "d": datetime(2017, 5, 31, tzinfo=UTC), "e": "M", "s": "text"},
        {"k": "b", "x": 2.0, "d": datetime(2017, 6, 1, tzinfo=UTC), "e": None, "s": None},
    ]
    rejected = {row: (reject["code"], reject["message"]) for row, reject in upload.rejected().items()}
    assert rejected[4] == ("required", "k is empty, and it is required.")
    assert rejected[3][0] == "not_a_number"
    assert "set decimal to '.'" in rejected[3][1]


def test_parts_that_are_read_by_params_are_left_alone_by_releases_that_do_not_know_them(db: Database) -> None:
    assert {part.source["v"] for part in run(db, **RULES).parts.values()} == {3}
    assert {part.source["v"] for part in run(db, mode="upsert", blank="keep").parts.values()} == {3}
    plain: dict[str, Any] = {
        "mode": "upsert",
        "blank": "clear",
        "trim": False,
        "decimal": ".",
        "date_formats": None,
        "value_map": {},
    }
    assert {part.source["v"] for part in run(db, **plain).parts.values()} == {1}


def test_a_correction_is_read_as_the_file_is(db: Database) -> None:
    upload = run(db, **RULES)
    db.rejects.delete_many({"job_id": upload.job.id, "row": {"$in": [3, 4]}})
    text = b"c; 3,5 ;01/06/2017;male;x\nd;1;02/06/2017;?;x\n"
    upload.blobs.write("corrected", [text])
    source = Source(blob="corrected", start=0, end=len(text), first_row=1, delimiter=";", numbers=(3, 4))
    part = upload.parts[1]
    changed = {"id": part_id(upload.job.id, 9), "n": 9, "seq": 0, "cursor": cursor(0, 1), "counts": Counts()}
    changed["source"] = {**part.source, **source.document(), "v": part.source["v"]}
    upload.parts[9] = part.model_copy(update=changed)
    for chunk in upload.chunks(9, ChunkSize(rows=5)):
        upload.commit(9, chunk)
    assert [(row["k"], row["x"], row["e"]) for row in values(upload)] == [
        ("a", 1.5, "M"), ("b", 2.0, None), ("c", 3.5, "M"), ("d", 1.0, None),
    ]  # fmt: skip
