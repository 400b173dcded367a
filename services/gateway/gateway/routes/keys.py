"""API keys of the organisation."""

from __future__ import annotations

from typing import Any

from flask import Response, g
from flask_openapi3 import APIBlueprint, Tag

from collect.storage import keys
from collect.storage.database import Transaction, transact
from collect.storage.idempotency import Answer
from gateway import creating, views
from gateway.auth import caller, needs
from gateway.creating import Keep
from gateway.models import KeyBody, KeyPath, until
from gateway.pages import PageQuery, page, place
from gateway.services import services
from gateway.times import check_ahead

blueprint = APIBlueprint("keys", __name__, url_prefix="/v1/keys", abp_tags=[Tag(name="keys")])


@blueprint.get("")
@needs("admin")
def find(query: PageQuery) -> dict[str, Any]:
    """List keys.

    Newest first, never with their secrets.
    """
    found, following = keys.page(services().db, org_id=caller().org_id, limit=query.limit, before=place(query, str))
    return page([views.key(key) for key in found], following)


@blueprint.post("")
@needs("admin")
def create(body: KeyBody) -> Response:
    """Create a key.

    `key` in the answer is the secret. It is shown this once: a repeated answer has `null`.
    """
    new = keys.prepare(org_id=caller().org_id, name=body.name, role=body.role, expires_at=until(body.expires_at))

    def make(keep: Keep) -> None:
        check_ahead(body.expires_at, field="expires_at", now=g.requested_at)
        transact(services().db, lambda tx: work(tx, keep))

    def work(tx: Transaction, keep: Keep) -> None:
        keys.insert(tx, new)
        keep(tx, Answer(status=201, body={**views.key(new.key), "key": None}, headers={}))

    return creating.once(creating.fingerprint_of(body.model_dump(mode="json")), make, shown={"key": new.secret})


@blueprint.delete("/<key_id>")
@needs("admin")
def revoke(path: KeyPath) -> dict[str, Any]:
    """Revoke a key.

    In effect at once.
    """
    return views.key(keys.revoke(services().db, org_id=caller().org_id, key_id=path.key_id))
