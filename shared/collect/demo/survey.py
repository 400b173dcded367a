"""The demo's form ``household-survey``: fields of every response, and the questions of the baseline."""

from __future__ import annotations

from collect.demo import baseline
from collect.jobs.forms import FieldType, Form, FormField

FORM_ID = "household-survey"
TITLE = "Household survey"
VERSION = 1

RESPONSE_FIELDS: tuple[FormField, ...] = (
    FormField(name="form_id", type=FieldType.STRING),
    FormField(name="form_version", type=FieldType.INTEGER),
    FormField(name="response_id", type=FieldType.STRING),
    FormField(name="device_id", type=FieldType.STRING),
    FormField(name="started_at", type=FieldType.DATETIME),
    FormField(name="submitted_at", type=FieldType.DATETIME),
    FormField(name="review_status", type=FieldType.ENUM),
    FormField(name="flag_reason", type=FieldType.STRING),
)
QUESTIONS: tuple[FormField, ...] = tuple(
    FormField(name=column["name"], type=FieldType(column["type"])) for column in baseline.TEMPLATE_COLUMNS
)


def form(org_id: str) -> Form:
    """Return the form of the organisation."""
    return Form(org_id=org_id, form_id=FORM_ID, title=TITLE, version=VERSION, fields=(*RESPONSE_FIELDS, *QUESTIONS))
