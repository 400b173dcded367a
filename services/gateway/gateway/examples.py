"""The examples of the API reference. Each was recorded from a request to a running system (``make examples``).

The file ``reference/examples.json`` has for each call a list of ``{name, request: {path, query, content_type, body},
answer: {status, content_type, body}}``. A test makes the same requests again and compares.
"""

from __future__ import annotations

import copy
import json
from importlib.resources import files
from typing import Any

Document = dict[str, Any]


def recorded() -> dict[str, list[Document]]:
    """Return the examples by call; a call is named like ``post /v1/jobs``."""
    found: dict[str, list[Document]] = json.loads((files("gateway") / "reference" / "examples.json").read_bytes())
    return found


def add(document: Document) -> None:
    """Put the examples into an OpenAPI document: into bodies, answers and parameters."""
    for call, examples in recorded().items():
        method, _, path = call.partition(" ")
        operation = document["paths"].get(path, {}).get(method)
        for example in examples if operation else ():
            _add_request(operation, example)
            _add_answer(document, operation, example)


def _add_request(operation: Document, example: Document) -> None:
    request = example["request"]
    values = {**request.get("path", {}), **request.get("query", {})}
    for parameter in operation.get("parameters", ()):
        if parameter["in"] in ("path", "query") and parameter["name"] in values:
            parameter.setdefault("example", values[parameter["name"]])
    if "body" in request:
        content = operation.get("requestBody", {}).get("content", {}).get(request["content_type"])
        _add(content, example["name"], request["body"])


def _add_answer(document: Document, operation: Document, example: Document) -> None:
    answer = example["answer"]
    status, responses = str(answer["status"]), operation["responses"]
    if status not in responses:
        return
    if "$ref" in responses[status]:  # all calls share that response, and the example belongs to this call only
        shared = document["components"]["responses"][responses[status]["$ref"].rsplit("/", 1)[-1]]
        responses[status] = copy.deepcopy(shared)
    _add(responses[status]["content"].get(answer["content_type"]), example["name"], answer["body"])


def _add(content: Document | None, name: str, value: Any) -> None:
    if content is not None:
        content.setdefault("examples", {})[name] = {"summary": name, "value": value}
