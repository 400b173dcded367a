"""API keys of the organisation."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from collect.storage import keys
from collect.storage.idempotency import Answer
from gateway import creating, views
from gateway.auth import caller, needs
from gateway.models import KeyBody, KeyPath, until
from gateway.pages import PageQuery, page, place
from gateway.services import services

blueprint = APIBlueprint("keys", __name__, url_prefix="/v1/keys", abp_tags=[Tag(name="keys")])


@blueprint.get("")
@needs("admin")
def find(query: PageQuery) -> dict[str, Any]:
    """The organisation's keys, newest first; never their secrets."""
    found, following = keys.page(services().db, org_id=caller().org_id, limit=query.limit, before=place(query, str))
    return page([views.key(key) for key in found], following)


@blueprint.post("")
@needs("admin")
def create(body: KeyBody) -> Response:
    """Make a key; `key` in the answer is the secret, shown this once."""

    def answer() -> Answer:
        made = keys.create(
            services().db, org_id=caller().org_id, name=body.name, role=body.role, expires_at=until(body.expires_at)
        )
        return Answer(status=201, body={**views.key(made.key), "key": made.secret}, headers={})

    return creating.once(creating.fingerprint_of(body.model_dump(mode="json")), answer, secret="key")


@blueprint.delete("/<key_id>")
@needs("admin")
def revoke(path: KeyPath) -> dict[str, Any]:
    """End a key, at once."""
    return views.key(keys.revoke(services().db, org_id=caller().org_id, key_id=path.key_id))
