"""The contract of a kind of job: how it checks a request, and what a new job is made from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from collect.api.previews import AnyPreview
from collect.csv.validation import Valid
from collect.errors import FieldError
from collect.jobs.model import Confirm, FileRef, Job, MaxRejected, OnConflict, Reason
from collect.jobs.template import Template
from collect.storage.database import Database
from collect.storage.files import InputFile
from collect.storage.object_store import Blobs
from collect.storage.organisations import Organisation
from gateway.schemas.requests import Strict


@dataclass(frozen=True, kw_only=True)
class Asker:
    """The organisation and the key that ask for a job, the time of the request, and the stores for the checks.

    ``key_id``: the id of the API key.
    """

    db: Database
    blobs: Blobs
    organisation: Organisation
    key_id: str
    at: datetime

    @property
    def org_id(self) -> str:
        return self.organisation.id


def _free(confirm: Confirm) -> Reason | None:
    return None


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A valid request for a job: the params that are stored with the job, and its other fields.

    ``preview`` returns what the job would do, and starts nothing. ``gate`` returns the reason why the job has to wait
    for a confirmation, or ``None`` when it may run at once; with the rule ``always`` the job waits in either case.
    ``choices`` and ``detected``: see :class:`collect.jobs.model.Job`.
    """

    params: dict[str, Any]
    preview: Callable[[Confirm], AnyPreview]
    gate: Callable[[Confirm], Reason | None] = _free
    lock: str | None = None
    on_conflict: OnConflict = "reject"
    supersedes: str | None = None
    max_rejected: MaxRejected | None = None
    file: FileRef | None = None
    choices: tuple[tuple[str, tuple[str, ...]], ...] = ()
    detected: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of job.

    ``params``: the model of the params, which the API also describes.

    ``check``: takes the params of the request and the file that was sent with it, and makes every check that needs no
    write. It raises ``InvalidInput`` for invalid params, and ``NotFound`` when they name a thing that does not exist.

    ``template``: returns the template of the rows of a job's file; ``None`` for a kind that reads no file.

    ``marked``: returns how many documents carry the job's mark now; ``None`` for a kind whose documents no other job
    changes.

    ``look``: returns further errors of rows that are valid by the template, by row number. It finds only errors that
    the rows themselves show.

    ``stored``: returns the stored documents of some keys: key → `row`, `written_by`, and `values` of some columns.
    ``None`` for a kind that reads no file.

    ``undone_a_second``: documents that one worker of two slots takes back in a second on a small machine.
    """

    name: str
    params: type[Strict]
    check: Callable[[Asker, dict[str, Any], InputFile | None], Wanted]
    template: Callable[[Database, Job], Template] | None = None
    marked: Callable[[Database, Job], int] | None = None
    look: Callable[[Database, Job, Valid], Mapping[int, Sequence[FieldError]]] | None = None
    stored: Callable[[Database, Job, Collection[str], Collection[str]], Mapping[str, Mapping[str, Any]]] | None = None
    undone_a_second: int = 60_000
