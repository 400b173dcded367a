"""Traces: one short trace for a request, one root span for each slice, linked to what brought it about.

Exported to whatever the standard ``OTEL_*`` variables name; with no endpoint named, spans have ids and go nowhere.
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
"""The exporter tries for ten and more, which is longer than a process that is told to go may take."""


def configure(service: str) -> None:
    """Set up this process, once; after a fork or a spawn, in the child."""
    provider = TracerProvider(resource=Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", service)}))
    if _exported():
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def _exported() -> bool:
    named = any(os.environ.get(name) for name in _ENDPOINTS)
    return named and os.environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() != "none"


def shutdown() -> None:
    """Export what waits, for :data:`SHUTDOWN_SECONDS` at most; what nobody has taken by then is lost."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        ending = threading.Thread(target=provider.shutdown, name="traces-shutdown", daemon=True)
        ending.start()
        ending.join(SHUTDOWN_SECONDS)


def tracer() -> trace.Tracer:
    """The tracer of this project."""
    return trace.get_tracer("collect")


def current_traceparent() -> str | None:
    """The current span, as W3C Trace Context has it; ``None`` outside any."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent")


def span_context(traceparent: str | None) -> SpanContext | None:
    """What ``traceparent`` names, if it is one."""
    if not traceparent:
        return None
    found = _PROPAGATOR.extract({"traceparent": traceparent}, context=context.Context())
    named = trace.get_current_span(found).get_span_context()
    return named if named.is_valid else None


@contextmanager
def request_span(name: str, *, traceparent: str | None, attributes: dict[str, str]) -> Iterator[Span]:
    """The span of one request, continuing the caller's trace if it has sent one."""
    parent = _PROPAGATOR.extract({"traceparent": traceparent} if traceparent else {}, context=context.Context())
    with tracer().start_as_current_span(
        name, context=parent, kind=trace.SpanKind.SERVER, attributes=dict(attributes)
    ) as span:
        yield span


@contextmanager
def slice_span(*, kind: str, phase: str, job_id: str, part: int, links: Iterable[str | None]) -> Iterator[Span]:
    """The root span of a slice: a job of three days is many short traces, not one that never ends."""
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
    """Say on the span of a slice why it ended, and where its part stood then."""
    span.set_attributes({"collect.slice.ending": ending, "collect.part.seq": seq, "collect.part.epoch": epoch})
