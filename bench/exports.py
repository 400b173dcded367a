"""Rows a second of an export to CSV, with one slot and with two, beside a plain loop; and of reading alone.

    make bench ONLY=export ROWS=2000000

The plain loop is `find` → `csv.writer` in one process. Both outputs are compared row by row, after the loop's dates and
numbers were brought to the same form. Reading alone takes the same raw batches and drops them.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from collect.admin import sending
from collect.api.jobs import Job
from collect.demo import responses, survey
from collect.jobs.states import State
from collect.storage.indexes import EXPORT_INDEX
from rig import ORG, Rig, rig, say
from upload import Memory

FORM = {"org_id": ORG, "form_id": survey.FORM_ID}


def seed(rig_: Rig, rows: int) -> None:
    """Responses to the demo's form."""
    first = responses.prepare(rig_.db, org_id=ORG)
    batch = responses.Batch(org_id=ORG, rows=rows, first=first)
    sent = sending.send(rig_.db.responses, responses.blocks(batch), report=lambda _: None)
    say(f"seeded {sent.rows:,} responses, {sent.rows / sent.seconds:,.0f} a second")


def columns() -> list[str]:
    return [field.name for field in survey.form(ORG).fields]


def plain_loop(rig_: Rig, path: Path) -> float:
    """Rows a second of the loop that people write without us; its file is left at ``path``."""
    names, rows, began = columns(), 0, time.monotonic()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for document in rig_.db.responses.find(FORM, sort=EXPORT_INDEX[2:]):
            writer.writerow([document.get(name) for name in names])
            rows += 1
    return rows / (time.monotonic() - began)


def reading(rig_: Rig) -> float:
    """Rows a second of reading raw batches of the same responses and dropping them."""
    rows = rig_.db.responses.estimated_document_count()
    began = time.monotonic()
    for _ in rig_.db.responses.find_raw_batches(FORM, sort=EXPORT_INDEX[2:], batch_size=10_000):
        continue
    return rows / (time.monotonic() - began)


def export(rig_: Rig, *, slots: int, **params: Any) -> tuple[Job, float, int]:
    """The job at rest, its seconds, and the largest memory of a slot in bytes."""
    worker = rig_.worker(kind="export", slots=slots)
    with Memory(worker) as memory:
        asked = {"form_id": survey.FORM_ID, **params}
        job_id = rig_.client.jobs.create("export", asked, reason="bench", confirm="never").id
        rig_.until(job_id, State.SUCCEEDED, State.FAILED, State.PAUSED)
    job = rig_.client.jobs.get(job_id)
    assert job.state is State.SUCCEEDED, job.status
    worker.stop()
    return job, rig_.ran_seconds(job_id), memory.largest


def differing(ours: Path, plain: Path) -> int:
    """Rows that are not the same in both."""
    with ours.open(newline="", encoding="utf-8") as left, plain.open(newline="", encoding="utf-8") as right:
        return sum(one != other for one, other in zip(csv.reader(left), _normal(csv.reader(right)), strict=True))


def _normal(rows: Iterator[Sequence[str]]) -> Iterator[list[str]]:
    header = next(rows)
    yield list(header)
    types = {field.name: field.type.value for field in survey.form(ORG).fields}
    kinds = [types[name] for name in header]
    for row in rows:
        yield [_shown(kind, cell) for kind, cell in zip(kinds, row, strict=True)]


def _shown(kind: str, cell: str) -> str:
    match kind:
        case "datetime" if cell:
            at = datetime.fromisoformat(cell).astimezone(UTC)
            return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case "date":
            return cell[:10]
        case "number" | "latitude" | "longitude" if cell:
            return cell.removesuffix(".0")
        case _:
            return cell


def main(*, rows: int = 2_000_000) -> None:
    with rig() as rig_:
        seed(rig_, rows)
        path = rig_.folder / "plain.csv"
        for slots in (1, 2):
            job, seconds, largest = export(rig_, slots=slots)
            plain, read = plain_loop(rig_, path), reading(rig_)
            say(
                f"{slots} slot(s): {rows / seconds:,.0f} rows/s, plain {plain:,.0f} ({rows / seconds / plain:.2f}), "
                f"reading alone {read:,.0f} ({rows / seconds / read:.2f}); largest child {largest / 2**20:.0f} MB"
            )
        ours = rig_.folder / "ours.csv"
        rig_.save_result(job.id, ours)
        say(f"rows that differ from the plain loop's: {differing(ours, path)}")
