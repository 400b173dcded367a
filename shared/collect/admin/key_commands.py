"""`collect-admin keys`: who may ask for what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from collect.admin.connection import Admin, json_option, pass_admin
from collect.errors import NotFound
from collect.storage import api_keys as store
from collect.storage import organisations


@click.group()
@json_option
def keys() -> None:
    """API keys: list, create, revoke."""


@keys.command("list")
@click.option("--org", "org_id", help="Only those of one organisation.")
@json_option
@pass_admin
def list_keys(admin: Admin, org_id: str | None) -> None:
    """All keys; their secrets are stored nowhere."""
    query = {} if org_id is None else {"org_id": org_id}
    found = [_shown(document) for document in admin.db.api_keys.find(query, {"secret_hash": 0}).sort("_id", 1)]
    admin.answer(found, [_line(key) for key in found])


@keys.command("create")
@click.option("--org", "org_id", help="The key's organisation; not for role platform.")
@click.option("--role", required=True, type=click.Choice(store.ROLES))
@click.option("--name", required=True, help="Shown with what is done with it.")
@click.option("--expires", "expires_at", type=click.DateTime(), help="Until when it is valid (UTC).")
@json_option
@pass_admin
def create_key(admin: Admin, org_id: str | None, role: store.Role, name: str, expires_at: datetime | None) -> None:
    """Make a key; it is shown this once."""
    if (org_id is None) != (role == "platform"):
        raise click.UsageError("--org is needed for every role but platform.")
    if org_id is not None:
        organisations.get(admin.db, org_id=org_id)
    at = None if expires_at is None else expires_at.replace(tzinfo=UTC)
    if at is not None and at <= datetime.now(UTC):
        raise click.BadParameter("this time is past; times are in UTC", param_hint="--expires")
    made = store.create(admin.db, org_id=org_id, name=name, role=role, expires_at=at)
    admin.answer({"id": made.key.id, "key": made.secret}, [made.secret])


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
@json_option
@pass_admin
def revoke_key(admin: Admin, key_id: str) -> None:
    """Make a key invalid at once. Harmless when repeated."""
    known = admin.db.api_keys.find_one({"_id": key_id}, {"org_id": 1})
    if known is None:
        raise NotFound(f"There is no key {key_id!r}.")
    store.revoke(admin.db, org_id=known["org_id"], key_id=key_id)
    admin.answer({"id": key_id, "revoked": True}, [f"Key {key_id} is revoked."])


def _shown(document: dict[str, Any]) -> dict[str, Any]:
    return {"id": document.pop("_id"), **document}


def _line(key: dict[str, Any]) -> str:
    state = "revoked" if key.get("revoked_at") else "valid"
    return f"{key['id']}  {key.get('org_id') or '(all)':<12} {key['role']:<9} {state:<8} {key['name']}"
