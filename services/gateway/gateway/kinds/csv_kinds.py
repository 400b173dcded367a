"""The common code of the kinds that read a CSV: their params, checks of params, and the body of a preview."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    Field,
    StrictBool,
    StrictInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from collect.api import answers as api
from collect.api.answers import Holder
from collect.api.previews import FileColumn, SampledReject, SampledRejects
from collect.checks import similar_keys
from collect.checks.duplicate_keys import SampledKeys
from collect.checks.preview import CsvPreview
from collect.checks.warning import Warning, of_a_sample
from collect.csv import encodings, layout
from collect.errors import FieldError, InvalidInput
from collect.jobs.model import MaxRejected
from collect.jobs.template import Template
from collect.storage import files, jobs, results
from collect.storage.files import InputFile
from gateway import answers
from gateway.kinds.kind import Asker
from gateway.schemas.cells import DateFormat, DecimalMark, DelimiterName, Encoding, Header, ValueMap, spelled
from gateway.schemas.requests import Id, RejectLimit, Strict

MOST_STORED_KEYS = 100_000
"""Most stored keys that a preview reads to find keys that are alike. That many take about 0.3 s."""
MOST_SPELT_KEYS = 1_000
"""Most keys of the file whose usual spellings are looked up, when more than ``MOST_STORED_KEYS`` are stored."""
DEFAULT_MAX_REJECTED = MaxRejected(percent=20)


class CsvParams(Strict):
    """`params` of a job that reads a CSV."""

    file_id: Id
    on_conflict: Literal["reject", "queue", "supersede"] = "reject"
    supersedes: Id | None = None
    max_rejected: RejectLimit | None = None
    column_map: dict[Header, Header | None] | None = Field(default=None, max_length=2_000)
    has_header: StrictBool | None = None
    delimiter: DelimiterName | None = None
    encoding: Encoding | None = None
    skip_lines: Annotated[StrictInt, Field(ge=0, le=1_000)] = 0
    trim: StrictBool = False
    blank: Literal["clear", "keep"] = "clear"
    decimal: DecimalMark = "."
    date_formats: list[DateFormat] | None = Field(default=None, max_length=20)
    value_map: ValueMap | None = Field(default=None, max_length=2_000)
    formula_guarded: StrictBool | None = None
    not_finite: StrictBool | None = None

    @model_validator(mode="after")
    def _supersedes_when_superseding(self) -> CsvParams:
        if self.supersedes is not None and self.on_conflict != "supersede":
            raise ValueError('supersedes goes with on_conflict "supersede"')
        return self

    @field_validator("value_map")
    @classmethod
    def _has_its_decimal_mark(cls, value_map: ValueMap | None, info: ValidationInfo) -> ValueMap | None:
        """Numbers of JSON become texts of the file."""
        if any("\0" in good for values in (value_map or {}).values() for good in values.values()):
            raise ValueError("a value that is read instead has no NUL character")
        decimal = info.data.get("decimal", ".")
        return value_map and {
            column: {bad: spelled(good, decimal) for bad, good in values.items()}
            for column, values in value_map.items()
        }

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str | None) -> str | None:
        if encoding is not None and encodings.codec_of(encoding) is None:
            raise ValueError(encodings.unknown(encoding))
        return encoding

    def reject_limit(self) -> MaxRejected:
        """The limit that the job starts with."""
        if self.max_rejected is None:
            return DEFAULT_MAX_REJECTED
        return MaxRejected(rows=self.max_rejected.rows, percent=self.max_rejected.percent)


P = TypeVar("P", bound=CsvParams)


@dataclass(frozen=True, kw_only=True)
class OwnExport:
    """The facts about a file that is, byte for byte, the result of an export of the same organisation.

    ``detected``: params that follow from that and that the caller did not give. ``guards_differ``: an export with
    ``formula_safe`` and one without it wrote the same bytes, so it is not known whether texts are guarded.
    """

    job_id: str
    detected: Mapping[str, bool]
    guards_differ: bool = False


def own_export(asker: Asker, params: CsvParams, file: InputFile) -> OwnExport | None:
    """Return the facts about a file that is the result of the organisation's own export; ``None`` for other files.

    Returns ``None`` too when the caller has given both params that could be detected.
    """
    if params.formula_guarded is not None and params.not_finite is not None:
        return None
    exports = results.with_digest(asker.db, org_id=asker.org_id, sha256=file.sha256)
    if not exports:
        return None
    guards = {guarded for guarded, _ in exports}
    known = {"not_finite": True} if len(guards) > 1 else {"formula_guarded": guards.pop(), "not_finite": True}
    return OwnExport(
        job_id=exports[0][1],
        detected={name: value for name, value in known.items() if getattr(params, name) is None},
        guards_differ="formula_guarded" not in known and params.formula_guarded is None,
    )


def with_detected(params: P, export: OwnExport | None) -> P:
    """Return the params, with the detected params added."""
    return params if export is None else params.model_copy(update=dict(export.detected))


def names_detected(export: OwnExport | None) -> tuple[str, ...]:
    """Return the names of the detected params."""
    return () if export is None else tuple(export.detected)


def _of_own_export(export: OwnExport | None) -> list[Warning]:
    """Return a warning that says how the job reads a file that is the result of an export."""
    if export is None:
        return []
    does = []
    if export.detected.get("formula_guarded"):
        does.append("The apostrophe that the export put before each text that looks like a formula is taken off.")
    if export.guards_differ:
        does.append(
            "Exports with formula_safe and without it have written the same bytes, so that nothing is taken off. Set "
            "formula_guarded to true if the apostrophes before texts that look like formulas are not part of the texts."
        )
    if export.detected.get("not_finite"):
        does.append("In columns of numbers, nan, inf and -inf are read as numbers.")
    message = f"The file is the result of export {export.job_id}, byte for byte. {' '.join(does)}".rstrip()
    evidence = {"job_id": export.job_id, "params": dict(export.detected)}
    return [Warning(code="known_export", message=message, columns=(), evidence=evidence)]


def check_columns(params: CsvParams, template: Template) -> None:
    """Check, before a job is created, the params that name columns and the params that are allowed in one mode only.

    Raises:
        InvalidInput: a param names a column that the template does not have, or does not fit the mode. Each error
            names its param, as in ``params.column_map.<header>``.
    """
    given = params.model_dump()
    shifted = given.get("column_shift") or {}
    errors = [
        *_within("column_map", layout.wrong_targets(params.column_map or {}, template)),
        *_within("column_shift", layout.unknown_columns("column_shift", shifted, template)),
        *_within("value_map", layout.unknown_columns("value_map", params.value_map or {}, template)),
    ]
    if params.blank == "keep" and not layout.is_upsert(given):
        said = 'blank "keep" leaves what is stored, so it goes with mode "upsert" only.'
        errors.append(FieldError("params.blank", "not_an_upsert", said))
    if errors:
        raise InvalidInput(" ".join(error.message for error in errors[: layout.MOST_ERRORS]), errors=errors)


def _within(param: str, errors: Sequence[FieldError]) -> list[FieldError]:
    return [FieldError(f"params.{param}.{error.field}", error.code, error.message) for error in errors]


def file_of(asker: Asker, params: CsvParams, sent: InputFile | None) -> InputFile:
    """Return the file that the job reads: the one that was sent with the request, or the one of ``file_id``.

    Raises:
        NotFound: the organisation does not have this file, or the job that ``supersedes`` names.
    """
    if params.supersedes is not None:
        jobs.get(asker.db, org_id=asker.org_id, job_id=params.supersedes)
    return sent or files.get(asker.db, org_id=asker.org_id, file_id=params.file_id)


def preview_fields(
    seen: CsvPreview,
    params: CsvParams,
    file: InputFile,
    *,
    rows_per_second: float,
    holder: str | None,
    warnings: Sequence[Warning],
    export: OwnExport | None = None,
) -> dict[str, Any]:
    """Return the fields of an :class:`collect.api.previews.UploadPreview`."""
    return {
        "ok": not seen.errors,
        "total_rows": seen.total_rows,
        "seconds": None if seen.total_rows is None else round(seen.total_rows / rows_per_second, 1),
        "blank_rows": seen.blank_rows,
        "warnings": [
            *_many_rejects(seen, params),
            *(_warning(warning) for warning in (*_of_own_export(export), *seen.warnings, *warnings)),
        ],
        "errors": [api.FieldError(**asdict(error)) for error in seen.errors],
        "conflict": Holder(holder=holder) if holder else None,
        "delimiter": seen.delimiter,
        "encoding": seen.encoding,
        "has_header": seen.has_header,
        "columns": [
            FileColumn(
                header=column.header,
                mapped_to=column.mapped_to,
                type_seen=column.type_seen,
                samples=list(column.samples),
            )
            for column in seen.columns
        ],
        "first_rows": [dict(row) for row in seen.first_rows],
        "rejects": SampledRejects(
            sampled_rows=seen.rejects.sampled_rows,
            rejected_rows=seen.rejects.rejected_rows,
            estimate=seen.rejects.estimate,
            items=[
                SampledReject(row=reject.row, line=reject.line, **asdict(reject.errors[0]))
                for reject in seen.rejects.items
            ],
        ),
        "file": answers.file(file),
    }


def keys_alike(
    keys: SampledKeys,
    *,
    column: str,
    stored: Callable[[int], list[str] | None],
    among: Callable[[Iterable[str]], Iterable[str]],
    may_trim: bool,
    seen: CsvPreview,
) -> list[Warning]:
    """Return the warnings of keys of the file that are like other keys, of the file or of stored rows.

    ``stored``: returns all stored keys, or ``None`` if there are more than its argument. Then only the usual spellings
    of some keys of the file are looked up with ``among``, which returns those of its keys that are stored. ``seen``:
    the preview, which says how many rows were read.
    """
    there = stored(MOST_STORED_KEYS)
    if there is None:
        some = keys.some(MOST_SPELT_KEYS)
        there = list(among({spelling for key in some for spelling in (key, *similar_keys.spellings(key))}))
    return similar_keys.warnings(
        similar_keys.find(keys.first_rows, there), column=column, may_trim=may_trim, note=_note(seen)
    )


def _many_rejects(seen: CsvPreview, params: CsvParams) -> list[api.Warning]:
    if seen.total_rows is None or seen.rejects.estimate <= params.reject_limit().limit(seen.total_rows):
        return []
    message = (
        f"About {seen.rejects.estimate:,} of {seen.total_rows:,} rows would be rejected: the job would pause itself."
        f"{_note(seen)}"
    )
    return [api.Warning(code="many_rejects", message=message)]


def _note(seen: CsvPreview) -> str:
    """Return a sentence on how many rows the preview read, or ``""`` if it read all."""
    return of_a_sample(seen.rejects.sampled_rows, seen.total_rows)


def _warning(warning: Warning) -> api.Warning:
    return api.Warning(
        code=warning.code,
        message=warning.message,
        columns=list(warning.columns),
        evidence=dict(warning.evidence),
        **({} if warning.suggestion is None else {"suggestion": dict(warning.suggestion)}),
    )
