"""What is stored after a storm, as far as it is explained by the files that it comes from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from storm.files import Sheet
from storm.people import lock_of

Document = dict[str, Any]
Place = tuple[str, str | None]


@dataclass
class Stored:
    """Keys by where they are; and for each job the rows of its file that documents come from, and those documents."""

    keys: dict[Place, set[str]] = field(default_factory=lambda: defaultdict(set))
    rows: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    ids: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


class Sheets:
    """The files of a storm, by the jobs that read them."""

    def __init__(self, sheets: Iterable[Sheet]) -> None:
        self._by_name = {sheet.name: sheet for sheet in sheets}
        self._corrected: dict[str, frozenset[int]] = {}
        self._of_job: dict[str, Sheet] = {}

    def corrected(self, rows: Mapping[str, Iterable[int]]) -> None:
        """Take in which rows of which job have been corrected."""
        self._corrected = {job_id: frozenset(of_job) for job_id, of_job in rows.items()}
        self._of_job = {}

    def of(self, job: Document) -> Sheet:
        """The file of the job, with the rows as they have been corrected."""
        job_id, name = job["_id"], str(job["file"]["name"])
        sheet = self._by_name[name.removesuffix(".gz").removesuffix(".csv")]
        if job_id not in self._corrected:
            return sheet
        if job_id not in self._of_job:
            self._of_job[job_id] = replace(sheet, corrected=self._corrected[job_id])
        return self._of_job[job_id]


def job_of(document: Document, jobs: dict[str, Document]) -> Document | None:
    """The job whose mark the document carries."""
    return jobs.get(document["written_by"].partition(":")[0])


def place_of(job: Document) -> Place:
    """Where the job's keys are keys."""
    return job["org_id"], lock_of(job["kind"], job["params"])
