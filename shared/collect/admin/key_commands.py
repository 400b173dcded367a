"""`collect-admin keys`: list, create and revoke API keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from collect.admin.connection import Admin, json_option, pass_admin
from collect.errors import NotFound
from collect.jobs.limits import ROLES, Role
from collect.storage import api_keys as store
from collect.storage import organisations


@click.group()
@json_option
def keys() -> None:
    """List, create or revoke API keys."""


@keys.command("list")
@click.option("--org", "org_id", help="List only the keys of this organisation.")
@json_option
@pass_admin
def list_keys(admin: Admin, org_id: str | None) -> None:
    """List the keys. Their secrets are not stored, so they cannot be shown."""
    query = {} if org_id is None else {"org_id": org_id}
    shown = [_shown(document) for document in admin.db.api_keys.find(query, {"secret_hash": 0}).sort("_id", 1)]
    admin.answer(shown, [_line(key) for key in shown])


@keys.command("create")
@click.option("--org", "org_id", help="Organisation of the key; not for role platform.")
@click.option("--role", required=True, type=click.Choice(ROLES))
@click.option("--name", required=True, help="Name that the audit trail shows.")
@click.option("--expires", "expires_at", type=click.DateTime(), help="End of its validity (UTC).")
@json_option
@pass_admin
def create_key(admin: Admin, org_id: str | None, role: Role, name: str, expires_at: datetime | None) -> None:
    """Create a key. Its secret is shown only now."""
    if (org_id is None) != (role == "platform"):
        raise click.UsageError("--org is needed for every role except platform, which takes none.")
    if org_id is not None:
        organisations.get(admin.db, org_id=org_id)
    at = None if expires_at is None else expires_at.replace(tzinfo=UTC)
    if at is not None and at <= datetime.now(UTC):
        raise click.BadParameter("this time has passed; times are in UTC", param_hint="--expires")
    created = store.create(admin.db, org_id=org_id, name=name, role=role, expires_at=at)
    admin.answer({"id": created.key.id, "key": created.secret}, [created.secret])


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
@json_option
@pass_admin
def revoke_key(admin: Admin, key_id: str) -> None:
    """Make a key invalid at once. Safe to repeat."""
    stored = admin.db.api_keys.find_one({"_id": key_id}, {"org_id": 1})
    if stored is None:
        raise NotFound(f"There is no key {key_id!r}.")
    store.revoke(admin.db, org_id=stored["org_id"], key_id=key_id)
    admin.answer({"id": key_id, "revoked": True}, [f"Key {key_id} is revoked."])


def _shown(document: dict[str, Any]) -> dict[str, Any]:
    return {"id": document.pop("_id"), **document}


def _line(key: dict[str, Any]) -> str:
    state = "revoked" if key.get("revoked_at") else "valid"
    return f"{key['id']}  {key.get('org_id') or '(all)':<12} {key['role']:<9} {state:<8} {key['name']}"
