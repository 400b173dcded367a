"""What the kinds have in common: somebody wants a job, and a kind says what such a job is made from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

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
    """Who wants the job, when, and the stores in which to look. ``key_id``: the API key."""

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
    """A job of some kind that is right in itself: its params as they are kept, and what goes with them.

    ``preview`` says what it would do, and starts nothing. ``gate`` says why the job has to wait for a confirmation,
    or nothing when it may run at once; with ``always`` it has to wait whatever this says. ``choices`` and ``detected``:
    see :class:`collect.jobs.model.Job`.
    """

    params: dict[str, Any]
    preview: Callable[[Confirm], dict[str, Any]]
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
    """One kind.

    ``params``: what its jobs take, as the API describes them. ``template``: what the rows of a job's file are like;
    ``None`` where its jobs read no file.

    ``undone_a_second``: documents that one worker of two slots takes back in a second on a small machine.

    ``look``: what else is wrong with rows that are valid by the template, by row; as far as that is seen in them.

    ``stored``: what is stored of some keys: key → `row`, `written_by`, and `values` of some columns. ``None`` where the
    kind reads no file.

    ``marked``: how many documents carry the job's mark now; ``None`` where nobody else changes what its jobs write.

    ``check`` takes the params as they were sent, and that file, and looks at everything that can be looked at without
    beginning. It raises ``InvalidInput`` for params that are not right and ``NotFound`` for what they name and is not
    there.
    """

    name: str
    params: type[Strict]
    check: Callable[[Asker, dict[str, Any], InputFile | None], Wanted]
    template: Callable[[Database, Job], Template] | None = None
    marked: Callable[[Database, Job], int] | None = None
    look: Callable[[Database, Job, Valid], Mapping[int, Sequence[FieldError]]] | None = None
    stored: Callable[[Database, Job, Collection[str], Collection[str]], Mapping[str, Mapping[str, Any]]] | None = None
    undone_a_second: int = 60_000
