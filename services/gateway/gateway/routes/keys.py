"""API keys of the organisation."""

from __future__ import annotations

from flask import Response, g
from flask_openapi3 import APIBlueprint, Tag

from collect.api.answers import Page
from collect.api.data import Key, NewKey
from collect.storage import api_keys
from collect.storage.database import Transaction, transact
from collect.storage.idempotency import Answer
from gateway import answers
from gateway.http.answering import JSON, answering
from gateway.http.auth import caller, needs
from gateway.jobs import create as jobs_create
from gateway.jobs.create import Keep
from gateway.schemas.pages import PageQuery, page, place
from gateway.schemas.requests import KeyBody, KeyPath, until
from gateway.schemas.times import check_ahead
from gateway.services import services

blueprint = APIBlueprint("keys", __name__, url_prefix="/v1/keys", abp_tags=[Tag(name="keys")])


@blueprint.get("")
@needs("admin")
def find(query: PageQuery) -> Page[Key]:
    """List keys.

    Newest first, never with their secrets.
    """
    keys, following = api_keys.page(services().db, org_id=caller().org_id, limit=query.limit, before=place(query, str))
    return page([answers.key(key) for key in keys], following)


@blueprint.post("")
@needs("admin")
@answering({JSON: NewKey}, 201, creates=True)
def create(body: KeyBody) -> Response:
    """Create a key.

    `key` in the answer is the secret. It is shown this once: a repeated answer has `null`.
    """
    new = api_keys.prepare(org_id=caller().org_id, name=body.name, role=body.role, expires_at=until(body.expires_at))

    def make(keep: Keep) -> None:
        check_ahead(body.expires_at, field="expires_at", now=g.requested_at)
        transact(services().db, lambda tx: work(tx, keep))

    def work(tx: Transaction, keep: Keep) -> None:
        api_keys.insert(tx, new)
        keep(tx, Answer(status=201, body={**answers.key(new.key).body(), "key": None}, headers={}))

    return jobs_create.once(jobs_create.fingerprint_of(body.model_dump(mode="json")), make, shown={"key": new.secret})


@blueprint.delete("/<key_id>")
@needs("admin")
def revoke(path: KeyPath) -> Key:
    """Revoke a key.

    In effect at once.
    """
    return answers.key(api_keys.revoke(services().db, org_id=caller().org_id, key_id=path.key_id))
