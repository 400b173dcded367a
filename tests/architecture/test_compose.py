"""What Compose brings up is the system that the code describes: its services, settings, ports and queues."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from collect.messaging.topology import QUEUES
from collect.settings import ServerSettings, WorkerProcessSettings
from gateway.settings import GatewaySettings
from monitor.settings import MonitorSettings
from stack.services import STOP_SECONDS

ROOT = Path(__file__).resolve().parents[2]
FILE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
HOST: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.host.yml").read_text(encoding="utf-8"))
CONTAINERS: dict[str, dict[str, Any]] = FILE["services"]
SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if (path / "pyproject.toml").exists())
WORKERS = [name for name in SERVICES if name.endswith("-worker")]
SERVERS = ["mongo", "rabbitmq", "redis", "jaeger"]
TO_THEIR_END = ["replica-set", "migrate", "toolbox"]
OURS = [*SERVICES, *TO_THEIR_END]
SETTINGS: dict[str, type[ServerSettings]] = {
    **dict.fromkeys(WORKERS, WorkerProcessSettings),
    "gateway": GatewaySettings,
    "monitor": MonitorSettings,
}
# What the exporter of traces reads itself.
STANDARD = {"OTEL_EXPORTER_OTLP_ENDPOINT"}


def image(service: str) -> str:
    return f"${{REGISTRY:-collect-jobs}}/{service}:${{VERSION:-dev}}"


def images_alike(one: str, other: str) -> bool:
    return bool(CONTAINERS[one]["image"] == CONTAINERS[other]["image"])


def waited_for(name: str) -> set[str]:
    """All that it starts after."""
    next_ones = set(CONTAINERS[name].get("depends_on", {}))
    return next_ones.union(*map(waited_for, next_ones))


def test_there_is_a_container_for_each_service_and_server_and_no_other() -> None:
    assert sorted(CONTAINERS) == sorted([*OURS, *SERVERS])


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_runs_from_an_image_of_its_name(name: str) -> None:
    assert CONTAINERS[name]["image"] == image(name)
    assert "command" not in CONTAINERS[name]


@pytest.mark.parametrize("name", TO_THEIR_END)
def test_commands_run_from_the_image_of_a_service(name: str) -> None:
    assert CONTAINERS[name]["image"] in map(image, SERVICES)
    assert CONTAINERS[name]["command"][0] == "collect-admin"


def test_an_image_is_built_once_since_of_two_builds_of_one_name_the_second_fails() -> None:
    built = {name: each for name, each in CONTAINERS.items() if "build" in each}
    assert sorted(each["image"] for each in built.values()) == sorted(map(image, SERVICES))
    assert [name for name, each in built.items() if image(each["build"]["args"]["SERVICE"]) != each["image"]] == []


@pytest.mark.parametrize("name", [name for name in OURS if name != "toolbox"])
def test_whatever_is_started_waits_for_the_one_its_image_is_built_for(name: str) -> None:
    (builder,) = [each for each in OURS if "build" in CONTAINERS[each] and images_alike(each, name)]
    assert builder in {name, *waited_for(name)}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_given_all_that_it_needs_and_nothing_that_it_does_not_read(name: str) -> None:
    given = set(CONTAINERS[name]["environment"])
    fields = SETTINGS[name].model_fields.values()
    needed = {str(field.validation_alias) for field in fields if field.is_required()}
    assert needed <= given
    assert given - STANDARD <= {str(field.validation_alias) for field in fields}


@pytest.mark.parametrize("name", OURS)
def test_our_containers_write_nothing_but_tmp_and_have_no_rights(name: str) -> None:
    container = CONTAINERS[name]
    assert container["read_only"] is True
    assert container["tmpfs"] == ["/tmp"]
    assert container["cap_drop"] == ["ALL"]
    assert "user" not in container
    assert "privileged" not in container


@pytest.mark.parametrize("name", [*SERVICES, *SERVERS])
def test_whatever_stays_up_gains_no_right_says_how_it_is_and_comes_back(name: str) -> None:
    container = CONTAINERS[name]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert container["healthcheck"]["test"][0] == "CMD"
    assert container["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_asked_whether_it_is_ready_on_the_port_of_its_image(name: str) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    setting = r"COLLECT_BIND=0\.0\.0\.0:(\d+)" if name == "gateway" else r"COLLECT_METRICS_PORT=(\d+)"
    (port,) = re.findall(setting, dockerfile)
    script = CONTAINERS[name]["healthcheck"]["test"][-1]
    assert f'create_connection(("127.0.0.1", {port})' in script
    assert 'b"GET /readyz HTTP/1.0' in script


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_starts_after_the_migration_and_has_time_to_hand_its_work_back(name: str) -> None:
    assert CONTAINERS[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert int(CONTAINERS[name]["stop_grace_period"].removesuffix("s")) > STOP_SECONDS


def test_the_migration_starts_when_there_is_a_replica_set_and_a_broker() -> None:
    assert CONTAINERS["replica-set"]["depends_on"] == {"mongo": {"condition": "service_healthy"}}
    assert CONTAINERS["migrate"]["depends_on"] == {
        "replica-set": {"condition": "service_completed_successfully"},
        "rabbitmq": {"condition": "service_healthy"},
    }


@pytest.mark.parametrize("name", [*CONTAINERS])
def test_nothing_keeps_a_container_from_being_there_several_times_but_ports_for_people(name: str) -> None:
    assert "container_name" not in CONTAINERS[name]
    ports = CONTAINERS[name].get("ports", [])
    assert len(ports) == (name in ("gateway", "rabbitmq", "jaeger"))


@pytest.mark.parametrize(
    "port", [port for file in (FILE, HOST) for c in file["services"].values() for port in c.get("ports", [])]
)
def test_every_port_is_on_this_machine_only_and_can_be_changed(port: str) -> None:
    assert re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z_]+_PORT:-(\d+)\}:\1", port)


def test_what_must_outlive_a_container_is_kept_in_a_volume() -> None:
    assert CONTAINERS["mongo"]["volumes"] == ["mongo:/data/db"]
    assert CONTAINERS["rabbitmq"]["volumes"] == ["rabbitmq:/var/lib/rabbitmq"]
    assert CONTAINERS["rabbitmq"]["hostname"] == "rabbitmq"
    assert set(FILE["volumes"]) == {"mongo", "rabbitmq"}


def test_every_queue_has_a_service_that_reads_it() -> None:
    assert [queue.name for queue in QUEUES if queue.consumer.split()[0] not in {*CONTAINERS, "collect-admin"}] == []


def test_only_what_nobody_asks_for_is_left_out_of_a_plain_start() -> None:
    assert {name: each["profiles"] for name, each in CONTAINERS.items() if "profiles" in each} == {
        "toolbox": ["tools"],
        "jaeger": ["observability"],
    }


@pytest.mark.parametrize("name", SERVICES)
def test_traces_go_nowhere_unless_somebody_says_where(name: str) -> None:
    assert CONTAINERS[name]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == "${OTEL_EXPORTER_OTLP_ENDPOINT:-}"


def test_the_file_is_one_that_the_older_command_reads_too() -> None:
    assert {key for key in FILE if not key.startswith("x-")} == {"services", "volumes"}


def test_the_build_is_given_all_that_it_copies() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    given = [line[1:] for line in lines if line.startswith("!")]
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = [
        source.rstrip("/")
        for words in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE)
        for source in words.split()[:-1]
    ]
    assert copied
    assert [source for source in copied if not any(f"{source}/".startswith(f"{folder}/") for folder in given)] == []


def test_operators_are_told_every_variable_that_the_files_read() -> None:
    text = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^Compose takes .*?\n\n(.*?)\n\n", text, re.MULTILINE | re.DOTALL)
    said = {name for row in table.splitlines() for name in re.findall(r"`([A-Z_]+)`", row.split("|")[1])}
    files = [(ROOT / name).read_text(encoding="utf-8") for name in ("docker-compose.yml", "docker-compose.host.yml")]
    assert said == {name for file in files for name in re.findall(r"\$\{([A-Z_]+)", file)}
