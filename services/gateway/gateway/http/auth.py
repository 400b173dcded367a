"""Who calls, for which organisation, and what their role allows. Checked before anything else of a request is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Response, current_app, g, request

from collect.errors import Forbidden, InvalidInput, NotFound, Unauthorised
from collect.jobs.model import Actor
from collect.observability import logs
from collect.storage import api_keys, organisations
from collect.storage.api_keys import Key, Role
from collect.storage.organisations import Organisation
from gateway.services import services

View = TypeVar("View", bound=Callable[..., Any])

PUBLIC = "_collect_public"
ROLE = "_collect_role"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Whoever sent the request, acting for ``organisation``."""

    key: Key
    organisation: Organisation

    @property
    def org_id(self) -> str:
        return self.organisation.id

    @property
    def actor(self) -> Actor:
        return Actor(id=self.key.id, name=self.key.name)


def public(view: View) -> View:
    """Nobody has to show a key."""
    setattr(view, PUBLIC, True)
    return view


def needs(role: Role) -> Callable[[View], View]:
    """Only keys whose role includes ``role``; without it, ``viewer``."""

    def mark(view: View) -> View:
        setattr(view, ROLE, role)
        return view

    return mark


def caller() -> Caller:
    """Who sent this request."""
    found: Caller = g.caller
    return found


def check() -> None:
    """Before each request: authentication, then the rate, then the role.

    Raises:
        Unauthorised, LimitReached, Forbidden: in this order.
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
    """After each request: how much of the limit is left."""
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
