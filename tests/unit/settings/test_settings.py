"""Settings that are missing or wrong are said all at once, by name, and never with what was found."""

from __future__ import annotations

from itertools import product

import pytest
from pydantic_settings import BaseSettings

from collect import settings
from collect.admin.connection import BrokerSettings, DatabaseSettings
from collect.settings import WorkerProcessSettings
from gateway.settings import GatewaySettings, ServingSettings
from monitor.settings import MonitorSettings

SERVERS = {"MONGODB_URL": "mongodb://m", "AMQP_URL": "amqp://a", "REDIS_URL": "redis://r"}
SECRET = "hunter2"


def refusal(capsys: pytest.CaptureFixture[str], wanted: type[BaseSettings]) -> str:
    """What the process says before it ends."""
    with pytest.raises(SystemExit) as ended:
        settings.read(wanted, service="a-service")
    assert ended.value.code == 78
    return capsys.readouterr().err


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SERVERS:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("wanted", [GatewaySettings, WorkerProcessSettings, MonitorSettings])
def test_all_that_is_missing_is_said_at_once(
    wanted: type[settings.ServerSettings], capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(capsys, wanted)
    needed = {"MONGODB_URL", "AMQP_URL"} | ({"REDIS_URL"} if wanted is GatewaySettings else set())
    assert said.startswith("a-service cannot start")
    assert {name for name in SERVERS if f"  {name}: Field required" in said} == needed


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MONGODB_URL", f"http://user:{SECRET}@m"),
        ("MONGODB_URL", ""),
        ("AMQP_URL", f"redis://user:{SECRET}@a"),
        ("REDIS_URL", f"user:{SECRET}@r"),
        ("MONGODB_URL", f"mongodb://user:{SECRET}/{SECRET}@m/"),
        ("MONGODB_URL", f"mongodb://user:{SECRET}@m:{SECRET}/"),
        ("AMQP_URL", f"amqp://user:{SECRET}/{SECRET}@a/"),
        ("REDIS_URL", f"redis://user:{SECRET}/{SECRET}@r/"),
        ("STORAGE_URL", SECRET),
        ("STORAGE_URL", f"ftp://{SECRET}"),
        ("STORAGE_URL", "s3://"),
        ("LOG_LEVEL", SECRET),
        ("COLLECT_GATEWAY_THREADS", SECRET),
        ("COLLECT_MAX_POLLS", "0"),
        ("COLLECT_MAX_WAIT_SECONDS", "inf"),
        ("COLLECT_SILENT_SECONDS", "inf"),
        ("COLLECT_LEAST_BYTES_PER_SECOND", "nan"),
        *(("MONGODB_DATABASE", f"a{wrong}{SECRET}") for wrong in (" ", ".", "/", "\\", '"', "$")),
        ("MONGODB_DATABASE", ""),
        ("MONGODB_DATABASE", " "),
        ("MONGODB_DATABASE", 64 * "d"),
    ],
)
def test_what_is_wrong_is_said_by_name_and_its_value_is_not_shown(
    name: str, value: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for each, url in {**SERVERS, name: value}.items():
        monkeypatch.setenv(each, url)
    said = refusal(capsys, GatewaySettings)
    assert f"  {name}: " in said
    assert SECRET not in said
    assert said.count("\n") == 2


@pytest.mark.parametrize("value", ["inf", "-inf", "nan"])
@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        *product([WorkerProcessSettings, MonitorSettings], ["COLLECT_LEASE_SECONDS", "COLLECT_GRACE_SECONDS"]),
        (ServingSettings, "COLLECT_SILENT_SECONDS"),
    ],
)
def test_a_time_that_never_ends_is_none(
    wanted: type[BaseSettings],
    name: str,
    value: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for each, text in {**SERVERS, name: value}.items():
        monkeypatch.setenv(each, text)
    assert f"  {name}: " in refusal(capsys, wanted)


@pytest.mark.parametrize("around", ["{}\n", " {} ", "{}\r\n", "\t{}"])
@pytest.mark.parametrize(
    ("wanted", "name", "value"),
    [
        *((GatewaySettings, name, value) for name, value in SERVERS.items()),
        (MonitorSettings, "MONGODB_DATABASE", "collect-2"),
        (WorkerProcessSettings, "STORAGE_URL", "s3://a-bucket"),
        (WorkerProcessSettings, "COLLECT_LEASE_SECONDS", "45"),
        (ServingSettings, "COLLECT_BIND", "0.0.0.0:8080"),
        (DatabaseSettings, "MONGODB_URL", "mongodb://m"),
        (DatabaseSettings, "MONGODB_DATABASE", "collect-2"),
        (BrokerSettings, "AMQP_URL", "amqp://a"),
        (BrokerSettings, "RABBITMQ_MANAGEMENT_URL", "http://m"),
    ],
)
def test_what_an_editor_or_a_shell_leaves_around_a_value_is_none_of_it(
    wanted: type[BaseSettings], name: str, value: str, around: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each, text in SERVERS.items():
        monkeypatch.setenv(each, text)
    monkeypatch.setenv(name, around.format(value))
    found = settings.load(wanted, service="a-service")
    (field,) = [field for field, of in wanted.model_fields.items() if of.validation_alias == name]
    assert str(getattr(found, field)).removesuffix(".0") == value


@pytest.mark.parametrize("value", ["", "a b", "a.b"])
def test_operators_commands_refuse_the_name_of_a_database_that_there_cannot_be(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each, text in {**SERVERS, "MONGODB_DATABASE": value}.items():
        monkeypatch.setenv(each, text)
    with pytest.raises(settings.InvalidSettings, match="MONGODB_DATABASE: "):
        settings.load(DatabaseSettings, service="collect-admin")
