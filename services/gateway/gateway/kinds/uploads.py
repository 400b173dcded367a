"""Uploads: the rows of a file go into a dataset, which the job holds meanwhile."""

from __future__ import annotations

from typing import Any, Literal

from collect.csv import preview as csv_preview
from collect.csv import swapped, unlike
from collect.csv.preview import CsvPreview
from collect.csv.repeated import SampledKeys
from collect.csv.suspicion import Suspicion
from collect.jobs.model import Job
from collect.jobs.template import DatasetName, Template
from collect.storage import datasets
from collect.storage.database import Database
from collect.storage.files import InputFile
from gateway.bodies import checked
from gateway.kinds import csv_kinds
from gateway.kinds.csv_kinds import CsvParams
from gateway.kinds.wanted import Asker, Wanted

ROWS_PER_SECOND = 60_000
"""For the estimate of a preview: what one worker of two slots does on a small machine (docs/figures.md)."""


class UploadParams(CsvParams):
    """`params` of an upload."""

    dataset: DatasetName
    mode: Literal["insert", "upsert"] = "insert"


def check(asker: Asker, given: dict[str, Any], sent: InputFile | None) -> Wanted:
    """See :class:`gateway.kinds.wanted.Kind`."""
    params = checked(UploadParams, given if sent is None else {**given, "file_id": sent.id}, within="params")
    file = csv_kinds.file_of(asker, params, sent)
    csv_kinds.check_columns(params, datasets.get(asker.db, org_id=asker.org_id, name=params.dataset))
    return Wanted(
        params=params.model_dump(exclude_unset=True) | {"mode": params.mode},
        preview=lambda _: _preview(asker, params, file),
        lock=datasets.lock_name(org_id=asker.org_id, name=params.dataset),
        on_conflict=params.on_conflict,
        supersedes=params.supersedes,
        max_rejected=params.reject_limit(),
        file=file.ref,
    )


def template(db: Database, job: Job) -> Template:
    """See :class:`gateway.kinds.wanted.Kind`."""
    return datasets.get(db, org_id=job.org_id, name=str(job.params["dataset"]))


def marked(db: Database, job: Job) -> int:
    """See :class:`gateway.kinds.wanted.Kind`."""
    return datasets.marked(db, org_id=job.org_id, name=str(job.params["dataset"]), job_id=job.id)


def _preview(asker: Asker, params: UploadParams, file: InputFile) -> dict[str, Any]:
    found = datasets.get(asker.db, org_id=asker.org_id, name=params.dataset)
    keys = SampledKeys()
    seen = csv_preview.preview(
        asker.blobs, file.blob, template=found, params=params.model_dump(), sent=file.ref, look=keys.look
    )
    holder = datasets.holder(asker.db, org_id=asker.org_id, name=params.dataset)
    suspicions = [*keys.repeated(upsert=params.mode == "upsert"), *_suspicions(asker, params, seen, keys)]
    return csv_kinds.preview_body(
        seen, params, file, rows_per_second=ROWS_PER_SECOND, holder=holder, suspicions=suspicions
    )


def _suspicions(asker: Asker, params: UploadParams, seen: CsvPreview, keys: SampledKeys) -> list[Suspicion]:
    if not seen.sampled:
        return []
    stored = datasets.values(
        asker.db,
        org_id=asker.org_id,
        name=params.dataset,
        columns=len(seen.sampled),
        near=keys.some(datasets.MOST_STRETCHES),
    )
    found = swapped.find(seen.sampled, stored=stored, column_map=params.column_map or {})
    told = {name for suspicion in found for name in suspicion.columns}
    return [*found, *unlike.find(seen.sampled, stored=stored, told=told)]
