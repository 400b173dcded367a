"""Completes the framework's OpenAPI document: roles, bodies that routes read themselves, headers, error answers."""

from __future__ import annotations

import copy
import inspect
import re
from http import HTTPStatus
from importlib.resources import files
from typing import Any, cast

from flask_openapi3 import OpenAPI
from pydantic import BaseModel

from gateway import examples
from gateway.http.auth import PUBLIC, ROLE
from gateway.jobs import restart
from gateway.kinds.table import KINDS
from gateway.openapi import headers
from gateway.schemas.answers import ANSWERS, BYTES, CSV, JSON, VERBS, JobShown, Shape
from gateway.schemas.requests import CorrectionsBody, CorrectionsForm, NewJobBody, RestartBody

METHODS = ("get", "post", "put", "patch", "delete")
_KEPT = "descriptions"
_PROBLEM_JSON = "application/problem+json"
_MULTIPART = "multipart/form-data"
_TEXT: dict[str, Any] = {"type": "string"}
_IN_RANGES = ("/content", "/result")
_FILE: dict[str, Any] = {"type": "string", "format": "binary"}

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail", "request_id", "errors"],
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable; for programs. Listed in docs/errors.md."},
        "detail": {"type": "string", "description": "For people."},
        "request_id": {"type": ["string", "null"]},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "message"],
                "properties": {"field": _TEXT, "code": _TEXT, "message": _TEXT},
            },
        },
        "state": {"type": "string", "description": "Of the job, when a verb is refused."},
        "allowed_verbs": {"type": "array", "items": _TEXT, "description": "When a verb is refused."},
        "holder": {"type": "string", "description": "The job that holds the dataset."},
    },
}
_HEADERS: dict[str, str] = {
    "Idempotency-Key": "The same key and body replay the first answer, for a day.",
    "If-Match": "The ETag of the job, or of the download, as the caller has seen it; 412 when it is another one now.",
    "If-None-Match": "The ETag of a download that the caller has; 304 when it is the same now.",
    "If-Range": "The ETag of the file of which a part is there; of another one the whole is sent.",
    "Range": "One range of bytes.",
    "X-Organisation": "For platform keys: the organisation to act for.",
}


def described(app: OpenAPI) -> dict[str, Any]:
    """Return the complete OpenAPI document. It is built once for each application."""
    if _KEPT not in app.extensions:
        app.extensions[_KEPT] = _whole(app)
    found: dict[str, Any] = app.extensions[_KEPT]
    return found


def _whole(app: OpenAPI) -> dict[str, Any]:
    document: dict[str, Any] = copy.deepcopy(cast(dict[str, Any], app.api_doc))
    document["info"]["description"] = (files("gateway") / "reference" / "introduction.md").read_text(encoding="utf-8")
    parts = document.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    schemas.pop("ValidationErrorModel", None)
    schemas["Problem"] = _PROBLEM
    models: set[type[BaseModel]] = {NewJobBody, RestartBody, CorrectionsBody, *(kind.params for kind in KINDS.values())}
    models |= {shape for found in ANSWERS.values() for kinds in found.values() for shape in kinds.values() if shape}
    for model in sorted(models, key=_name):
        schemas.update(_schemas(model))
    schemas[_name(NewJobBody)]["properties"]["params"] = {
        "anyOf": [_reference(kind.params) for kind in KINDS.values()],
        "description": "Those of the kind.",
    }
    parts["headers"] = headers.components()
    parts["responses"] = {
        "Problem": {
            "description": "Problem details (RFC 9457).",
            "headers": headers.named(*headers.OF_PROBLEMS),
            "content": {_PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    }
    views = {
        (method.lower(), re.sub(r"<(?:text:)?(\w+)>", r"{\1}", rule.rule)): app.view_functions[rule.endpoint]
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
    }
    for path, operations in document["paths"].items():
        for method in METHODS:
            if method in operations:
                _complete(operations[method], method, path, views[method, path])
    examples.add(document)
    return document


def _complete(operation: dict[str, Any], method: str, path: str, view: Any) -> None:
    operation.pop("description", None)
    operation |= _texts(view)
    body = _body(method, path)
    if body is not None:
        operation["requestBody"] = body
    public = getattr(view, PUBLIC, False)
    if not public:
        operation["security"] = [{"key": []}]
        operation["x-role"] = getattr(view, ROLE, "viewer")
        operation.setdefault("parameters", []).extend(_header(name) for name in _headers(method, path))
    operation["responses"] = {
        str(status): {
            "description": HTTPStatus(status).phrase,
            "headers": headers.named(*_answered(method, path, status, kinds, public=public)),
            "content": {kind: {"schema": _reference(shape) if shape else _TEXT} for kind, shape in kinds.items()},
        }
        for status, kinds in ANSWERS[method, path].items()
    }
    refused = [] if public else _refusals(operation, method, path)
    operation["responses"] |= {str(status): {"$ref": "#/components/responses/Problem"} for status in refused}


def _texts(view: Any) -> dict[str, str]:
    """Return the docstring's first line as the summary, and its other lines as the description, in Markdown.

    The framework itself would put HTML between the lines.
    """
    summary, _, description = inspect.cleandoc(view.__doc__ or "").partition("\n")
    texts = {"summary": summary.removesuffix("."), "description": description.strip()}
    return {name: text for name, text in texts.items() if text}


def _refusals(operation: dict[str, Any], method: str, path: str) -> list[int]:
    found = {400, 401, 404, 422, 429, 503}
    if operation["x-role"] != "viewer":
        found.add(403)
    if "requestBody" in operation:
        found |= {408, 413}
    if JSON in operation.get("requestBody", {}).get("content", {}):
        found.add(415)
    if method in ("post", "put") or path.endswith(("/unprocessed", "/rejects", "/result", "/manifest")):
        found.add(409)
    if path.endswith("/result"):
        found.add(410)
    if _is_verb(method, path):
        found.add(412)
    if path.endswith(_IN_RANGES):
        found |= {412, 416}
    return sorted(found)


def _answered(method: str, path: str, status: int, kinds: dict[str, Shape], *, public: bool) -> list[str]:
    """Return the names of the headers of an answer that is not an error."""
    found = ["X-Request-Id", *(() if public else headers.COUNTED)]
    if _creates(method, path) and status != HTTPStatus.OK:
        found.append("Idempotency-Replayed")
        if not path.endswith(("/keys", "/corrections")):
            found.append("Location")
    if JobShown in kinds.values():
        found.append("ETag")
        if "{job_id}" in path and method != "patch":
            found.append("Retry-After")
    if CSV in kinds or BYTES in kinds:
        found.append("Content-Disposition")
    if path.endswith(_IN_RANGES):
        found += ["Accept-Ranges", "ETag", *(["Repr-Digest"] if kinds else [])]
    if status == HTTPStatus.PARTIAL_CONTENT:
        found.append("Content-Range")
    return found


def _creates(method: str, path: str) -> bool:
    """Return whether the call takes an Idempotency-Key."""
    makes = path in {"/v1/files", "/v1/jobs", "/v1/keys"} or path.endswith(("/restart", "/corrections"))
    return method == "post" and makes


def _headers(method: str, path: str) -> list[str]:
    found = ["X-Organisation"]
    if _creates(method, path):
        found.append("Idempotency-Key")
    if _is_verb(method, path):
        found.append("If-Match")
    if path.endswith(_IN_RANGES):
        found += ["If-Match", "If-None-Match", "If-Range", "Range"]
    return found


def _body(method: str, path: str) -> dict[str, Any] | None:
    """Return the body of a call whose route reads it itself, since it may have several content types; else ``None``."""
    if method != "post":
        return None
    form: dict[str, Any]
    match path:
        case "/v1/files":
            form = {"type": "object", "required": ["file"], "properties": {"file": _FILE}}
            return _content({BYTES: _FILE, _MULTIPART: form})
        case "/v1/jobs":
            job = {"type": "string", "contentMediaType": JSON, "contentSchema": _reference(NewJobBody)}
            form = {"type": "object", "required": ["file", "job"], "properties": {"file": _FILE, "job": job}}
            return _content({JSON: _reference(NewJobBody), _MULTIPART: form})
        case "/v1/jobs/{job_id}/restart":
            params = {"type": "string", "contentMediaType": JSON}
            others = dict.fromkeys(restart.FORM_FIELDS, _TEXT)
            properties = {**others, "params": params, "file": _FILE}
            form = {"type": "object", "required": ["reason"], "properties": properties}
            return _content({JSON: _reference(RestartBody), _MULTIPART: form})
        case "/v1/jobs/{job_id}/corrections":
            properties = {**CorrectionsForm.model_json_schema()["properties"], "file": _FILE}
            form = {"type": "object", "required": ["file"], "properties": properties}
            return _content({JSON: _reference(CorrectionsBody), CSV: _TEXT, _MULTIPART: form})
    return None


def _content(kinds: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {"required": True, "content": {kind: {"schema": schema} for kind, schema in kinds.items()}}


def _schemas(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), _name(model): schema}


def _reference(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{_name(model)}"}


def _name(model: type[BaseModel]) -> str:
    return re.sub(r"\W+", "_", model.__name__).strip("_")


def _header(name: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": _HEADERS[name], "schema": _TEXT}


def _is_verb(method: str, path: str) -> bool:
    return method == "post" and path.rsplit("/", 1)[-1] in (*VERBS, "corrections")
