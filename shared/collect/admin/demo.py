"""What the demo needs to be there: two organisations, each with its dataset and form, and three keys.

Making it twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from collect.demo import baseline, survey
from collect.errors import Unauthorised
from collect.storage import api_keys, datasets, forms, organisations
from collect.storage.database import Database, transact

CONFIRM_THRESHOLD_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class DemoKey:
    """A key of the demo, under the name that scripts know it by."""

    variable: str
    org_id: str
    role: api_keys.Role
    name: str


ORGANISATIONS: Mapping[str, str] = {"labs": "Labs", "other": "Other"}
KEYS: tuple[DemoKey, ...] = (
    DemoKey("COLLECT_API_KEY", "labs", "operator", "demo operator"),
    DemoKey("COLLECT_ADMIN_KEY", "labs", "admin", "demo admin"),
    DemoKey("COLLECT_OTHER_KEY", "other", "operator", "demo operator of other"),
)


def seed(db: Database, *, known: Mapping[str, str]) -> dict[str, str]:
    """Make what is missing; the keys by variable name.

    Keys are stored hashed, so they can only be reused by who still knows them: ``known`` holds those of the last time.
    One that is no longer valid is replaced, and what it replaces is revoked.
    """
    for org_id, name in ORGANISATIONS.items():
        limits = {"confirm_threshold_rows": CONFIRM_THRESHOLD_ROWS}
        organisations.ensure(db, org_id=org_id, name=name, limits=limits)
        ensure_dataset(db, org_id)
        forms.ensure(db, survey.form(org_id))
    return {key.variable: _key(db, key, known.get(key.variable)) for key in KEYS}


def ensure_dataset(db: Database, org_id: str) -> None:
    """Make the dataset ``baseline``; a template that somebody has changed stays as it is."""
    if baseline.NAME not in datasets.names(db, org_id=org_id):
        template = baseline.template()
        transact(db, lambda tx: datasets.put(tx, org_id=org_id, name=baseline.NAME, template=template))


def _key(db: Database, wanted: DemoKey, known: str | None) -> str:
    if known is not None and _is_still(db, wanted, known):
        return known
    _revoke_old(db, wanted)
    return api_keys.create(db, org_id=wanted.org_id, name=wanted.name, role=wanted.role).secret


def _is_still(db: Database, wanted: DemoKey, token: str) -> bool:
    try:
        key = api_keys.verify(db, token)
    except Unauthorised:
        return False
    return key.org_id == wanted.org_id and key.role == wanted.role


def _revoke_old(db: Database, wanted: DemoKey) -> None:
    """Only keys of the demo's own names: those that people made stay."""
    old = {"org_id": wanted.org_id, "name": wanted.name, "revoked_at": None}
    db.api_keys.update_many(old, {"$set": {"revoked_at": datetime.now(UTC)}})
