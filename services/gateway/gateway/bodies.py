"""Reading JSON strictly: what another reader might read otherwise is refused."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from flask import Request

from collect.errors import InvalidInput, TooLarge

MAX_DEPTH = 64


class StrictRequest(Request):
    """A request whose JSON body is parsed strictly, whichever way a route asks for it."""

    max_json_bytes = 1024 * 1024

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """The body.

        Raises:
            InvalidInput: malformed, of another content type, or ambiguous.
            TooLarge: longer than may be.
        """
        if "parsed" not in self.__dict__:
            self.__dict__["parsed"] = self._parse()
        return self.__dict__["parsed"]

    def _parse(self) -> Any:
        if self.content_length is not None and self.content_length > self.max_json_bytes:
            raise TooLarge(f"A JSON body has at most {self.max_json_bytes:,} bytes.")
        data = self.stream.read(self.max_json_bytes + 1)
        if len(data) > self.max_json_bytes:
            raise TooLarge(f"A JSON body has at most {self.max_json_bytes:,} bytes.")
        if not data:
            return {}
        if not self.is_json:
            raise InvalidInput("Send JSON, with Content-Type: application/json.", code="not_json", malformed=True)
        return parse(data)


def parse(data: bytes | str) -> Any:
    """JSON as it is meant: UTF-8, finite numbers, no name twice, not too deep.

    Raises:
        InvalidInput: malformed.
    """
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        _check_depth(text)
        return json.loads(text, object_pairs_hook=_without_twins, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("The body is not valid JSON in UTF-8.", code="malformed_json", malformed=True) from error


def _check_depth(text: str) -> None:
    depth, deepest, quoted, escaped = 0, 0, False, False
    for character in text:
        if quoted:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                quoted = False
        elif character == '"':
            quoted = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    if deepest > MAX_DEPTH:
        raise ValueError("too deep")


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice")
    for name, value in pairs:
        _check_text(name)
        if isinstance(value, str):
            _check_text(value)
    return found


def _check_text(text: str) -> None:
    text.encode("utf-8")  # a lone surrogate is no text


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number that is too large")
    return value
