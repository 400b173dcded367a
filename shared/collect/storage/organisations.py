"""The organisations and their limits."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pymongo import ReturnDocument

from collect.errors import NotFound
from collect.jobs.limits import Limits
from collect.storage.database import Database


class Organisation(BaseModel):
    """An organisation (a tenant) with its limits."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    id: str = Field(alias="_id")
    name: str
    limits: Limits = Limits()


def get(db: Database, *, org_id: str) -> Organisation:
    """Return the organisation.

    Raises:
        NotFound: there is no organisation with that id.
    """
    document = db.orgs.find_one({"_id": org_id})
    if document is None:
        raise NotFound(f"There is no organisation {org_id!r}.")
    return Organisation.model_validate(document)


def ensure(db: Database, *, org_id: str, name: str, limits: dict[str, Any] | None = None) -> None:
    """Create the organisation if it is missing. Idempotent; an existing one keeps its limits."""
    db.orgs.update_one({"_id": org_id}, {"$setOnInsert": {"name": name, "limits": limits or {}}}, upsert=True)


def patch(db: Database, *, org_id: str, limits: dict[str, Any]) -> Organisation:
    """Change the given limits and no others; return the organisation.

    Raises:
        NotFound: there is no such organisation.
    """
    document = db.orgs.find_one_and_update(
        {"_id": org_id},
        {"$set": {f"limits.{name}": value for name, value in limits.items()}} if limits else {"$setOnInsert": {}},
        return_document=ReturnDocument.AFTER,
    )
    if document is None:
        raise NotFound(f"There is no organisation {org_id!r}.")
    return Organisation.model_validate(document)
