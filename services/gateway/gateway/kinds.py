"""The kinds of jobs that can be asked for: a row each, with the model of its params."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from collect.csv import preview as csv_preview
from collect.csv.sources import ENCODINGS
from collect.errors import FieldError, InvalidInput
from collect.jobs.model import MaxRejected
from collect.jobs.template import DatasetName
from collect.storage import datasets
from collect.storage.blobs import Blobs
from collect.storage.database import Database
from collect.storage.files import InputFile
from gateway.models import Header, Id, RejectLimit, Strict
from gateway.times import written

DEFAULT_MAX_REJECTED = MaxRejected(percent=20)
ROWS_PER_SECOND = 60_000
"""For the estimate of a preview: what one worker of two slots does on a small machine (docs/figures.md)."""


class UploadParams(Strict):
    """`params` of an upload."""

    file_id: Id
    dataset: DatasetName
    mode: Literal["insert", "upsert"] = "insert"
    on_conflict: Literal["reject", "queue", "supersede"] = "reject"
    supersedes: Id | None = None
    max_rejected: RejectLimit | None = None
    column_map: dict[Header, Header | None] | None = Field(default=None, max_length=2_000)
    has_header: bool | None = None
    delimiter: Literal[",", ";", "\t", "|"] | None = None
    encoding: Annotated[str, StringConstraints(max_length=50)] | None = None

    @model_validator(mode="after")
    def _supersedes_when_superseding(self) -> UploadParams:
        if self.supersedes is not None and self.on_conflict != "supersede":
            raise ValueError('supersedes goes with on_conflict "supersede"')
        return self

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str | None) -> str | None:
        if encoding is not None and encoding.lower().replace("_", "-") not in ENCODINGS:
            raise ValueError(f"encoding is one of {', '.join(ENCODINGS)}")
        return encoding

    def reject_limit(self) -> MaxRejected:
        """The limit that the job starts with."""
        if self.max_rejected is None:
            return DEFAULT_MAX_REJECTED
        return MaxRejected(rows=self.max_rejected.rows, percent=self.max_rejected.percent)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind. ``lock`` names what its jobs hold; ``preview`` says what a job would do."""

    name: str
    params: type[UploadParams]
    lock: Callable[[str, UploadParams], str]
    preview: Callable[[Database, Blobs, str, UploadParams, InputFile], dict[str, Any]]


def kind(name: str) -> Kind:
    """The kind of that name.

    Raises:
        InvalidInput: there is none.
    """
    if name not in KINDS:
        known = ", ".join(KINDS)
        error = FieldError("kind", "unknown_kind", f"There is no kind {name!r}; there is: {known}.")
        raise InvalidInput(error.message, errors=[error])
    return KINDS[name]


def _upload_lock(org_id: str, params: UploadParams) -> str:
    return datasets.lock_name(org_id=org_id, name=params.dataset)


def _upload_preview(db: Database, blobs: Blobs, org_id: str, params: UploadParams, file: InputFile) -> dict[str, Any]:
    template = datasets.get(db, org_id=org_id, name=params.dataset)
    seen = csv_preview.preview(blobs, file.blob, template=template, params=params.model_dump(), sent=file.ref)
    holder = datasets.holder(db, org_id=org_id, name=params.dataset)
    body: dict[str, Any] = {
        "ok": not seen.errors,
        "total_rows": seen.total_rows,
        "seconds": None if seen.total_rows is None else round(seen.total_rows / ROWS_PER_SECOND, 1),
        "warnings": _warnings(seen, params),
        "errors": [_error(error) for error in seen.errors],
        "conflict": {"holder": holder} if holder else None,
        "delimiter": seen.delimiter,
        "encoding": seen.encoding,
        "has_header": seen.has_header,
        "columns": [
            {
                "header": column.header,
                "mapped_to": column.mapped_to,
                "type_seen": column.type_seen,
                "samples": list(column.samples),
            }
            for column in seen.columns
        ],
        "first_rows": [dict(row) for row in seen.first_rows],
        "rejects": {
            "sampled_rows": seen.rejects.sampled_rows,
            "rejected_rows": seen.rejects.rejected_rows,
            "estimate": seen.rejects.estimate,
            "items": [
                {"row": reject.row, "line": reject.line, **_error(reject.errors[0])} for reject in seen.rejects.items
            ],
        },
    }
    rendered: dict[str, Any] = written(body)
    return rendered


def _warnings(seen: csv_preview.UploadPreview, params: UploadParams) -> list[dict[str, Any]]:
    if seen.total_rows is None or seen.rejects.estimate <= params.reject_limit().limit(seen.total_rows):
        return []
    message = (
        f"About {seen.rejects.estimate:,} of {seen.total_rows:,} rows would be rejected: the job would pause itself."
    )
    return [{"code": "many_rejects", "message": message}]


def _error(error: FieldError) -> dict[str, str]:
    return {"field": error.field, "code": error.code, "message": error.message}


KINDS: dict[str, Kind] = {
    "upload": Kind(name="upload", params=UploadParams, lock=_upload_lock, preview=_upload_preview),
}
