"""Spans arrive at whatever the standard variables name."""

import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

REQUEST = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SLICE_BEFORE = "00-1bf7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01"
# A process of its own, because a tracer provider is set once and for all.
PROGRAMME = f"""
from collect.observability import traces
traces.configure("a-worker")
links = ["{SLICE_BEFORE}", "{REQUEST}"]
with traces.slice_span(kind="upload", phase="run", job_id="a-job", part=3, links=links) as span:
    print(f"{{span.get_span_context().trace_id:032x}}")
traces.shutdown()
"""
DEADLINE_SECONDS = 20


class Collector:
    """An OTLP endpoint that remembers."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.requests: list[ExportTraceServiceRequest] = []
        self.answering = threading.Event()
        self.answering.set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.paths.append(self.path)
                collector.requests.append(ExportTraceServiceRequest.FromString(body))
                if not collector.answering.wait(2 * DEADLINE_SECONDS):
                    return
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self) -> None:
        self.answering.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def services(self) -> set[str]:
        return {
            attribute.value.string_value
            for request in self.requests
            for resource in request.resource_spans
            for attribute in resource.resource.attributes
            if attribute.key == "service.name"
        }

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


def run(**environment: str) -> str:
    """One slice in a process of its own, which ends within a deadline; the id of its trace."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAMME],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_slice_arrives_as_a_root_with_its_job_and_its_links(collector: Collector) -> None:
    trace_id = run(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    (span,) = collector.spans
    assert collector.paths == ["/v1/traces"]
    assert collector.services == {"a-worker"}
    assert span.name == "upload run"
    assert span.trace_id.hex() == trace_id
    assert span.parent_span_id == b""
    attributes = {each.key: each.value.string_value or each.value.int_value for each in span.attributes}
    assert attributes == {"collect.job.id": "a-job", "collect.part.n": 3, "collect.job.kind": "upload"}
    expected = [f"{link.split('-')[1]}-{link.split('-')[2]}" for link in (SLICE_BEFORE, REQUEST)]
    assert [f"{link.trace_id.hex()}-{link.span_id.hex()}" for link in span.links] == expected


def test_whoever_runs_it_may_rename_the_service_and_name_the_whole_address(collector: Collector) -> None:
    run(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{collector.url}/somewhere", OTEL_SERVICE_NAME="ours")
    assert collector.paths == ["/somewhere"]
    assert collector.services == {"ours"}


def test_nothing_is_exported_when_nobody_is_named_or_exporting_is_off(collector: Collector) -> None:
    assert len(run()) == 32
    assert len(run(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_TRACES_EXPORTER="none")) == 32
    assert collector.requests == []


def test_a_collector_that_is_away_fails_nothing(collector: Collector) -> None:
    collector.close()
    assert len(run(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)) == 32


def test_a_collector_that_does_not_answer_does_not_hold_up_the_end_of_a_process(collector: Collector) -> None:
    collector.answering.clear()
    run(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_EXPORTER_OTLP_TIMEOUT=str(10 * DEADLINE_SECONDS))
    assert not collector.answering.is_set()
    assert len(collector.spans) == 1
