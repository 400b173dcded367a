"""The traces: a short trace for each request, and a root span for each slice, with links to the spans that caused it.

The standard ``OTEL_*`` variables name the endpoint for the export. Without one, spans have ids but are not exported.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanContext
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROPAGATOR = TraceContextTextMapPropagator()
SHUTDOWN_SECONDS = 2.0
"""Seconds that the last export may take. The exporter's own limit is ten seconds and more: too long for a process that
has to end."""


def configure(service: str) -> None:
    """Set up the traces of this process. Call it once, and in a child process after the fork or spawn."""
    provider = TracerProvider(resource=Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", service)}))
    if _exported():
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def _exported() -> bool:
    named = any(os.environ.get(name) for name in _ENDPOINTS)
    return named and os.environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() != "none"


def shutdown() -> None:
    """Export the spans that wait. Blocks for :data:`SHUTDOWN_SECONDS` at most; spans not exported by then are lost."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        ending = threading.Thread(target=provider.shutdown, name="traces-shutdown", daemon=True)
        ending.start()
        ending.join(SHUTDOWN_SECONDS)


def tracer() -> trace.Tracer:
    """Return the tracer of this project."""
    return trace.get_tracer("collect")


def current_traceparent() -> str | None:
    """Return the current span in the format of W3C Trace Context; ``None`` outside of any span."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent")


def span_context(traceparent: str | None) -> SpanContext | None:
    """Return the span context that ``traceparent`` names; ``None`` if it is missing or invalid."""
    if not traceparent:
        return None
    found = _PROPAGATOR.extract({"traceparent": traceparent}, context=context.Context())
    named = trace.get_current_span(found).get_span_context()
    return named if named.is_valid else None


@contextmanager
def request_span(name: str, *, traceparent: str | None, attributes: dict[str, str]) -> Iterator[Span]:
    """Yield the span of a request. It continues the caller's trace if the caller sent a ``traceparent``."""
    parent = _PROPAGATOR.extract({"traceparent": traceparent} if traceparent else {}, context=context.Context())
    with tracer().start_as_current_span(
        name, context=parent, kind=trace.SpanKind.SERVER, attributes=dict(attributes)
    ) as span:
        yield span


@contextmanager
def slice_span(*, kind: str, phase: str, job_id: str, part: int, links: Iterable[str | None]) -> Iterator[Span]:
    """Yield the root span of a slice, linked to ``links``. So a job of three days is many short traces, not one."""
    contexts = {found.span_id: found for link in links if (found := span_context(link)) is not None}
    with tracer().start_as_current_span(
        f"{kind} {phase}",
        context=context.Context(),
        kind=trace.SpanKind.CONSUMER,
        links=[Link(found) for found in contexts.values()],
        attributes={"collect.job.id": job_id, "collect.part.n": part, "collect.job.kind": kind},
    ) as span:
        yield span


def slice_ended(span: Span, *, ending: str, seq: int, epoch: int) -> None:
    """Record on a slice's span how the slice ended, and its part's sequence number and epoch at that time."""
    span.set_attributes({"collect.slice.ending": ending, "collect.part.seq": seq, "collect.part.epoch": epoch})
