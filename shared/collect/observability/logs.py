"""The logs: one JSON object per line, with the context that was bound. Events are constants; no row's content goes in.

Modules log through the standard library (``logging.getLogger(__name__)``, fields in ``extra``). This module renders it.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
from opentelemetry import trace

_NAMING_CODE = (AttributeError, ImportError, NameError, TypeError)
"""The errors whose messages name code only and never data, so that they may be logged."""
_NOISY = ("kombu", "amqp", "pymongo", "urllib3")


def configure(service: str, level: str = "INFO") -> None:
    """Send all logs of this process to standard output. Idempotent."""

    def with_service(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"] = service
        return event

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        with_service,
        _with_trace,
    ]
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_values,
                structlog.processors.JSONRenderer(default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    # pika logs each lost connection as several errors. Our consumer logs it once, with the reason.
    logging.getLogger("pika").setLevel(logging.CRITICAL)


@contextmanager
def bound(**context: Any) -> Iterator[None]:
    """Add ``context`` to everything that is logged in the ``with`` block. It holds ids, not objects."""
    with structlog.contextvars.bound_contextvars(**context):
        yield


def _with_trace(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event


def _without_values(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the exception by its type and traceback.

    Most messages of exceptions are left out: that of a duplicate key, for example, quotes the row.
    """
    info = event.pop("exc_info", None)
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["exception"] = "\n".join(_told(error))
    return event


def _told(error: BaseException) -> Iterator[str]:
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _told(before)
        yield "and then"
    for frame, line in traceback.walk_tb(error.__traceback__):
        yield f"  {frame.f_code.co_filename}:{line} in {frame.f_code.co_qualname}"
    yield f"{type(error).__module__}.{type(error).__qualname__}{_harmless(error)}"


def _harmless(error: BaseException) -> str:
    if isinstance(error, _NAMING_CODE):
        return f": {error}"
    if isinstance(error, OSError) and error.strerror:
        return f": {error.strerror}"
    code = getattr(error, "code", None)
    return f": {code}" if isinstance(code, int | str) else ""
