"""The monitor's settings have the names that are documented, and sensible bounds."""

import pytest
from pydantic import ValidationError

from monitor.settings import MonitorSettings

NAMES = {
    "MONGODB_URL", "MONGODB_DATABASE", "AMQP_URL", "REDIS_URL", "STORAGE_URL", "LOG_LEVEL", "MONITOR_HOST",
    "MONITOR_PORT", "COLLECT_LEASE_SECONDS", "COLLECT_GRACE_SECONDS", "COLLECT_MONITOR_TICK_SECONDS",
    "COLLECT_RELAY_AFTER_SECONDS", "COLLECT_SWEEP_AFTER_SECONDS", "COLLECT_SWEEP_BUSY_AFTER_SECONDS",
    "COLLECT_MAX_EXPIRED_LEASES", "COLLECT_WORKER_SEEN_SECONDS", "COLLECT_BROKER_HEARTBEAT_SECONDS",
}  # fmt: skip
SERVERS = {"MONGODB_URL": "mongodb://m", "AMQP_URL": "amqp://a", "REDIS_URL": "redis://r"}


def test_the_names() -> None:
    assert {field.validation_alias for field in MonitorSettings.model_fields.values()} == NAMES


def test_the_defaults_are_those_of_the_protocol() -> None:
    found = MonitorSettings.model_validate(SERVERS)
    assert (found.lease_seconds, found.tick_seconds, found.relay_after_seconds) == (30.0, 1.0, 3.0)
    assert (found.sweep_after_seconds, found.sweep_busy_after_seconds) == (5.0, 600.0)
    assert (found.host, found.port) == ("127.0.0.1", 8081)


@pytest.mark.parametrize(
    "name", ["COLLECT_LEASE_SECONDS", "COLLECT_MONITOR_TICK_SECONDS", "COLLECT_MAX_EXPIRED_LEASES"]
)
def test_nothing_may_be_zero_that_would_never_end(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        MonitorSettings.model_validate({**SERVERS, name: "0"})
