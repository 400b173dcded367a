"""The kind `upload`: writes the rows of a file to a dataset, which the job holds while it runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

from collect.api.previews import UploadPreview
from collect.checks import guarded_text, outliers, swapped
from collect.checks import preview as csv_preview
from collect.checks.cleared_values import BlankCells
from collect.checks.duplicate_keys import SampledKeys
from collect.checks.preview import CsvPreview
from collect.checks.warning import Warning
from collect.csv import layout
from collect.csv.reading import Lot
from collect.csv.validation import Valid
from collect.errors import FieldError
from collect.jobs.model import Job
from collect.jobs.template import ColumnType, DatasetName, Template
from collect.rows import batch
from collect.storage import datasets
from collect.storage.database import Database
from collect.storage.files import InputFile
from gateway.http.json_body import checked
from gateway.kinds import csv_kinds
from gateway.kinds.csv_kinds import CsvParams, OwnExport
from gateway.kinds.kind import Asker, Wanted

ROWS_PER_SECOND = 60_000
"""Rows in a second, for a preview's estimate: one worker of two slots on a small machine (docs/figures.md)."""

_TEXTUAL = (ColumnType.STRING, ColumnType.ENUM)


class UploadParams(CsvParams):
    """`params` of an upload."""

    dataset: DatasetName
    mode: Literal["insert", "upsert"] = "insert"


def check(asker: Asker, given: dict[str, Any], sent: InputFile | None) -> Wanted:
    """See :class:`gateway.kinds.kind.Kind`."""
    params = checked(UploadParams, given if sent is None else {**given, "file_id": sent.id}, within="params")
    file = csv_kinds.file_of(asker, params, sent)
    export = csv_kinds.own_export(asker, params, file)
    params = csv_kinds.with_detected(params, export)
    csv_kinds.check_columns(params, datasets.get(asker.db, org_id=asker.org_id, name=params.dataset))
    return Wanted(
        params=params.model_dump(exclude_unset=True) | {"mode": params.mode},
        preview=lambda _: _Preview(asker, params, file, export).answer(),
        lock=datasets.lock_name(org_id=asker.org_id, name=params.dataset),
        on_conflict=params.on_conflict,
        supersedes=params.supersedes,
        max_rejected=params.reject_limit(),
        file=file.ref,
        detected=csv_kinds.names_detected(export),
    )


def template(db: Database, job: Job) -> Template:
    """See :class:`gateway.kinds.kind.Kind`."""
    return datasets.get(db, org_id=job.org_id, name=str(job.params["dataset"]))


def marked(db: Database, job: Job) -> int:
    """See :class:`gateway.kinds.kind.Kind`."""
    return datasets.marked(db, org_id=job.org_id, name=str(job.params["dataset"]), job_id=job.id)


def stored(db: Database, job: Job, keys: Collection[str], columns: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
    """See :class:`gateway.kinds.kind.Kind`."""
    return datasets.marks(db, org_id=job.org_id, name=str(job.params["dataset"]), keys=keys, columns=columns)


class _Preview:
    """The preview of a file of rows. It reads a sample of the file and compares it with the stored rows."""

    def __init__(self, asker: Asker, params: UploadParams, file: InputFile, export: OwnExport | None) -> None:
        self._asker = asker
        self._params = params
        self._file = file
        self._export = export
        self._how = params.model_dump()
        self._template = datasets.get(asker.db, org_id=asker.org_id, name=params.dataset)
        self._keeps_blanks = layout.keeps_blanks(self._how)
        self._keys = SampledKeys()
        self._blanks = BlankCells()

    def answer(self) -> UploadPreview:
        seen = csv_preview.preview(
            self._asker.blobs,
            self._file.blob,
            template=self._template,
            params=self._how,
            sent=self._file.ref,
            look=self._look,
        )
        fields = csv_kinds.preview_fields(
            seen,
            self._params,
            self._file,
            rows_per_second=ROWS_PER_SECOND,
            export=self._export,
            holder=datasets.holder(self._asker.db, org_id=self._asker.org_id, name=self._params.dataset),
            warnings=[
                *self._repeated(seen),
                *self._cleared(seen),
                *self._alike(seen),
                *self._unlikely(seen),
            ],
        )
        return UploadPreview(**fields)

    def _look(self, lot: Lot, valid: Valid) -> Mapping[int, Sequence[FieldError]]:
        self._keys.look(lot, valid)
        if self._params.mode != "upsert":
            return {}
        if not self._keeps_blanks:
            self._blanks.add(valid)
        return self._incomplete(valid)

    def _incomplete(self, valid: Valid) -> dict[int, list[FieldError]]:
        """Return errors for rows that lack a required column and whose key is not stored: they make no new row."""
        wanting = batch.incomplete(valid, self._template)
        keys = {place: valid.keys[place].as_py() for place in wanting}
        stored = self._stored(set(keys.values())) if keys else {}
        return {
            valid.rows[place].as_py(): batch.required(names, lacking=lacking)
            for place, (names, lacking) in wanting.items()
            if keys[place] not in stored
        }

    def _repeated(self, seen: CsvPreview) -> list[Warning]:
        return self._keys.repeated(
            upsert=self._params.mode == "upsert", looked_at=seen.rejects.sampled_rows, total_rows=seen.total_rows
        )

    def _cleared(self, seen: CsvPreview) -> list[Warning]:
        if not self._blanks.columns:
            return []
        stored = self._stored(self._blanks.keys, self._blanks.columns)
        return self._blanks.warnings(stored, looked_at=seen.rejects.sampled_rows, total_rows=seen.total_rows)

    def _alike(self, seen: CsvPreview) -> list[Warning]:
        if not any(self._template.column(name).type in _TEXTUAL for name in self._template.key):
            return []
        return csv_kinds.keys_alike(
            self._keys,
            column=self._template.key[0],
            stored=lambda most: datasets.keys(
                self._asker.db, org_id=self._asker.org_id, name=self._params.dataset, most=most
            ),
            among=self._stored,
            seen=seen,
            may_trim=not self._params.trim,
        )

    def _unlikely(self, seen: CsvPreview) -> list[Warning]:
        if not seen.sampled:
            return []
        stored = datasets.values(
            self._asker.db,
            org_id=self._asker.org_id,
            name=self._params.dataset,
            columns=len(seen.sampled),
            near=self._keys.some(datasets.MOST_STRETCHES),
        )
        found = swapped.find(seen.sampled, stored=stored, column_map=self._params.column_map or {})
        told = {name for warning in found for name in warning.columns}
        guarded = [] if self._params.formula_guarded is not None else guarded_text.find(seen.sampled)
        return [*guarded, *found, *outliers.find(seen.sampled, stored=stored, told=told)]

    def _stored(self, keys: Iterable[str], columns: Collection[str] = ()) -> dict[str, dict[str, Any]]:
        return datasets.of_keys(
            self._asker.db, org_id=self._asker.org_id, name=self._params.dataset, keys=keys, columns=columns
        )
