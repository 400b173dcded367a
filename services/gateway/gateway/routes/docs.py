"""The API reference: the OpenAPI document for programs, and Swagger UI for people.

The page needs no other server. Its scripts and styles come from the package of the framework's plugin and from this
one, and a content security policy forbids everything else, inline scripts and styles included.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, cast

from flask import Blueprint, Response, abort, current_app, make_response, render_template, request
from flask_openapi3 import OpenAPI

from gateway.http.auth import public
from gateway.openapi.description import described

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""What the page may load and do. Images: those in Swagger UI's own styles."""
ASSET_SECONDS = 3600
"""How long a browser may keep an asset without asking."""

_OURS, _SWAGGER = files("gateway") / "reference", files("flask_openapi3_swagger") / "templates" / "swagger"
ASSETS: dict[str, tuple[Traversable, str]] = {
    "page.js": (_OURS / "page.js", "text/javascript"),
    "page.css": (_OURS / "page.css", "text/css"),
    "swagger-ui-bundle.js": (_SWAGGER / "js" / "swagger-ui-bundle.js", "text/javascript"),
    "swagger-ui.css": (_SWAGGER / "css" / "swagger-ui.css", "text/css"),
    "swagger.svg": (_SWAGGER / "images" / "swagger.svg", "image/svg+xml"),
}
"""Name → the file, and its content type."""

blueprint = Blueprint("docs", __name__, template_folder="../reference")


@blueprint.get("/openapi.json")
@public
def openapi() -> dict[str, Any]:
    """The OpenAPI document, made from the code."""
    return described(cast(OpenAPI, current_app))


@blueprint.get("/docs")
@public
def page() -> Response:
    """The page. Its addresses are relative, so that it works behind a prefix too."""
    root = "../" if request.path.endswith("/") else ""
    answer = make_response(render_template("page.html", root=root))
    answer.headers["Content-Security-Policy"] = POLICY
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


@blueprint.get("/docs/assets/<name>")
@public
def asset(name: str) -> Response:
    """A script, style or image of the page."""
    if name not in ASSETS:
        abort(404)
    file, kind = ASSETS[name]
    answer = Response(file.read_bytes(), mimetype=kind)
    answer.cache_control.public, answer.cache_control.max_age = True, ASSET_SECONDS
    answer.add_etag()
    answer.make_conditional(request)
    return answer
