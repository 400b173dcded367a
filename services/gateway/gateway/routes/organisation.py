"""The organisation and its limits."""

from __future__ import annotations

from flask_openapi3 import APIBlueprint, Tag

from collect.api import data as api
from collect.jobs.limits import Limits
from collect.storage import organisations
from collect.storage.organisations import Organisation
from gateway.http.auth import caller, needs
from gateway.schemas.requests import OrganisationBody
from gateway.services import services

blueprint = APIBlueprint("organisation", __name__, url_prefix="/v1/organisation", abp_tags=[Tag(name="organisation")])


@blueprint.get("")
def show() -> api.Organisation:
    """Show the organisation.

    The one that the key acts for.
    """
    return _answer(caller().organisation)


@blueprint.patch("")
@needs("admin")
def patch(body: OrganisationBody) -> api.Organisation:
    """Change limits.

    Limits that are not named stay.
    """
    limits = body.limits.model_dump(exclude_unset=True, exclude_none=True)
    return _answer(organisations.patch(services().db, org_id=caller().org_id, limits=limits))


def _answer(one: Organisation) -> api.Organisation:
    return api.Organisation(id=one.id, name=one.name, limits=Limits(**one.limits.model_dump()))
