"""Settings that are missing or wrong are said all at once, by name, and never with what was found."""

from __future__ import annotations

import pytest

from collect import settings
from collect.settings import WorkerProcessSettings
from gateway.settings import GatewaySettings
from monitor.settings import MonitorSettings

SERVERS = {"MONGODB_URL": "mongodb://m", "AMQP_URL": "amqp://a", "REDIS_URL": "redis://r"}
SECRET = "hunter2"


def refusal(capsys: pytest.CaptureFixture[str], wanted: type[settings.ServerSettings]) -> str:
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
