"""The rights that each service's MongoDB account needs: declared here, and nowhere else.

Each service has an account of its own with one role, which allows what the service does and nothing more. The cluster
right `killAnySession` belongs to all three: whoever takes a part over ends what its last owner has left open, and that
owner had another account. Without it the server answers that all is well, and does nothing.
"""

from __future__ import annotations

from typing import Any

from pymongo.errors import OperationFailure

from collect.storage.database import Database

_READ = ("find",)
_ADD = ("find", "insert")
_CHANGE = ("find", "insert", "update")
_ALL = ("find", "insert", "update", "remove")
_UPDATE = ("find", "update")

_ROLE_NOT_FOUND = 31

RIGHTS: dict[str, dict[str, tuple[str, ...]]] = {
    "collect-gateway": {
        "jobs": _CHANGE,
        "parts": _CHANGE,
        "ledger": _READ,
        "rejects": _READ,
        "audit": _CHANGE,
        "outbox": _ALL,
        "locks": _CHANGE,
        "idempotency": _ALL,
        "orgs": _READ,
        "api_keys": _CHANGE,
        "datasets": _CHANGE,
        "rows": _READ,
        "files": _ALL,
        "blobs.files": ("find", "insert", "remove"),
        "blobs.chunks": ("find", "insert", "remove"),
        "workers": _READ,
        "heartbeats": _READ,
    },
    "collect-worker": {
        "jobs": _UPDATE,
        "parts": _CHANGE,
        "ledger": _CHANGE,
        "rejects": _ALL,
        "audit": _CHANGE,
        "outbox": _ALL,
        "locks": _CHANGE,
        "orgs": _READ,
        "datasets": _READ,
        "rows": _ALL,
        "blobs.files": ("find", "insert", "remove"),
        "blobs.chunks": ("find", "insert", "remove"),
    },
    "collect-monitor": {
        "jobs": _UPDATE,
        "parts": _UPDATE,
        "audit": _CHANGE,
        "outbox": _ALL,
        "locks": _CHANGE,
        "orgs": _READ,
        "workers": _ALL,
        "heartbeats": _ADD,
    },
}
"""Role → collection → actions, as MongoDB names them."""


def roles(database: str) -> list[dict[str, Any]]:
    """The roles as `createRole` takes them, for services whose collections are in ``database``."""
    return [
        {
            "role": role,
            "privileges": [
                *(
                    {"resource": {"db": database, "collection": collection}, "actions": list(actions)}
                    for collection, actions in rights.items()
                ),
                {"resource": {"cluster": True}, "actions": ["killAnySession"]},
            ],
            "roles": [],
        }
        for role, rights in RIGHTS.items()
    ]


def apply(db: Database) -> None:
    """Make the server's roles what is declared here. Idempotent; the account needs `userAdmin` on `admin`."""
    for role in roles(db.db.name):
        name = role.pop("role")
        try:
            db.client.admin.command("updateRole", name, **role)
        except OperationFailure as error:
            if error.code != _ROLE_NOT_FOUND:
                raise
            db.client.admin.command("createRole", name, **role)
