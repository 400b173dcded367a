"""Forms, and how many responses each has."""

from __future__ import annotations

import time

from flask_openapi3 import APIBlueprint, Tag

from collect.api import data as api
from collect.api.answers import Page
from collect.jobs.forms import Form, FormField
from collect.storage import forms
from gateway.http.auth import caller
from gateway.schemas.pages import PageQuery, one_of_all, page
from gateway.services import services

COUNT_SECONDS = 2.0
"""Longest time to count the responses of all forms on a page, in seconds."""
LEAST_SECONDS = 0.1
"""Shortest time to count the responses of one form, in seconds."""

blueprint = APIBlueprint("forms", __name__, url_prefix="/v1/forms", abp_tags=[Tag(name="forms")])


@blueprint.get("")
def show(query: PageQuery) -> Page[api.Form]:
    """List forms.

    With the number of responses to each: counted, or estimated for very large forms, as `responses_exact` says.
    """
    all_forms = forms.all_of(services().db, org_id=caller().org_id)
    shown, following = one_of_all(query, all_forms, str, lambda form: form.form_id)
    until = time.monotonic() + COUNT_SECONDS
    return page([_answer(form, until) for form in shown], following)


def _answer(form: Form, until: float) -> api.Form:
    seconds = max(until - time.monotonic(), LEAST_SECONDS)
    responses, exact = forms.response_count(services().db, form, seconds=seconds)
    return api.Form(
        id=form.form_id,
        form_id=form.form_id,
        title=form.title,
        version=form.version,
        fields=[FormField(**field.model_dump(exclude_defaults=True)) for field in form.fields],
        responses=responses,
        responses_exact=exact,
    )
