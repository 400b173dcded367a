"""The kind `export`: writes the responses of a form, selected by dates and filters, to one file."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StrictBool, StringConstraints

from collect.exporting import selection
from collect.exporting.selection import MOST_FILTERS
from collect.jobs.export_formats import Format
from collect.storage import choices, forms
from collect.storage.files import InputFile
from gateway.http.json_body import checked
from gateway.kinds import export_preview
from gateway.kinds.kind import Asker, Wanted
from gateway.schemas.cells import DelimiterName
from gateway.schemas.requests import Id, Strict

MOST_COLUMNS = 2_000
ColumnName = Annotated[str, StringConstraints(max_length=1_000)]
TimeText = Annotated[str, StringConstraints(max_length=50)]


class Filter(Strict):
    """One condition. Which operators and values go with a field, its type in the form says."""

    field: ColumnName
    op: Annotated[str, StringConstraints(max_length=20)]
    value: Any = None


class ExportParams(Strict):
    """`params` of an export."""

    form_id: Id
    from_date: TimeText | None = None
    to_date: TimeText | None = None
    filters: list[Filter] = Field(default_factory=list, max_length=MOST_FILTERS)
    columns: list[ColumnName] | None = Field(default=None, max_length=MOST_COLUMNS)
    format: Format = "csv"
    formula_safe: StrictBool = True
    time_zone: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    bom: StrictBool = False
    delimiter: DelimiterName | None = None
    split_multiple: StrictBool = False
    null_text: str | None = None


def check(asker: Asker, given: dict[str, Any], sent: InputFile | None) -> Wanted:
    """See :class:`gateway.kinds.kind.Kind`. Keeps the given params; adds ``format`` and ``formula_safe`` if missing."""
    params = checked(ExportParams, given, within="params")
    form = forms.get(asker.db, org_id=asker.org_id, form_id=params.form_id)
    chosen = selection.select(params.model_dump(), form, created_at=asker.at)
    found = choices.find(asker.db, chosen) if params.split_multiple else choices.NONE
    chosen = selection.split(chosen, found.by_field)
    kept = params.model_dump(exclude_unset=True)
    kept |= {"format": params.format, "formula_safe": params.formula_safe}
    return Wanted(
        params=kept,
        preview=lambda confirm: export_preview.preview(asker, chosen, confirm, found),
        gate=lambda confirm: export_preview.gate(asker, chosen, confirm),
        choices=tuple(found.by_field.items()),
    )
