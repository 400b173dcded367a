"""Checks the key, the organisation and the role of a request, before anything else of it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Response, current_app, g, request

from collect.errors import Forbidden, InvalidInput, NotFound, Unauthorised
from collect.jobs.limits import Role
from collect.jobs.model import Actor
from collect.observability import logs
from collect.storage import api_keys, organisations
from collect.storage.api_keys import Key
from collect.storage.organisations import Organisation
from gateway.services import services

View = TypeVar("View", bound=Callable[..., Any])

PUBLIC = "_collect_public"
ROLE = "_collect_role"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The sender of a request: its key, and the organisation for which it acts."""

    key: Key
    organisation: Organisation

    @property
    def org_id(self) -> str:
        return self.organisation.id

    @property
    def actor(self) -> Actor:
        return Actor(id=self.key.id, name=self.key.name)


def public(view: View) -> View:
    """Mark a route that needs no key."""
    setattr(view, PUBLIC, True)
    return view


def needs(role: Role) -> Callable[[View], View]:
    """Return a decorator that allows a route only to keys whose role includes ``role``. The default is ``viewer``."""

    def mark(view: View) -> View:
        setattr(view, ROLE, role)
        return view

    return mark


def caller() -> Caller:
    """Return the caller of this request."""
    found: Caller = g.caller
    return found


def check() -> None:
    """Check a request before it is served: first the key, then the rate, then the role.

    Raises:
        Unauthorised: the request has no valid key.
        InvalidInput: a platform key names no organisation.
        NotFound: a platform key names an organisation that does not exist.
        LimitReached: the key has made too many requests in this minute.
        Forbidden: the key's role is not enough.
    """
    view = current_app.view_functions.get(request.endpoint or "")
    if view is not None and getattr(view, PUBLIC, False):
        return
    key = api_keys.verify(services().db, _token())
    g.caller = Caller(key=key, organisation=_organisation(key))
    g.contexts.enter_context(logs.bound(org_id=g.caller.org_id, key_id=key.id))
    _count(g.caller)
    if view is None:
        return
    role: Role = getattr(view, ROLE, "viewer")
    if not key.may(role):
        raise Forbidden(f"This needs a key of role {role}; yours is {key.role}.")


def tell_limits(answer: Response) -> Response:
    """Add the headers that say how many requests of the key's limit are left. Called after each request."""
    used = g.get("limit")
    if used is not None:
        answer.headers.update(used.headers())
    return answer


def _count(found: Caller) -> None:
    per_minute = found.organisation.limits.requests_per_minute
    counted = services().limiter.count(key_id=found.key.id, per_minute=per_minute)
    if counted is None:
        return
    g.limit, within = counted
    if not within:
        raise g.limit.refuse()


def _token() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorised("Send your API key: Authorization: Bearer ck_…")
    return token.strip()


def _organisation(key: Key) -> Organisation:
    named = request.headers.get("X-Organisation")
    if key.role != "platform" or key.org_id is not None:
        return organisations.get(services().db, org_id=str(key.org_id))
    if named is None:
        raise InvalidInput("A platform key names the organisation that it acts for: X-Organisation.", malformed=True)
    try:
        return organisations.get(services().db, org_id=named)
    except NotFound as error:
        raise NotFound("There is no such organisation.") from error
