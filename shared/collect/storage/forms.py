"""The published forms. Jobs and requests read them; only administration commands write them."""

from __future__ import annotations

from pymongo import ASCENDING
from pymongo.errors import ExecutionTimeout

from collect.errors import NotFound
from collect.exporting.selection import select
from collect.jobs.forms import Form
from collect.storage import estimates
from collect.storage.database import Database, now
from collect.storage.indexes import EXPORT_INDEX

MOST_COUNTED_AGAIN = 1_000
"""Most responses that the estimate of :func:`response_count` counts. Few, because a count has just timed out."""


def get(db: Database, *, org_id: str, form_id: str) -> Form:
    """Return the form.

    Raises:
        NotFound: the organisation has no form with that id.
    """
    document = db.forms.find_one({"_id": _id(org_id, form_id), "org_id": org_id})
    if document is None:
        raise NotFound(f"There is no form {form_id!r}.")
    return Form.model_validate(document)


def all_of(db: Database, *, org_id: str) -> list[Form]:
    """Return the organisation's forms, in the order of their ids."""
    found = db.forms.find({"org_id": org_id}).sort([("org_id", ASCENDING), ("form_id", ASCENDING)])
    return [Form.model_validate(document) for document in found]


def response_count(db: Database, form: Form, *, seconds: float) -> tuple[int, bool]:
    """Return the number of responses of the form, and whether it is exact.

    It is exact if the responses can be counted in the index within ``seconds``. Otherwise it is an estimate from the
    index.
    """
    query = {"org_id": form.org_id, "form_id": form.form_id}
    command = {"count": "responses", "query": query, "hint": dict(EXPORT_INDEX), "maxTimeMS": round(seconds * 1000)}
    try:
        return int(db.db.command(command)["n"]), True
    except ExecutionTimeout:
        return estimates.estimate(db, select({}, form, created_at=now()), most=MOST_COUNTED_AGAIN).rows, False


def ensure(db: Database, form: Form) -> None:
    """Insert the form, or replace it if it exists. Idempotent."""
    db.forms.replace_one({"_id": _id(form.org_id, form.form_id)}, form.model_dump(mode="json"), upsert=True)


def _id(org_id: str, form_id: str) -> str:
    return f"{org_id}:{form_id}"
