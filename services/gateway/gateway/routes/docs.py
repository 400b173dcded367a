"""The API described: for programs (OpenAPI 3.1), and as a page for people."""

from __future__ import annotations

from typing import Any, cast

from flask import Blueprint, Response, current_app, render_template
from flask_openapi3 import OpenAPI

from gateway.auth import public
from gateway.description import METHODS, described

blueprint = Blueprint("docs", __name__, template_folder="../templates")


@blueprint.get("/openapi.json")
@public
def openapi() -> dict[str, Any]:
    """The OpenAPI document, made from the code."""
    return _document()


@blueprint.get("/docs")
@public
def page() -> Response:
    """Every call on one page."""
    document = _document()
    calls = [
        {"method": method.upper(), "path": path, "operation": operations[method]}
        for path, operations in sorted(document["paths"].items())
        for method in METHODS
        if method in operations
    ]
    return Response(render_template("docs.html", info=document["info"], calls=calls), mimetype="text/html")


def _document() -> dict[str, Any]:
    return described(cast(OpenAPI, current_app))
