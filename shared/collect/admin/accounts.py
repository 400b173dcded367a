"""The rights of each service's MongoDB account. They are declared only here.

Each service has its own account with one role, which allows what the service does and nothing else. All roles have the
cluster right `killAnySession`: a worker that takes over a part ends the session of the former owner, which may have
another account. Without the right the server answers `ok` and ends nothing.
"""

from __future__ import annotations

from typing import Any

from pymongo.errors import OperationFailure
from pymongo.uri_parser import parse_uri

from collect.storage.database import Database

_READ = ("find",)
_ADD = ("find", "insert")
_CHANGE = ("find", "insert", "update")
_ALL = ("find", "insert", "update", "remove")
_UPDATE = ("find", "update")
_BLOBS = {"blobs.files": ("find", "insert", "remove"), "blobs.chunks": ("find", "insert", "remove")}
_WORKER = {
    "jobs": _UPDATE,
    "parts": _CHANGE,
    "ledger": _CHANGE,
    "audit": _CHANGE,
    "outbox": _ALL,
    "locks": _CHANGE,
    "orgs": _READ,
    **_BLOBS,
}
"""The rights that the runtime of every worker needs."""
_OF_FILES = {"rejects": _ALL, "corrections": _ADD}
"""Further rights of workers whose jobs read a file."""

_ROLE_NOT_FOUND, _USER_NOT_FOUND = 31, 11

RIGHTS: dict[str, dict[str, tuple[str, ...]]] = {
    "collect-gateway": {
        "jobs": _CHANGE,
        "parts": _CHANGE,
        "ledger": _READ,
        "rejects": _UPDATE,
        "corrections": _READ,
        "audit": _CHANGE,
        "outbox": _ALL,
        "locks": _CHANGE,
        "idempotency": _ALL,
        "orgs": _READ,
        "api_keys": _CHANGE,
        "datasets": _CHANGE,
        "rows": _READ,
        "teams": _READ,
        "members": _READ,
        "forms": _READ,
        "responses": _READ,
        "files": _ALL,
        **_BLOBS,
        "workers": _READ,
        "heartbeats": _READ,
    },
    "collect-worker": {**_WORKER, **_OF_FILES, "datasets": _READ, "rows": _ALL},
    "collect-teams-worker": {**_WORKER, **_OF_FILES, "forms": _READ, "teams": _ALL, "members": _ALL},
    "collect-export-worker": {**_WORKER, "locks": _READ, "forms": _READ, "responses": _READ},
    "collect-monitor": {
        "jobs": _UPDATE,
        "parts": _UPDATE,
        "ledger": _READ,
        "rejects": _READ,
        "audit": _CHANGE,
        "outbox": _ALL,
        "locks": _CHANGE,
        "orgs": _READ,
        "files": ("find", "remove"),
        "workers": _ALL,
        "heartbeats": _ADD,
        "blobs.files": ("find", "remove"),
        "blobs.chunks": ("find", "remove"),
    },
}
"""Role → collection → MongoDB actions."""


ROLE_OF = {
    "gateway": "collect-gateway",
    "upload-worker": "collect-worker",
    "export-worker": "collect-export-worker",
    "teams-worker": "collect-teams-worker",
    "monitor": "collect-monitor",
}
"""Service → the role of its account."""


def roles(database: str) -> list[dict[str, Any]]:
    """Return the roles as `createRole` takes them, for the collections of ``database``."""
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
    """Create or update the roles on the server. Idempotent; the account needs `userAdmin` on `admin`."""
    for role in roles(db.db.name):
        name = role.pop("role")
        try:
            db.client.admin.command("updateRole", name, **role)
        except OperationFailure as error:
            if error.code != _ROLE_NOT_FOUND:
                raise
            db.client.admin.command("createRole", name, **role)


def make_user(db: Database, *, service: str, url: str) -> str:
    """Create or update the account in the service's ``url``, with its password and the service's role.

    Return the account's name. Idempotent; the operator's account needs `userAdmin` on `admin`, and the roles must
    exist.

    Raises:
        ValueError: the URL names no account.
    """
    login = parse_uri(url)
    name, password = login["username"], login["password"]
    if not name or not password:
        raise ValueError(f"The MONGODB_URL of {service} names no account and password.")
    given = {"pwd": password, "roles": [ROLE_OF[service]]}
    try:
        db.client.admin.command("updateUser", name, **given)
    except OperationFailure as error:
        if error.code != _USER_NOT_FOUND:
            raise
        db.client.admin.command("createUser", name, **given)
    return str(name)
