"""Completes the framework's OpenAPI document: roles, bodies that routes read themselves, headers, error answers."""

from __future__ import annotations

import copy
import inspect
import re
from http import HTTPStatus
from importlib.resources import files
from typing import Any, cast, get_args

from flask_openapi3 import OpenAPI
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode

from collect.api.jobs import Job
from gateway import examples
from gateway.http.answering import BYTES, CSV, JSON, Answers, Model, stated
from gateway.http.auth import PUBLIC, ROLE
from gateway.jobs import restart
from gateway.kinds.table import KINDS
from gateway.openapi import headers
from gateway.schemas.requests import CorrectionsBody, CorrectionsForm, NewJobBody, RestartBody

METHODS = ("get", "post", "put", "patch", "delete")
_KEPT = "descriptions"
_PROBLEM_JSON = "application/problem+json"
_MULTIPART = "multipart/form-data"
_TEXT: dict[str, Any] = {"type": "string"}
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
    bodies: list[type[BaseModel]] = [
        NewJobBody,
        RestartBody,
        CorrectionsBody,
        *(kind.params for kind in KINDS.values()),
    ]
    for body in bodies:
        _add(schemas, body, "validation")
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
                answers = stated(views[method, path])
                for model in _models(answers):
                    _add(schemas, model, "serialization")
                _complete(operations[method], method, path, views[method, path], answers)
    examples.add(document)
    return document


def _complete(operation: dict[str, Any], method: str, path: str, view: Any, answers: Answers) -> None:
    operation.pop("description", None)
    operation |= _texts(view)
    body = _body(method, path)
    if body is not None:
        operation["requestBody"] = body
    public = getattr(view, PUBLIC, False)
    if not public:
        operation["security"] = [{"key": []}]
        operation["x-role"] = getattr(view, ROLE, "viewer")
        operation.setdefault("parameters", []).extend(_header(name) for name in _headers(answers))
    operation["responses"] = {
        str(status): {
            "description": HTTPStatus(status).phrase,
            "headers": headers.named(*_answered(path, answers, status, public=public)),
            "content": {kind: {"schema": _reference(model) if model else _TEXT} for kind, model in content.items()},
        }
        for status, content in sorted(answers.by_status.items())
    }
    refused = [] if public else _refusals(operation, method, path, answers)
    operation["responses"] |= {str(status): {"$ref": "#/components/responses/Problem"} for status in refused}


def _texts(view: Any) -> dict[str, str]:
    """Return the docstring's first line as the summary, and its other lines as the description, in Markdown.

    The framework itself would put HTML between the lines.
    """
    summary, _, description = inspect.cleandoc(view.__doc__ or "").partition("\n")
    texts = {"summary": summary.removesuffix("."), "description": description.strip()}
    return {name: text for name, text in texts.items() if text}


def _refusals(operation: dict[str, Any], method: str, path: str, answers: Answers) -> list[int]:
    statuses = {400, 401, 404, 422, 429, 503}
    if operation["x-role"] != "viewer":
        statuses.add(403)
    if "requestBody" in operation:
        statuses |= {408, 413}
    if JSON in operation.get("requestBody", {}).get("content", {}):
        statuses.add(415)
    if method in ("post", "put") or path.endswith(("/unprocessed", "/rejects", "/result", "/manifest")):
        statuses.add(409)
    if path.endswith("/result"):
        statuses.add(410)
    if answers.conditional or answers.ranges:
        statuses.add(412)
    if answers.ranges:
        statuses.add(416)
    return sorted(statuses)


def _answered(path: str, answers: Answers, status: int, *, public: bool) -> list[str]:
    """Return the names of the headers of an answer that is not an error."""
    content = answers.by_status[status]
    names = ["X-Request-Id", *(() if public else headers.COUNTED)]
    if answers.creates and status != HTTPStatus.OK:
        names.append("Idempotency-Replayed")
        if not path.endswith(("/keys", "/corrections")):
            names.append("Location")
    if Job in content.values():
        names.append("ETag")
        if answers.waits:
            names.append("Retry-After")
    if CSV in content or BYTES in content:
        names.append("Content-Disposition")
    if answers.ranges:
        names += ["Accept-Ranges", "ETag", *(["Repr-Digest"] if content else [])]
    if status == HTTPStatus.PARTIAL_CONTENT:
        names.append("Content-Range")
    return names


def _headers(answers: Answers) -> list[str]:
    names = ["X-Organisation"]
    if answers.creates:
        names.append("Idempotency-Key")
    if answers.conditional:
        names.append("If-Match")
    if answers.ranges:
        names += ["If-Match", "If-None-Match", "If-Range", "Range"]
    return names


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


def _models(answers: Answers) -> set[type[BaseModel]]:
    models = {model for content in answers.by_status.values() for model in content.values() if model is not None}
    return {each for model in models for each in get_args(model) or (model,)}


def _add(schemas: dict[str, Any], model: type[BaseModel], mode: JsonSchemaMode) -> None:
    """Add the schemas of a model, and of the models in it, to the components.

    Raises:
        ValueError: another model has the same name.
    """
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}", mode=mode)
    for name, added in {**schema.pop("$defs", {}), _name(model): schema}.items():
        if schemas.setdefault(name, added) != added:
            raise ValueError(f"two models of the API are called {name}")


def _reference(model: Model) -> dict[str, Any]:
    if several := get_args(model):
        return {"anyOf": [_reference(each) for each in several]}
    return {"$ref": f"#/components/schemas/{_name(model)}"}


def _name(model: type[BaseModel]) -> str:
    return re.sub(r"\W+", "_", model.__name__).strip("_")


def _header(name: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": _HEADERS[name], "schema": _TEXT}
