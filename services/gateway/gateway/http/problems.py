"""Errors as problem details (RFC 9457), with the table from an error's class to the HTTP status of its answer."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from flask import Response, g, jsonify, make_response
from pydantic import ValidationError
from pymongo.errors import PyMongoError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from collect import errors
from collect.errors import CollectError
from gateway.http.json_body import invalid

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:collect:problem:"

STATUS: tuple[tuple[type[CollectError], int], ...] = (
    (errors.InvalidInput, 422),
    (errors.Unauthorised, 401),
    (errors.Forbidden, 403),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.Gone, 410),
    (errors.PreconditionFailed, 412),
    (errors.TooLarge, 413),
    (errors.LimitReached, 429),
    (errors.Transient, 503),
    (CollectError, 500),
)
"""(class of error, HTTP status). The first class that fits counts. A malformed request is 400 (``status_of``)."""

_HTTP_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
}

_log = logging.getLogger(__name__)


def status_of(error: CollectError) -> int:
    """Return the HTTP status of an error."""
    if isinstance(error, errors.InvalidInput) and error.malformed:
        return 400
    return next(status for kind, status in STATUS if isinstance(error, kind))


def from_error(error: CollectError) -> Response:
    """Return the answer to an error of this project."""
    status = status_of(error)
    extra: dict[str, Any] = {}
    headers: dict[str, str] = {}
    match error:
        case errors.IllegalTransition():
            extra = {"state": error.state, "allowed_verbs": list(error.allowed_verbs)}
        case errors.DatasetHeld():
            extra = {"holder": error.holder}
        case errors.InProgress() | errors.LimitReached():
            headers = {"Retry-After": str(error.retry_after_seconds)}
        case errors.Transient():
            headers = {"Retry-After": "1"}
        case errors.Unauthorised():
            headers = {"WWW-Authenticate": "Bearer"}
        case _:
            extra = {}
    return problem(status, error.code, error.detail, errors=error.errors, headers=headers, **extra)


def from_validation(error: ValidationError) -> Response:
    """Return the answer to a request that does not fit its model. It names every wrong field, not the sent values."""
    return from_error(invalid(error))


def from_http(error: HTTPException) -> Response:
    """Return the answer to a request that the framework refuses."""
    if error.response is not None:
        return make_response(error.response)
    status = error.code or 500
    code = _HTTP_CODES.get(status, f"http_{status}")  # not from the phrase, which differs between versions of Python
    detail = error.description or HTTPStatus(status).phrase
    if isinstance(error, RequestEntityTooLarge):
        detail = "The body is larger than may be sent here."
    answer = problem(status, code, detail)
    for name, value in error.get_headers():
        if name.lower() in {"allow", "content-range", "retry-after"}:
            answer.headers[name] = value
    return answer


def from_store(error: PyMongoError) -> Response:
    """Return the answer to a request for which the database did not answer: 503."""
    _log.warning("store_failed", extra={"error": type(error).__name__})
    unavailable = errors.Transient("The database does not answer at the moment. Ask again.")
    return from_error(unavailable)


def from_silence(_error: TimeoutError) -> Response:
    """Return the answer to a client that has stopped sending in the middle of its request: 408."""
    return problem(408, "request_timeout", "The rest of the request did not come in time. Send it again.")


def from_bug(error: Exception) -> Response:
    """Return the answer to an unexpected exception: 500. Only the log has its details."""
    _log.error("request_failed", exc_info=error)
    return problem(500, "internal_error", "Something went wrong here. The request id finds it in the logs.")


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    errors: Any = (),
    headers: dict[str, str] | None = None,
    **extra: Any,
) -> Response:
    """Return a response with problem details."""
    body = {
        "type": TYPE_PREFIX + code,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": g.get("request_id"),
        "errors": [{"field": one.field, "code": one.code, "message": one.message} for one in errors],
        **extra,
    }
    answer = jsonify(body)
    answer.status_code = status
    answer.headers["Content-Type"] = CONTENT_TYPE
    answer.headers.update(headers or {})
    return answer
