"""The span of a request names its job as the spans of slices do, so that one search finds the whole of a job's life."""

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from integration.gateway.calls import Api


def named(exported: InMemorySpanExporter) -> list[tuple[str, object]]:
    return [(span.name, (span.attributes or {}).get("collect.job.id")) for span in exported.get_finished_spans()]


def test_requests_name_the_job_that_they_make_or_are_about(inside: Api, exported: InMemorySpanExporter) -> None:
    job = inside.job()
    inside.verb(job["id"], "pause")
    inside.get("/v1/jobs")
    assert named(exported) == [
        ("POST /v1/files", None),
        ("POST /v1/jobs", job["id"]),
        ("POST /v1/jobs/<job_id>/pause", job["id"]),
        ("GET /v1/jobs", None),
    ]
