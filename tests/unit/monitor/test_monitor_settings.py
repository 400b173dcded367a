"""The monitor's settings have sensible bounds."""

import pytest
from pydantic import ValidationError

from monitor.settings import MonitorSettings

SERVERS = {"MONGODB_URL": "mongodb://m", "AMQP_URL": "amqp://a"}


def test_the_defaults_are_those_of_the_protocol() -> None:
    found = MonitorSettings.model_validate(SERVERS)
    assert (found.lease_seconds, found.tick_seconds, found.relay_after_seconds) == (30.0, 1.0, 3.0)
    assert (found.sweep_after_seconds, found.sweep_busy_after_seconds) == (5.0, 600.0)
    assert (found.retention_tick_seconds, found.leftover_after_seconds) == (60.0, 86_400.0)
    assert (found.host, found.port) == ("127.0.0.1", 8081)


@pytest.mark.parametrize(
    "name", ["COLLECT_LEASE_SECONDS", "COLLECT_MONITOR_TICK_SECONDS", "COLLECT_MAX_EXPIRED_LEASES"]
)
def test_nothing_may_be_zero_that_would_never_end(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        MonitorSettings.model_validate({**SERVERS, name: "0"})
