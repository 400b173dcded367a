"""Chart, code, images and Compose say the same."""

import json
import re
from typing import Any, get_args

import pytest
import yaml

from chart.rendering import CHART, ROOT, SERVICES, WORKERS, Object, containers, demo, outside, render
from collect.admin.cli import collect_admin
from collect.messaging.topology import KINDS, job_queue
from collect.observability import metrics
from collect.settings import ServerSettings, WorkerProcessSettings
from gateway.settings import GatewaySettings
from monitor.settings import MonitorSettings

VALUES: Object = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA: Object = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
COMPOSE: Object = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SETTINGS: dict[str, type[ServerSettings]] = {
    **dict.fromkeys(WORKERS, WorkerProcessSettings),
    "gateway": GatewaySettings,
    "monitor": MonitorSettings,
}
# What the exporter of traces reads itself.
STANDARD = {"OTEL_EXPORTER_OTLP_ENDPOINT"}
FULL = {"otlpEndpoint": "http://collector:4318", "storageUrl": "s3://bucket/prefix"}


def read_by(service: str) -> dict[str, Any]:
    return {str(field.validation_alias): field for field in SETTINGS[service].model_fields.values()}


def test_the_services_of_the_values_are_those_of_the_code() -> None:
    assert sorted(VALUES["services"]) == SERVICES
    assert sorted(SETTINGS) == SERVICES
    assert sorted(f"{kind}-worker" for kind in KINDS) == WORKERS


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_that_a_service_is_given_is_one_that_it_reads(service: str) -> None:
    assert set(outside(FULL).settings(service)) - STANDARD <= set(read_by(service))
    assert set(demo().one("Secret", service)["stringData"]) <= set(read_by(service))


def test_the_settings_that_may_be_given_are_those_that_a_service_reads() -> None:
    settings = SCHEMA["definitions"]["settings"]
    (elsewhere,) = [each["enum"] for each in settings["propertyNames"]["not"]["anyOf"] if "enum" in each]
    own = re.compile(settings["propertyNames"]["if"]["pattern"])
    read = {name: field for service in SERVICES for name, field in read_by(service).items()}
    assert {name for name in read if not own.match(name)} <= set(elsewhere)
    assert settings["propertyNames"]["then"]["enum"] == sorted(set(read) - set(elsewhere))
    assert settings["properties"]["LOG_LEVEL"]["enum"] == list(get_args(read["LOG_LEVEL"].annotation))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_given_all_that_it_cannot_do_without(service: str) -> None:
    needed = {name for name, field in read_by(service).items() if field.is_required()}
    found = demo()
    secret = found.one("Secret", service)["stringData"]
    assert needed == set(secret)
    given = {**found.settings(service), **secret}
    # As the service itself reads them.
    SETTINGS[service].model_validate(given)


@pytest.mark.parametrize("service", SERVICES)
def test_a_setting_of_all_is_overridden_by_that_of_a_service(service: str) -> None:
    values = {
        "settings": {"LOG_LEVEL": "DEBUG", "COLLECT_LEASE_SECONDS": 45},
        "services": {service: {"settings": {"LOG_LEVEL": "ERROR"}}},
    }
    found = outside(values)
    for each in SERVICES:
        assert found.settings(each)["LOG_LEVEL"] == ("ERROR" if each == service else "DEBUG")
        assert found.settings(each)["COLLECT_LEASE_SECONDS"] == "45"


def test_a_large_number_reaches_the_service_as_it_was_written() -> None:
    found = outside({"services": {"gateway": {"settings": {"COLLECT_MAX_BODY_BYTES": 10_485_760}}}})
    assert found.settings("gateway")["COLLECT_MAX_BODY_BYTES"] == "10485760"


def test_the_proxy_of_the_production_values_waits_longer_than_an_answer_may() -> None:
    (ingress,) = render("production").all("Ingress")
    patience = ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-read-timeout"]
    assert int(patience) > GatewaySettings.model_fields["max_wait_seconds"].default + 10


def test_where_accounts_are_not_the_migrations_to_make_it_does_not_and_people_are_told_what_to_enter() -> None:
    job = render("production", values={"accounts": {"manage": False}}).one("Job", "migrate")
    assert "initContainers" not in job["spec"]["template"]["spec"]
    for told in (CHART / "README.md", ROOT / "docs" / "operating.md"):
        text = told.read_text(encoding="utf-8")
        (paragraph,) = [each for each in text.split("\n\n") if "Atlas" in each]
        assert "`collect-admin roles`" in paragraph
        assert "`killAnySession`" in paragraph


@pytest.mark.parametrize("service", SERVICES)
def test_pods_are_replaced_when_their_settings_change_and_only_then(service: str) -> None:
    def mark(level: str) -> str:
        found = outside({"services": {service: {"settings": {"LOG_LEVEL": level}}}})
        template: Object = found.one("Deployment", service)["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/settings"])

    assert mark("DEBUG") != mark("ERROR")
    found = outside({"services": {service: {"settings": {"LOG_LEVEL": "DEBUG"}}}, "toolbox": {"enabled": True}})
    template = found.one("Deployment", service)["spec"]["template"]
    assert template["metadata"]["annotations"]["checksum/settings"] == mark("DEBUG")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_probed_at_the_port_at_which_its_image_listens(service: str) -> None:
    bind = re.search(r"COLLECT_BIND=0\.0\.0\.0:(\d+)", DOCKERFILE)
    metrics_port = re.search(r"COLLECT_METRICS_PORT=(\d+)", DOCKERFILE)
    assert bind
    assert metrics_port
    listens = {"gateway": bind[1], "monitor": str(MonitorSettings.model_fields["port"].default)}
    port = int(listens.get(service, metrics_port[1]))
    (container,) = outside().one("Deployment", service)["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": port, "protocol": "TCP"}]


@pytest.mark.parametrize("worker", WORKERS)
def test_a_worker_of_the_values_has_the_queue_of_its_kind(worker: str) -> None:
    assert VALUES["services"][worker]["queue"] == job_queue(worker.removesuffix("-worker"))
    assert str(VALUES["services"][worker]["slots"]) == outside().settings(worker)["COLLECT_SLOTS"]


def test_the_user_of_the_pods_is_that_of_the_images() -> None:
    security = outside().one("Deployment", "gateway")["spec"]["template"]["spec"]["securityContext"]
    assert f"USER {security['runAsUser']}:{security['runAsGroup']}" in DOCKERFILE


def test_the_gateway_is_given_little_to_write_since_files_pass_through_it() -> None:
    volumes = outside().one("Deployment", "gateway")["spec"]["template"]["spec"]["volumes"]
    assert {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}} in volumes
    sources = (ROOT / "services" / "gateway" / "gateway").glob("**/*.py")
    writing = {path.name for path in sources if re.search(r"tempfile|request\.files", path.read_text(encoding="utf-8"))}
    # Its processes' metrics, some 64 KiB a file.
    assert writing == {"gunicorn_config.py"}


def test_compose_and_chart_run_the_same_images() -> None:
    for service in SERVICES:
        (container,) = outside({"image": {"tag": "dev"}}).one("Deployment", service)["spec"]["template"]["spec"][
            "containers"
        ]
        assert container["image"] == re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", COMPOSE[service]["image"])
    for server, container in {"mongodb": "mongo", "rabbitmq": "rabbitmq", "redis": "redis"}.items():
        default = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", COMPOSE[container]["image"])
        assert VALUES["demo"][server]["image"] == default
    assert VALUES["jaeger"]["image"] == re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", COMPOSE["jaeger"]["image"])


@pytest.mark.parametrize("service", SERVICES)
def test_compose_and_chart_give_as_long_to_end_and_as_many_slots(service: str) -> None:
    assert COMPOSE[service]["stop_grace_period"] == f"{VALUES['terminationGracePeriodSeconds']}s"
    if service in WORKERS:
        assert COMPOSE[service]["environment"]["COLLECT_SLOTS"] == "${COLLECT_SLOTS:-2}"
        assert VALUES["services"][service]["slots"] == 2


@pytest.mark.parametrize("part", ["accounts", "migrate", "replica-set", "selftest"])
def test_every_command_that_the_chart_runs_is_there_with_its_options(part: str) -> None:
    commands = {
        container["name"]: container["command"]
        for _, pod in demo().pods()
        for container in containers(pod)
        if "command" in container
    }
    programme, name, *arguments = commands[part]
    assert programme == "collect-admin"
    known = {option for parameter in collect_admin.commands[name].params for option in parameter.opts}
    assert {word for word in arguments if word.startswith("--")} <= known


def test_every_alert_asks_for_metrics_that_there_are() -> None:
    (rules,) = outside({"monitoring": {"enabled": True}}).all("PrometheusRule")
    (group,) = rules["spec"]["groups"]
    asked = {name for rule in group["rules"] for name in re.findall(r"\bcollect_\w+", rule["expr"])}
    assert asked
    assert asked <= set(re.findall(r'"(collect_\w+)"', _source(metrics)))
    assert all(rule["annotations"]["summary"] for rule in group["rules"])


def _source(module: Any) -> str:
    with open(module.__file__, encoding="utf-8") as file:
        return file.read()
