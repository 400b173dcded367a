"""An operator's `collect-admin migrate` sets the broker's policies, in the virtual host that the services use."""

import subprocess
import sys

import pytest

from collect.messaging import topology
from stack import rabbitmq


@pytest.fixture
def environment(
    monkeypatch: pytest.MonkeyPatch, mongodb_url: str, database_name: str, amqp_url: str, management_url: str
) -> pytest.MonkeyPatch:
    monkeypatch.setenv("MONGODB_URL", mongodb_url)
    monkeypatch.setenv("MONGODB_DATABASE", database_name)
    monkeypatch.setenv("AMQP_URL", amqp_url)
    monkeypatch.setenv("RABBITMQ_MANAGEMENT_URL", management_url)
    return monkeypatch


def policies(management_url: str, vhost: str) -> dict[str, object]:
    return {
        found["name"]: found["definition"] for found in rabbitmq.call(management_url, "GET", f"/api/policies/{vhost}")
    }


def migrate() -> str:
    done = subprocess.run(
        [sys.executable, "-c", "from collect.admin.cli import main; main()", "migrate"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_migrating_sets_the_policies_and_again_changes_nothing(
    environment: pytest.MonkeyPatch, management_url: str, vhost: str
) -> None:
    environment.delenv("RABBITMQ_MANAGEMENT_URL")
    migrate()
    assert policies(management_url, vhost) == {}
    environment.setenv("RABBITMQ_MANAGEMENT_URL", management_url)
    for _ in range(2):
        assert "policies" in migrate()
        assert policies(management_url, vhost) == {policy.name: policy.definition for policy in topology.POLICIES}
