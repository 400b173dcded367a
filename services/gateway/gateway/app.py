"""The Flask application: its blueprints, its error handlers, and the hooks before and after each request."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack

from flask import Response, current_app, g, request
from flask_openapi3 import Info
from opentelemetry.trace import StatusCode
from pymongo.errors import PyMongoError
from ulid import ULID
from werkzeug.exceptions import HTTPException

from collect.errors import CollectError
from collect.observability import logs, metrics, traces
from gateway.http import auth, problems
from gateway.http.answering import Gateway
from gateway.http.json_body import StrictRequest
from gateway.http.request_bodies import RequestBody
from gateway.routes import (
    corrections,
    datasets,
    details,
    docs,
    files,
    fleet,
    forms,
    health,
    jobs,
    keys,
    organisation,
    results,
    teams,
    verbs,
)
from gateway.schemas import queries
from gateway.services import EXTENSION, Services, services

_JOBS = "/v1/jobs/"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def create_app(made: Services) -> Gateway:
    """Return the gateway's application, which uses the services ``made``. Connects to nothing."""
    app = Gateway(
        "gateway",
        info=Info(title="Collect Jobs", version="1"),
        security_schemes={"key": {"type": "http", "scheme": "bearer"}},
        doc_ui=False,
        static_folder=None,
        validation_error_callback=problems.from_validation,
    )
    app.request_class = StrictRequest
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask types its provider by the base class
    app.url_map.converters["text"] = teams.AnyText
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.extensions[EXTENSION] = made
    app.before_request(_arrive)
    app.before_request(auth.check)
    app.before_request(queries.check)
    app.after_request(auth.tell_limits)
    app.after_request(_depart)
    app.teardown_request(_leave)
    _handle_errors(app)
    for room in (
        files,
        jobs,
        verbs,
        corrections,
        details,
        results,
        datasets,
        teams,
        forms,
        keys,
        organisation,
        fleet,
        health,
    ):
        app.register_api(room.blueprint)
    app.register_blueprint(docs.blueprint)
    return app


def _handle_errors(app: Gateway) -> None:
    app.register_error_handler(CollectError, problems.from_error)
    app.register_error_handler(HTTPException, problems.from_http)
    app.register_error_handler(PyMongoError, problems.from_store)
    app.register_error_handler(TimeoutError, problems.from_silence)
    app.register_error_handler(Exception, problems.from_bug)


def _arrive() -> None:
    """Note the time and the id of a request, and begin its span. The time of its arrival counts as its request time."""
    g.requested_at = services().clock.now()
    g.began = time.monotonic()
    named = request.headers.get("X-Request-Id", "")
    g.request_id = named if _REQUEST_ID.fullmatch(named) else str(ULID()).lower()
    route = request.url_rule.rule if request.url_rule else "unknown"
    span = traces.request_span(
        f"{request.method} {route}",
        traceparent=request.headers.get("traceparent"),
        attributes={"http.request.method": request.method, "http.route": route, "collect.request.id": g.request_id},
    )
    g.contexts = ExitStack()
    g.span = g.contexts.enter_context(span)
    g.contexts.enter_context(logs.bound(request_id=g.request_id))


def _depart(answer: Response) -> Response:
    body = request.environ.get("wsgi.input")
    if isinstance(body, RequestBody):
        body.finish()
    answer.headers["X-Request-Id"] = g.get("request_id", "")
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers.setdefault("Cache-Control", "no-store")
    route = request.url_rule.rule if request.url_rule else "unknown"
    seconds = time.monotonic() - g.get("began", time.monotonic())
    metrics.REQUESTS.labels(route=route, method=request.method, status=str(answer.status_code)).observe(seconds)
    span = g.get("span")
    if span is not None:
        span.set_attribute("http.response.status_code", answer.status_code)
        job_id = _job_of(answer)
        if job_id:
            span.set_attribute("collect.job.id", job_id)
        if answer.status_code >= 500:
            span.set_status(StatusCode.ERROR)
    current_app.logger.info(
        "request",
        extra={"method": request.method, "route": route, "status": answer.status_code, "seconds": round(seconds, 4)},
    )
    return answer


def _job_of(answer: Response) -> str:
    """Return the id of the job that the request names or has created, or ``""``.

    The job's slices set the same span attribute, so one search finds all spans of a job.
    """
    asked: str = (request.view_args or {}).get("job_id", "")
    made = answer.headers.get("Location", "")
    return asked or (made.removeprefix(_JOBS) if made.startswith(_JOBS) else "")


def _leave(_error: BaseException | None) -> None:
    contexts = g.pop("contexts", None)
    if contexts is not None:
        contexts.close()
