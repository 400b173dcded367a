"""Query parameters of routes that know none."""

from __future__ import annotations

import inspect
from typing import Any

from flask import current_app, request

from collect.errors import FieldError, InvalidInput
from gateway.auth import PUBLIC


def check() -> None:
    """Before each request, behind the role: a route that reads no query is sent none; the others look for themselves.

    Raises:
        InvalidInput: a parameter that nobody reads, and that would be passed over in silence.
    """
    view = current_app.view_functions.get(request.endpoint or "")
    if not request.args or view is None or getattr(view, PUBLIC, False) or _reads_query(view):
        return
    errors = [FieldError(name, "extra_forbidden", "There is no such parameter here.") for name in request.args]
    names = ", ".join(sorted(request.args))
    raise InvalidInput(f"These are not as they must be: {names}.", errors=errors)


def _reads_query(view: Any) -> bool:
    return "query" in inspect.signature(view).parameters
