"""A request continues its caller's trace; a slice begins its own and is linked."""

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from collect.observability import traces

ASKED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BEFORE = "00-1bf7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01"


def only(exported: InMemorySpanExporter) -> ReadableSpan:
    (span,) = exported.get_finished_spans()
    return span


def test_outside_any_span_there_is_no_trace_to_carry() -> None:
    assert traces.current_traceparent() is None


def test_a_request_continues_the_trace_of_its_caller(exported: InMemorySpanExporter) -> None:
    with traces.request_span("POST /v1/jobs", traceparent=ASKED, attributes={"http.method": "POST"}):
        carried = traces.current_traceparent()
    assert carried is not None
    assert carried.split("-")[1] == ASKED.split("-")[1]
    assert carried != ASKED
    parent = only(exported).parent
    assert parent is not None
    assert trace.format_span_id(parent.span_id) == ASKED.split("-")[2]


@pytest.mark.parametrize("nonsense", [None, "", "nonsense", "00-0-0-01", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_a_traceparent_that_is_none_begins_a_trace(exported: InMemorySpanExporter, nonsense: str | None) -> None:
    with traces.request_span("GET /v1/jobs", traceparent=nonsense, attributes={}):
        assert traces.current_traceparent() is not None
    assert only(exported).parent is None
    assert traces.span_context(nonsense) is None


def test_a_slice_is_a_root_linked_to_what_brought_it_about(exported: InMemorySpanExporter) -> None:
    links = [ASKED, BEFORE, ASKED, None, "nonsense"]
    with (
        traces.request_span("somebody else's", traceparent=None, attributes={}),
        traces.slice_span(kind="upload", phase="run", job_id="a-job", part=3, links=links),
    ):
        pass
    span = exported.get_finished_spans()[0]
    assert span.parent is None
    assert span.name == "upload run"
    assert {trace.format_span_id(link.context.span_id) for link in span.links} == {
        "b7ad6b7169203331",
        "c7ad6b7169203331",
    }
    assert (span.attributes or {})["collect.job.id"] == "a-job"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://somewhere:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://somewhere:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://somewhere:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_spans_go_where_the_standard_variables_say(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: bool
) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert traces._exported() is expected
