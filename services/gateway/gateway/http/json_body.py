"""Reads JSON bodies strictly: refuses JSON that another parser might understand in another way."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn, TypeVar

from flask import Request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import UnsupportedMediaType

from collect.errors import FieldError, InvalidInput, TooLarge
from gateway.services import services

MAX_DEPTH = 64
_INT64 = range(-(2**63), 2**63)
_INT64_CHARACTERS = 20

_OURS = "Value error, "
"""The prefix that pydantic puts before the messages of our own validators."""

M = TypeVar("M", bound=BaseModel)


class StrictRequest(Request):
    """A request whose JSON body is always parsed strictly, by every method of Flask."""

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """Return the body as an object; ``{}`` for an empty body.

        Raises:
            InvalidInput: the body is malformed, ambiguous, not an object, or ends too early.
            TooLarge: the body has more than ``max_body_bytes``.
            UnsupportedMediaType: the body has another content type.
        """
        if "parsed" not in self.__dict__:
            self.__dict__["parsed"] = self._parse()
        return self.__dict__["parsed"]

    def _parse(self) -> dict[str, Any]:
        most = services().settings.max_body_bytes
        if self.content_length is not None and self.content_length > most:
            raise TooLarge(f"A JSON body has at most {most:,} bytes.")
        try:
            data = self.stream.read(most + 1)
        except TimeoutError:
            raise
        except OSError as error:  # a chunked body without its end
            raise broken_off() from error
        if self.content_length is not None and len(data) < self.content_length:
            raise broken_off()
        if len(data) > most:
            raise TooLarge(f"A JSON body has at most {most:,} bytes.")
        if not data:
            return {}
        if not self.is_json:
            raise UnsupportedMediaType("Send JSON, with Content-Type: application/json.")
        return parse(data)


def broken_off() -> InvalidInput:
    """Return the error of a body that ends too early: its sender went away, or its chunks are malformed."""
    return InvalidInput("The body broke off before its end. Nothing of it was kept.", code="broken_off", malformed=True)


def parse(data: bytes | str) -> dict[str, Any]:
    """Return a JSON object: UTF-8, finite numbers, whole numbers of 64 bits, no name twice, at most 64 levels deep.

    Raises:
        InvalidInput: the text is malformed, is not an object, or has a whole number of more than 64 bits.
    """
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        _check_depth(text)
        value = json.loads(
            text,
            object_pairs_hook=_without_twins,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_of_64_bits,
        )
        json.dumps(value, ensure_ascii=False).encode()  # fails for a lone surrogate, which is not valid text
    except (ValueError, RecursionError) as error:
        raise InvalidInput("The body is not valid JSON in UTF-8.", code="malformed_json", malformed=True) from error
    if not isinstance(value, dict):
        raise InvalidInput("The body is JSON, but not an object.", errors=[FieldError("body", "not_an_object", "")])
    return value


def checked(model: type[M], given: dict[str, Any], *, within: str | None = None) -> M:
    """Return ``given`` as an instance of ``model``. ``within``: the prefix of the fields' names in errors.

    Raises:
        InvalidInput: it does not fit the model; the error names every wrong field.
    """
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise invalid(error, within=within) from error


def invalid(error: ValidationError, *, within: str | None = None) -> InvalidInput:
    """Return pydantic's errors as ``InvalidInput``. It does not contain the values that were sent."""
    found = []
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        steps = [*([within] if within else []), *(str(step) for step in one["loc"])]
        found.append(FieldError(".".join(steps) or "body", one["type"], one["msg"].removeprefix(_OURS)))
    names = ", ".join(sorted({one.field for one in found}))
    return InvalidInput(f"These are not as they must be: {names}.", errors=found)


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
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number that is too large")
    return value


def _of_64_bits(text: str) -> int:
    if len(text) > _INT64_CHARACTERS or int(text) not in _INT64:
        message = f"The whole number {text[:40]}{'…' if len(text) > 40 else ''} is too large: it has more than 64 bits."
        raise InvalidInput(message, errors=[FieldError("body", "number_too_large", message)])
    return int(text)
