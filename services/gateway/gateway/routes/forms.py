"""Forms, and how many responses each has."""

from __future__ import annotations

import time
from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from collect.jobs.forms import Form
from collect.storage import forms
from gateway.http.auth import caller
from gateway.schemas.pages import PageQuery, one_of_all, page
from gateway.services import services

COUNT_SECONDS = 2.0
"""For counting the responses of all forms of a page together: some millions a second."""
LEAST_SECONDS = 0.1
"""For one form at the least, however long those before it have taken."""

blueprint = APIBlueprint("forms", __name__, url_prefix="/v1/forms", abp_tags=[Tag(name="forms")])


@blueprint.get("")
def show(query: PageQuery) -> dict[str, Any]:
    """List forms.

    With the number of responses to each: counted, or estimated for very large forms, as `responses_exact` says.
    """
    known = forms.all_of(services().db, org_id=caller().org_id)
    found, following = one_of_all(query, known, str, lambda form: form.form_id)
    until = time.monotonic() + COUNT_SECONDS
    return page([_shown(form, until) for form in found], following)


def _shown(form: Form, until: float) -> dict[str, Any]:
    seconds = max(until - time.monotonic(), LEAST_SECONDS)
    responses, exact = forms.response_count(services().db, form, seconds=seconds)
    return {
        "id": form.form_id,
        "form_id": form.form_id,
        "title": form.title,
        "version": form.version,
        "fields": [field.model_dump(exclude_defaults=True) for field in form.fields],
        "responses": responses,
        "responses_exact": exact,
    }
