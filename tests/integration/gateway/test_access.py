"""Who may do what, for every route that there is: a new route without an entry here fails."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask_openapi3 import OpenAPI

from collect.jobs.limits import ROLES, Limits, Role
from collect.storage import api_keys, organisations
from integration.gateway.calls import TEMPLATE, UNKNOWN_ID, Api, form, problem, upload
from integration.gateway.conftest import Running
from support.team_jobs import team

WHY = {"reason": "a test"}
CORRECTED = {"rows": [{"row": 3, "values": {"age": "5"}}]}
PUBLIC = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/docs/assets/<name>"),
}


@dataclass(frozen=True, kw_only=True)
class Route:
    """The least role that may use it; a body that passes; whether it names something of an organisation."""

    role: Role
    body: Any = None
    named: str | None = None


ROUTES: dict[tuple[str, str], Route] = {
    ("POST", "/v1/files"): Route(role="operator"),
    ("GET", "/v1/files/<file_id>"): Route(role="viewer", named="file"),
    ("GET", "/v1/files/<file_id>/content"): Route(role="viewer", named="file"),
    ("POST", "/v1/jobs"): Route(role="operator", body=upload(UNKNOWN_ID)),
    ("GET", "/v1/jobs"): Route(role="viewer"),
    ("GET", "/v1/jobs/<job_id>"): Route(role="viewer", named="job"),
    ("PATCH", "/v1/jobs/<job_id>"): Route(role="operator", body={"priority": "low"}, named="job"),
    ("POST", "/v1/jobs/<job_id>/pause"): Route(role="operator", body=WHY, named="job"),
    ("POST", "/v1/jobs/<job_id>/resume"): Route(role="operator", body=WHY, named="job"),
    ("POST", "/v1/jobs/<job_id>/stop"): Route(role="operator", body=WHY, named="job"),
    ("POST", "/v1/jobs/<job_id>/confirm"): Route(role="operator", body=WHY, named="job"),
    ("POST", "/v1/jobs/<job_id>/terminate"): Route(role="operator", body=WHY, named="job"),
    ("POST", "/v1/jobs/<job_id>/undo"): Route(role="operator", body=WHY, named="job"),
    ("POST", "/v1/jobs/<job_id>/restart"): Route(role="operator", body=WHY, named="job"),
    ("GET", "/v1/jobs/<job_id>/audit"): Route(role="viewer", named="job"),
    ("GET", "/v1/jobs/<job_id>/parts"): Route(role="viewer", named="job"),
    ("GET", "/v1/jobs/<job_id>/rejects"): Route(role="viewer", named="job"),
    ("POST", "/v1/jobs/<job_id>/corrections"): Route(role="operator", body=CORRECTED, named="job"),
    ("GET", "/v1/jobs/<job_id>/corrections"): Route(role="viewer", named="job"),
    ("GET", "/v1/jobs/<job_id>/unprocessed"): Route(role="viewer", named="job"),
    ("GET", "/v1/jobs/<job_id>/conflicts"): Route(role="viewer", named="job"),
    ("GET", "/v1/jobs/<job_id>/result"): Route(role="viewer", named="job"),
    ("GET", "/v1/jobs/<job_id>/manifest"): Route(role="viewer", named="job"),
    ("GET", "/v1/datasets/<name>"): Route(role="viewer", named="dataset"),
    ("PUT", "/v1/datasets/<name>"): Route(role="admin", body=TEMPLATE),
    ("GET", "/v1/datasets/<name>/rows"): Route(role="viewer", named="dataset"),
    ("GET", "/v1/teams"): Route(role="viewer"),
    ("GET", "/v1/teams/<text:name>"): Route(role="viewer", named="team"),
    ("GET", "/v1/forms"): Route(role="viewer"),
    ("GET", "/v1/keys"): Route(role="admin"),
    ("POST", "/v1/keys"): Route(role="admin", body={"name": "new", "role": "viewer"}),
    ("DELETE", "/v1/keys/<key_id>"): Route(role="admin", named="key"),
    ("GET", "/v1/organisation"): Route(role="viewer"),
    ("PATCH", "/v1/organisation"): Route(role="admin", body={"limits": {}}),
    ("GET", "/v1/workers"): Route(role="viewer"),
    ("GET", "/v1/queues"): Route(role="viewer"),
}
NAMED = sorted(call for call, route in ROUTES.items() if route.named)
CALLS = sorted(ROUTES)


def calls_of(app: OpenAPI) -> set[tuple[str, str]]:
    return {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def filled(rule: str, id_: str = UNKNOWN_ID) -> str:
    for name in ("<file_id>", "<job_id>", "<key_id>", "<name>", "<text:name>"):
        rule = rule.replace(name, id_)
    return rule


def test_every_route_is_in_the_matrix(running: Running) -> None:
    assert calls_of(running.app) == set(ROUTES) | PUBLIC


@pytest.mark.parametrize(("method", "rule"), CALLS)
def test_nobody_comes_in_without_a_key(api: Api, method: str, rule: str) -> None:
    answer = api.call(method, filled(rule), key=None, json={"bad": 1})
    problem(answer, 401, "unauthorised")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("method", "path"), sorted(PUBLIC))
def test_what_looks_after_the_process_needs_no_key(api: Api, method: str, path: str) -> None:
    assert api.call(method, path.replace("<name>", "page.js"), key=None).status_code == 200


@pytest.mark.parametrize(("method", "rule"), CALLS)
def test_a_role_may_do_what_it_includes_and_nothing_else(api: Api, method: str, rule: str) -> None:
    route = ROUTES[method, rule]
    for role in ROLES[:3]:
        enough = ROLES.index(role) >= ROLES.index(route.role)
        answer = api.call(method, filled(rule), key=role, json=route.body)
        if enough:
            assert answer.status_code not in {401, 403}, (role, answer.text)
        else:
            problem(answer, 403, "forbidden")


@pytest.mark.parametrize(("method", "rule"), [call for call in CALLS if ROUTES[call].role != "viewer"])
def test_the_role_is_looked_at_before_the_body(api: Api, method: str, rule: str) -> None:
    answer = api.call(method, filled(rule), key="viewer", data=b"{ no json", content_type="application/json")
    problem(answer, 403, "forbidden")


@pytest.mark.parametrize(("method", "rule"), NAMED)
def test_what_belongs_to_another_organisation_is_not_there(api: Api, method: str, rule: str) -> None:
    route = ROUTES[method, rule]
    theirs = owned(api, str(route.named))
    before = everything(api)
    answer = api.call(method, filled(rule, theirs), key="admin", json=route.body)
    mine = api.call(method, filled(rule, UNKNOWN_ID), key="admin", json=route.body)
    seen, unknown = problem(answer, 404, "not_found"), problem(mine, 404, "not_found")
    assert seen["detail"].replace(theirs, "") == unknown["detail"].replace(UNKNOWN_ID, "")
    assert everything(api) == before


def owned(api: Api, what: str) -> str:
    """Something of organisation `other`; its id."""
    match what:
        case "file":
            return api.file(key="other operator")
        case "job":
            return str(api.job(key="other operator")["id"])
        case "key":
            return api_keys.create(api.db, org_id="other", name="theirs", role="viewer").key.id
        case "team":
            team(api.db, "Theirs", org_id="other")
            return "Theirs"
    api.db.datasets.delete_many({"org_id": "labs"})
    return "baseline"


def everything(api: Api) -> dict[str, Any]:
    return {name: list(api.db[name].find().sort("_id", 1)) for name in ("jobs", "audit", "files", "api_keys", "rows")}


@pytest.mark.parametrize("verb", ["pause", "resume", "stop", "confirm", "terminate", "undo", "restart"])
def test_the_body_is_looked_at_before_existence(api: Api, verb: str) -> None:
    problem(api.post(f"/v1/jobs/{UNKNOWN_ID}/{verb}", {"reason": "x", "state": "succeeded"}), 422, "invalid_input")


def test_a_file_of_another_organisation_cannot_be_uploaded(api: Api) -> None:
    theirs = api.file(key="other operator")
    for path in ("/v1/jobs", "/v1/jobs?validate_only=true"):
        problem(api.post(path, upload(theirs)), 404, "not_found")
    mine = api.job()
    api.verb(mine["id"], "stop")
    problem(api.verb(mine["id"], "restart", body={"file_id": theirs}), 404, "not_found")


def test_a_job_of_another_organisation_cannot_be_superseded(api: Api) -> None:
    theirs = api.job(key="other operator")["id"]
    body = upload(api.file(), params={"on_conflict": "supersede", "supersedes": theirs})
    for path in ("/v1/jobs", "/v1/jobs?validate_only=true"):
        problem(api.post(path, body), 404, "not_found")
    assert api.stored(theirs, org_id="other").state == "queued"


def test_lists_have_only_what_is_the_organisations_own(api: Api) -> None:
    theirs, mine = api.job(key="other operator")["id"], api.job()["id"]
    assert [job["id"] for job in api.get("/v1/jobs").get_json()["items"]] == [mine]
    assert [job["id"] for job in api.get("/v1/jobs", key="other viewer").get_json()["items"]] == [theirs]
    names = {key["name"] for key in api.get("/v1/keys", key="admin").get_json()["items"]}
    assert names == {"labs viewer", "labs operator", "labs admin"}


@pytest.mark.parametrize(
    "header",
    [
        "", "Bearer", "Bearer ", "Basic Y2s6eA==", "Bearer ck", "Bearer ck_", "Bearer ck__", "Bearer ck_x_y",
        "bearer  ", f"Bearer ck_{UNKNOWN_ID}_secret", "Bearer ck_é_ü", "Token ck_1_2",
        f"Bearer {'x' * 8000}",
    ],
)  # fmt: skip
def test_a_malformed_or_unknown_key_is_refused_alike(api: Api, header: str) -> None:
    body = problem(api.get("/v1/jobs", key=None, headers={"Authorization": header}), 401, "unauthorised")
    assert "secret" not in body["detail"]


def test_a_key_that_no_header_can_hold_is_400(api: Api) -> None:
    problem(api.get("/v1/jobs", key=None, headers={"Authorization": "Bearer ck_\x00_\x00"}), 400, "malformed_request")


def test_a_wrong_secret_is_refused(api: Api) -> None:
    problem(api.get("/v1/jobs", key=api.keys["viewer"] + "x"), 401)
    problem(api.get("/v1/jobs", key=api.keys["viewer"][:-1]), 401)


def test_an_expired_key_and_a_revoked_one_are_refused(api: Api) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    expired = api_keys.create(api.db, org_id="labs", name="short", role="viewer", expires_at=past)
    problem(api.get("/v1/jobs", key=expired.secret), 401)
    made = api.post("/v1/keys", {"name": "other", "role": "viewer"}, key="admin").get_json()
    assert api.get("/v1/jobs", key=made["key"]).status_code == 200
    for _ in range(2):
        answer = api.call("DELETE", f"/v1/keys/{made['id']}", key="admin")
        assert answer.status_code == 200
        assert answer.get_json()["revoked_at"]
    problem(api.get("/v1/jobs", key=made["key"]), 401)


def test_staff_act_for_the_organisation_that_they_name(api: Api) -> None:
    theirs = api.job(key="other operator")["id"]
    path = f"/v1/jobs/{theirs}"
    assert api.get(path, key="platform", headers={"X-Organisation": "other"}).status_code == 200
    problem(api.get(path, key="platform", headers={"X-Organisation": "labs"}), 404)
    problem(api.get(path, key="platform", headers={"X-Organisation": "nobody's"}), 404)
    problem(api.get(path, key="platform"), 400)


def test_only_staff_choose_an_organisation(api: Api) -> None:
    theirs = api.job(key="other operator")["id"]
    for role in ROLES[:3]:
        problem(api.get(f"/v1/jobs/{theirs}", key=role, headers={"X-Organisation": "other"}), 404)


def test_an_admin_cannot_make_staff(api: Api) -> None:
    problem(api.post("/v1/keys", {"name": "me", "role": "platform"}, key="admin"), 422)
    problem(api.post("/v1/keys", {"name": "me", "role": "admin", "org_id": "other"}, key="admin"), 422)


def test_an_unknown_path_is_a_problem_too(api: Api) -> None:
    problem(api.get("/v1/nothing", key=None), 401)
    problem(api.get("/v1/nothing"), 404, "not_found")
    answer = api.call("DELETE", "/v1/jobs")
    problem(answer, 405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]


def test_a_limit_of_requests_is_told_and_kept(api: Api) -> None:
    answer = api.get("/v1/organisation")
    assert answer.get_json()["limits"] == Limits().model_dump(), "those with a default too"
    assert answer.headers["RateLimit"].startswith("limit=6000, remaining=")
    assert answer.headers["RateLimit-Limit"] == "6000"
    assert 0 < int(answer.headers["RateLimit-Reset"]) <= 61
    organisations.patch(api.db, org_id="labs", limits={"requests_per_minute": 1})
    for _ in range(3):  # the minute may turn in between
        answer = api.get("/v1/organisation")
    problem(answer, 429, "limit_reached")
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["RateLimit-Remaining"] == "0"
    assert api.get("/v1/organisation", key="other viewer").status_code == 200


def test_a_multipart_body_is_for_an_operator_only(api: Api) -> None:
    problem(api.post("/v1/jobs", key="viewer", **form(job="{}", file=b"x")), 403)
    assert api.db.files.count_documents({}) == 0
