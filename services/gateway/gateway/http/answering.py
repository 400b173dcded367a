"""Sends answers, and lets a route state what it answers. The OpenAPI document is made from these statements."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

from flask import Response, jsonify
from flask_openapi3 import OpenAPI

from collect.api.answers import Answer

View = TypeVar("View", bound=Callable[..., Any])

JSON = "application/json"
BYTES = "application/octet-stream"
CSV = "text/csv"
PLAIN = "text/plain"

_STATED = "_collect_answers"

Model = Any
"""A model, a union of models, or ``None`` for content that is not JSON."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The answers of a route that are no errors.

    ``by_status``: status → content type → model. ``creates``: it takes an Idempotency-Key. ``ranges``: it sends a
    file, whole or in part. ``conditional``: it takes If-Match with the ETag of a job. ``waits``: it can wait for a job.
    """

    by_status: Mapping[int, Mapping[str, Model]]
    creates: bool = False
    ranges: bool = False
    conditional: bool = False
    waits: bool = False


def answering(
    content: Mapping[str, Model],
    *statuses: int,
    preview: Model = None,
    creates: bool = False,
    conditional: bool = False,
    waits: bool = False,
) -> Callable[[View], View]:
    """Return a decorator that states a route's answers: ``content`` with each of ``statuses`` (200 if none is given).

    ``preview``: the model of the answer 200 to ``validate_only=true``. A route that returns a model needs no statement.
    """
    by_status: dict[int, Mapping[str, Model]] = dict.fromkeys(statuses or (200,), content)
    if preview is not None:
        by_status[200] = {JSON: preview}
    answers = Answers(by_status=by_status, creates=creates, conditional=conditional, waits=waits)

    def state(view: View) -> View:
        setattr(view, _STATED, answers)
        return view

    return state


def in_ranges(view: View) -> View:
    """State that a route sends a file, whole or in part."""
    by_status = {200: {BYTES: None}, 206: {BYTES: None}, 304: {}}
    setattr(view, _STATED, Answers(by_status=by_status, ranges=True))
    return view


def stated(view: Callable[..., Any]) -> Answers:
    """Return the route's statement, or the one that its return type makes."""
    original = inspect.unwrap(view)
    answers: Answers | None = getattr(original, _STATED, None)
    return answers or Answers(by_status={200: {JSON: get_type_hints(original)["return"]}})


def answer(model: Answer, *, status: int = 200) -> Response:
    """Return the response for a model."""
    response = jsonify(model.body())
    response.status_code = status
    return response


class Gateway(OpenAPI):
    """A Flask application whose routes may return models."""

    def make_response(self, rv: Any) -> Response:
        match rv:
            case Answer():
                return answer(rv)
            case (Answer() as model, int() as status):
                return answer(model, status=status)
            case _:
                return super().make_response(rv)
