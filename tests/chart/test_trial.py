"""What the trial on a cluster reads from pods is there, as the chart makes them."""

import pytest

from chart.rendering import SERVICES, demo
from cluster import release, trial


def test_the_trial_knows_every_service() -> None:
    assert sorted(release.SERVICES) == SERVICES


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_pod_waits_before_it_is_told_to_end_is_not_taken_for_its_drain(service: str) -> None:
    values = {"services": {"gateway": {"preStopSeconds": 7}}}
    pod = demo(values).one("Deployment", service)["spec"]["template"]
    assert trial.seconds_before_sigterm(pod) == (7 if service == "gateway" else 0)


def test_a_pod_is_ready_so_long_after_its_container_began() -> None:
    status = {
        "containerStatuses": [{"state": {"running": {"startedAt": "2026-01-31T23:59:58Z"}}}],
        "conditions": [
            {"type": "PodScheduled", "lastTransitionTime": "2026-01-31T23:59:50Z"},
            {"type": "Ready", "lastTransitionTime": "2026-02-01T00:00:02Z"},
        ],
    }
    assert trial.seconds_to_ready({"status": status}) == 4
