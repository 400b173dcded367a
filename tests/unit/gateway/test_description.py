"""The OpenAPI document says what the code does. It is made without a server."""

import re
from collections.abc import Iterator
from typing import Any, cast

import pytest
from flask_openapi3 import OpenAPI

from gateway.app import create_app
from gateway.openapi.description import METHODS, described
from gateway.schemas.requests import CorrectionsForm, RestartBody
from gateway.services import Services

NOT_DESCRIBED = {"/openapi.json", "/docs", "/docs/assets/<name>"}
PUBLIC = {"/healthz", "/readyz", "/metrics"}


@pytest.fixture(scope="module")
def app() -> OpenAPI:
    return create_app(cast(Services, None))


@pytest.fixture(scope="module")
def document(app: OpenAPI) -> dict[str, Any]:
    return described(app)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, found in document["paths"].items():
        for method in METHODS:
            if method in found:
                yield method, path, found[method]


def walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


def test_it_lists_each_route_and_no_other(app: OpenAPI, document: dict[str, Any]) -> None:
    routes = {
        (method.lower(), re.sub(r"<(?:text:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule not in NOT_DESCRIBED
    }
    assert {(method, path) for method, path, _ in operations(document)} == routes


def test_it_is_of_version_3_1_and_names_itself(document: dict[str, Any]) -> None:
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert {"title", "version"} <= document["info"].keys()
    assert document["components"]["securitySchemes"] == {"key": {"type": "http", "scheme": "bearer"}}


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = {found["$ref"] for found in walk(document) if isinstance(found.get("$ref"), str)}
    assert references
    for reference in references:
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_every_operation_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)


def test_what_stands_in_a_path_is_a_parameter_of_it(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        named = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path)), path


def test_a_key_is_asked_for_wherever_the_code_asks_for_it(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        assert operation.get("security") == (None if path in PUBLIC else [{"key": []}]), path


def test_every_error_is_a_problem(document: dict[str, Any]) -> None:
    problem = document["components"]["responses"]["Problem"]
    assert list(problem["content"]) == ["application/problem+json"]
    for _, path, operation in operations(document):
        if path in PUBLIC:
            continue
        refused = {status: found for status, found in operation["responses"].items() if status >= "400"}
        assert refused, path
        for found in refused.values():
            if "$ref" in found:
                assert found == {"$ref": "#/components/responses/Problem"}, path
            else:  # with an example of this call
                content = {kind: {"schema": body["schema"]} for kind, body in found["content"].items()}
                assert {**found, "content": content} == problem, path
    assert "ValidationErrorModel" not in str(document)


@pytest.mark.parametrize(
    ("method", "path", "kinds"),
    [
        ("post", "/v1/files", {"application/octet-stream", "multipart/form-data"}),
        ("post", "/v1/jobs", {"application/json", "multipart/form-data"}),
        ("post", "/v1/jobs/{job_id}/restart", {"application/json", "multipart/form-data"}),
        ("post", "/v1/jobs/{job_id}/corrections", {"application/json", "text/csv", "multipart/form-data"}),
        ("post", "/v1/jobs/{job_id}/pause", {"application/json"}),
        ("patch", "/v1/jobs/{job_id}", {"application/json"}),
        ("put", "/v1/datasets/{name}", {"application/json"}),
        ("post", "/v1/keys", {"application/json"}),
    ],
)
def test_bodies_are_described(document: dict[str, Any], method: str, path: str, kinds: set[str]) -> None:
    assert set(document["paths"][path][method]["requestBody"]["content"]) == kinds


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/files", set()),
        ("/v1/jobs", {"job"}),
        ("/v1/jobs/{job_id}/restart", set(RestartBody.model_fields) - {"file_id"}),  # the file comes along
        ("/v1/jobs/{job_id}/corrections", set(CorrectionsForm.model_fields)),
    ],
)
def test_a_form_has_the_parts_that_are_taken(document: dict[str, Any], path: str, fields: set[str]) -> None:
    body = document["paths"][path]["post"]["requestBody"]
    assert set(body["content"]["multipart/form-data"]["schema"]["properties"]) == {"file", *fields}


@pytest.mark.parametrize(
    ("method", "path", "status", "names"),
    [
        ("post", "/v1/jobs", "202", {"Location", "ETag", "Idempotency-Replayed"}),
        ("post", "/v1/files", "201", {"Location", "Idempotency-Replayed"}),
        ("post", "/v1/keys", "201", {"Idempotency-Replayed"}),
        ("get", "/v1/jobs/{job_id}", "200", {"ETag", "Retry-After"}),
        ("patch", "/v1/jobs/{job_id}", "200", {"ETag"}),
        ("post", "/v1/jobs/{job_id}/pause", "202", {"ETag", "Retry-After"}),
        ("post", "/v1/jobs/{job_id}/restart", "202", {"Location", "ETag", "Retry-After", "Idempotency-Replayed"}),
        ("post", "/v1/jobs/{job_id}/corrections", "202", {"ETag", "Retry-After", "Idempotency-Replayed"}),
        ("post", "/v1/jobs/{job_id}/undo", "200", set()),
        ("get", "/v1/jobs/{job_id}/rejects", "200", {"Content-Disposition"}),
        ("get", "/v1/jobs/{job_id}/result", "200", {"Content-Disposition", "Accept-Ranges", "ETag", "Repr-Digest"}),
        (
            "get", "/v1/files/{file_id}/content", "206",
            {"Content-Disposition", "Accept-Ranges", "ETag", "Repr-Digest", "Content-Range"},
        ),
    ],
)  # fmt: skip
def test_headers_of_answers_are_described(
    document: dict[str, Any], method: str, path: str, status: str, names: set[str]
) -> None:
    everywhere = {"X-Request-Id", "RateLimit", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"}
    assert set(document["paths"][path][method]["responses"][status]["headers"]) == names | everywhere
    assert {"Retry-After", "X-Request-Id"} <= document["components"]["responses"]["Problem"]["headers"].keys()


def test_reading_has_no_body(document: dict[str, Any]) -> None:
    assert [
        path for method, path, operation in operations(document) if method == "get" and "requestBody" in operation
    ] == []


def test_answers_are_told_with_their_status(document: dict[str, Any]) -> None:
    paths = document["paths"]
    assert {"202", "200", "409", "413"} <= paths["/v1/jobs"]["post"]["responses"].keys()
    assert {"202", "409", "412"} <= paths["/v1/jobs/{job_id}/pause"]["post"]["responses"].keys()
    assert "200" in paths["/v1/jobs/{job_id}/undo"]["post"]["responses"]
    assert {"200", "206", "304", "412", "416"} <= paths["/v1/files/{file_id}/content"]["get"]["responses"].keys()


def test_making_it_twice_gives_the_same(app: OpenAPI, document: dict[str, Any]) -> None:
    assert described(app) is document


def test_texts_are_markdown_without_html(document: dict[str, Any]) -> None:
    texts = [found["description"] for found in walk(document) if isinstance(found.get("description"), str)]
    assert not [text for text in texts if re.search(r"</?[a-z]+ ?/?>", text)]
    assert not [text for text in texts if re.search(r":(class|func|mod|attr|data):", text)]


def test_each_call_has_a_short_summary_of_its_own(document: dict[str, Any]) -> None:
    summaries = [operation["summary"] for _, _, operation in operations(document)]
    assert all(1 <= len(summary) <= 60 and "`" not in summary and "\n" not in summary for summary in summaries)
    assert len(set(summaries)) >= len(summaries) - 1  # limits are changed of a job and of an organisation
