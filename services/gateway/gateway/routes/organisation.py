"""The organisation and its limits."""

from __future__ import annotations

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from collect.storage import organisations
from collect.storage.organisations import Organisation
from gateway.http.auth import caller, needs
from gateway.schemas.requests import OrganisationBody
from gateway.services import services

blueprint = APIBlueprint("organisation", __name__, url_prefix="/v1/organisation", abp_tags=[Tag(name="organisation")])


@blueprint.get("")
def show() -> dict[str, Any]:
    """Show the organisation.

    The one that the key acts for.
    """
    return _shown(caller().organisation)


@blueprint.patch("")
@needs("admin")
def patch(body: OrganisationBody) -> dict[str, Any]:
    """Change limits.

    Limits that are not named stay.
    """
    limits = body.limits.model_dump(exclude_unset=True, exclude_none=True)
    return _shown(organisations.patch(services().db, org_id=caller().org_id, limits=limits))


def _shown(found: Organisation) -> dict[str, Any]:
    return {"id": found.id, "name": found.name, "limits": found.limits.model_dump()}
