"""The summary of a job's rejected rows: their errors by column and code, with the wrong values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from collect.api.jobs import BadValue, RejectsSummary, WrongWay
from collect.csv import value_maps
from collect.csv.cells import CellRules
from collect.csv.corrections import Sheet, record
from collect.csv.value_maps import MOST_LISTED_BYTES, Group
from collect.jobs.model import Job
from collect.jobs.template import Template
from collect.storage import parts
from collect.storage import rejects as reject_store
from collect.storage.database import Database
from gateway.jobs import csv_downloads

MOST_EXAMINED_BYTES = 64 * 1024 * 1024
"""Most text of rejected rows that one summary reads, in bytes."""
TABLE_HEADER = ("column", "code", "value", "count", "replacement")


def summary(db: Database, job: Job) -> RejectsSummary:
    """Return the errors by column and code. ``examined``: how many of the ``stored`` rejects were read.

    Raises:
        Conflict: the job reads no file.
    """
    template = csv_downloads.template_of(db, job)
    examined = _Examined(db, job)
    items = list(_items(_groups(examined, job, template, parts.planned(db, job_id=job.id))))
    listed = {(item.field, item.code): [(value.value, value.count) for value in item.values] for item in items}
    return RejectsSummary(
        items=items,
        value_map=value_maps.start(listed),
        rejected=parts.counted(db, job_ids=[job.id])[job.id].rejected,
        stored=reject_store.count(db, job_id=job.id),
        examined=examined.rows,
    )


def table(errors: RejectsSummary) -> Iterator[bytes]:
    """Yield a summary as a CSV. Its column ``replacement`` is empty, for the user to fill in."""
    yield (record(TABLE_HEADER, ",") + "\n").encode()
    for item in errors.items:
        for value in item.values:
            cells = (item.field, item.code, value.value, str(value.count), "")
            yield (record(cells, ",") + "\n").encode()


class _Examined:
    """The stored rejects of a job, up to ``MOST_EXAMINED_BYTES``. ``rows`` counts the rejects that were read."""

    def __init__(self, db: Database, job: Job) -> None:
        self._db = db
        self._job = job
        self.rows = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        held = 0
        for reject in reject_store.stream(self._db, org_id=self._job.org_id, job_id=self._job.id):
            held += len(reject["line"])
            if held > MOST_EXAMINED_BYTES and self.rows:
                return
            self.rows += 1
            yield reject


def _groups(examined: _Examined, job: Job, template: Template, planned: Mapping[str, Any] | None) -> list[Group]:
    if planned is None:  # no row of the file has been read, so no row is rejected
        return []
    columns = tuple(name if name in template.names else None for name in planned["columns"])
    sheet = Sheet(headers=tuple(name or "" for name in columns), columns=columns, delimiter=planned["delimiter"])
    return value_maps.groups(examined, sheet, template, CellRules.of(job.params))


def _items(groups: Iterable[Group]) -> Iterator[WrongWay]:
    left = MOST_LISTED_BYTES
    for group in groups:
        listed = group.listed(left)
        left -= sum(value_maps.bytes_of(value) for value, _ in listed)
        yield WrongWay(
            field=group.field,
            code=group.code,
            count=group.count,
            distinct=len(group.values),
            values=[BadValue(value=value, count=count) for value, count in listed],
            more=len(group.values) - len(listed),
        )
