"""Query parameters that a route would pass over in silence: unknown ones, and those that are given twice."""

from __future__ import annotations

from functools import cache
from typing import Any, get_type_hints

from flask import current_app, request
from pydantic import BaseModel

from collect.errors import FieldError, InvalidInput
from gateway.http.auth import PUBLIC


def check() -> None:
    """Check the parameters of a request, after its role. Their values are checked by the model of the route's query.

    Raises:
        InvalidInput: a parameter is unknown where a route has none, or a parameter that takes one value has several.
    """
    view = current_app.view_functions.get(request.endpoint or "")
    if not request.args or view is None or getattr(view, PUBLIC, False):
        return
    model = _model(view)
    if model is None:
        errors = [FieldError(name, "extra_forbidden", "There is no such parameter here.") for name in request.args]
    else:
        errors = [
            FieldError(name, "given_twice", "This parameter is given once.")
            for name, values in request.args.lists()
            if len(values) > 1 and name not in _lists(model)
        ]
    if errors:
        names = ", ".join(sorted(error.field for error in errors))
        raise InvalidInput(f"Parameters that cannot be taken: {names}.", errors=errors)


@cache
def _model(view: Any) -> type[BaseModel] | None:
    """The model of a route's query, if it has one."""
    return get_type_hints(view).get("query")


@cache
def _lists(model: type[BaseModel]) -> frozenset[str]:
    """The parameters that may be given several times."""
    properties = model.model_json_schema()["properties"]
    kinds = {name: [schema, *schema.get("anyOf", ())] for name, schema in properties.items()}
    return frozenset(name for name, found in kinds.items() if any(one.get("type") == "array" for one in found))
