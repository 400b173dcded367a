"""Creates what the demo needs: two organisations, each with a dataset and a form, and three keys. Idempotent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from collect.demo import baseline, survey
from collect.errors import Unauthorised
from collect.jobs.limits import Role
from collect.storage import api_keys, datasets, forms, organisations
from collect.storage.database import Database, transact

CONFIRM_THRESHOLD_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class DemoKey:
    """A key of the demo. ``variable``: the environment variable by which scripts know it."""

    variable: str
    org_id: str
    role: Role
    name: str


ORGANISATIONS: Mapping[str, str] = {"labs": "Labs", "other": "Other"}
KEYS: tuple[DemoKey, ...] = (
    DemoKey("COLLECT_API_KEY", "labs", "operator", "demo operator"),
    DemoKey("COLLECT_ADMIN_KEY", "labs", "admin", "demo admin"),
    DemoKey("COLLECT_OTHER_KEY", "other", "operator", "demo operator of other"),
)


def seed(db: Database, *, known: Mapping[str, str]) -> dict[str, str]:
    """Create what is missing, and return the keys by variable name.

    Keys are stored as hashes, so they cannot be read back: ``known`` has the keys of the last call. A key that is not
    valid any more is replaced, and the old one is revoked.
    """
    for org_id, name in ORGANISATIONS.items():
        limits = {"confirm_threshold_rows": CONFIRM_THRESHOLD_ROWS}
        organisations.ensure(db, org_id=org_id, name=name, limits=limits)
        ensure_dataset(db, org_id)
        forms.ensure(db, survey.form(org_id))
    return {key.variable: _key(db, key, known.get(key.variable)) for key in KEYS}


def ensure_dataset(db: Database, org_id: str) -> None:
    """Create the dataset ``baseline`` if it is missing. An existing template is not changed."""
    if baseline.NAME not in datasets.names(db, org_id=org_id):
        template = baseline.template()
        transact(db, lambda tx: datasets.put(tx, org_id=org_id, name=baseline.NAME, template=template))


def _key(db: Database, demo_key: DemoKey, token: str | None) -> str:
    if token is not None and _is_valid(db, demo_key, token):
        return token
    _revoke_old(db, demo_key)
    return api_keys.create(db, org_id=demo_key.org_id, name=demo_key.name, role=demo_key.role).secret


def _is_valid(db: Database, demo_key: DemoKey, token: str) -> bool:
    try:
        key = api_keys.verify(db, token)
    except Unauthorised:
        return False
    return key.org_id == demo_key.org_id and key.role == demo_key.role


def _revoke_old(db: Database, demo_key: DemoKey) -> None:
    """Revoke keys with the demo key's name only. Keys that people created stay."""
    old = {"org_id": demo_key.org_id, "name": demo_key.name, "revoked_at": None}
    db.api_keys.update_many(old, {"$set": {"revoked_at": datetime.now(UTC)}})
