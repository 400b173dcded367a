"""Holds answers to the API's own description: their status, their content type, their shape."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, cast

import jsonschema_rs

from gateway.app import create_app
from gateway.openapi.description import METHODS, described
from gateway.services import Services

NOT_OF_A_CALL = {405, 414, 417, 431, 501}
"""Answered wherever they may come from: the path has no such method, or nobody could read as far as the path."""
OF_ANY_ANSWER = {
    "cache-control", "connection", "content-length", "content-type", "date", "server", "transfer-encoding",
    "x-content-type-options",
}  # fmt: skip
"""Headers that say nothing of this API."""


class Description:
    """The OpenAPI document, in which no answer has a field that is not described."""

    @cached_property
    def document(self) -> dict[str, Any]:
        document = copy.deepcopy(described(create_app(cast(Services, None))))
        for schema in document["components"]["schemas"].values():
            if "properties" in schema:
                schema.setdefault("additionalProperties", False)
        return document

    @cached_property
    def calls(self) -> list[tuple[str, str]]:
        """Method and path of every call."""
        return [
            (method, path)
            for path, operations in self.document["paths"].items()
            for method in METHODS
            if method in operations
        ]

    def codes(self, method: str, path: str) -> set[int]:
        """The status codes that a call is said to have."""
        return {int(code) for code in self.document["paths"][path][method]["responses"]}

    def check(self, method: str, path: str, *, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Raises AssertionError when the call's description does not have such an answer."""
        found = self._template(method.lower(), path.partition("?")[0])
        if found is None or status in NOT_OF_A_CALL:
            return
        responses = self.document["paths"][found][method.lower()]["responses"]
        assert str(status) in responses, f"{method} {found} is not said to answer {status}: {body[:500]!r}"
        answer = self._resolved(responses[str(status)])
        described = OF_ANY_ANSWER | {name.lower() for name in answer["headers"]}
        unknown = {name.lower() for name in headers} - described
        assert not unknown, f"{method} {found} is not said to answer {status} with {unknown}"
        content = answer["content"]
        kind = headers.get("Content-Type", "").partition(";")[0]
        assert kind in content or (not content and not kind and not body), (
            f"{method} {found} is not said to answer {status} as {kind}"
        )
        if kind.endswith("json"):
            schema = {**content[kind]["schema"], "components": self.document["components"]}
            jsonschema_rs.validate(schema, json.loads(body))

    def _resolved(self, found: dict[str, Any]) -> dict[str, Any]:
        name = found.get("$ref", "").rsplit("/", 1)[-1]
        resolved: dict[str, Any] = self.document["components"]["responses"][name] if name else found
        return resolved

    def _template(self, method: str, path: str) -> str | None:
        for known_method, known in self.calls:
            if known_method == method and re.fullmatch(re.sub(r"{\w+}", "[^/]+", known), path):
                return known
        return None


DESCRIPTION = Description()
