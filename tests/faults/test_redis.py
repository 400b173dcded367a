"""Redis holds nothing but counts: whatever becomes of it, jobs and API go on, and nobody is held up."""

from collections.abc import Callable, Iterator

import pytest
import requests
from redis import Redis

from collect.client.api import CollectClient
from collect.demo import baseline
from collect.jobs.states import State
from collect.storage import api_keys, organisations
from collect.testing.system import eventually, free_port
from faults.proxy import Proxy
from stack.children import Child
from support.system_under_test import Plant

ROWS = 8_000
SECONDS = 60
FEW = "few"
PER_MINUTE = 3
LIMITED = 429
TOO_SLOW_SECONDS = 2.0


class Gate:
    """A gateway with a Redis of its own choice, and an organisation that may ask it a few times a minute."""

    def __init__(self, plant: Plant, redis_url: str) -> None:
        port = free_port()
        self._plant = plant
        self._url = f"http://127.0.0.1:{port}"
        plant.gateway(port=port, REDIS_URL=redis_url)
        self.client = CollectClient(url=self._url, api_key=plant.token)
        organisations.ensure(plant.db, org_id=FEW, name=FEW)
        organisations.patch(plant.db, org_id=FEW, limits={"requests_per_minute": PER_MINUTE})

    def limits(self) -> bool:
        """Whether a new key is told that it has asked too often. It asks often enough to meet the end of a minute."""
        key = api_keys.create(self._plant.db, org_id=FEW, name="new", role="viewer").secret
        return any(self._asked(key) == LIMITED for _ in range(2 * PER_MINUTE + 1))

    def _asked(self, key: str) -> int:
        answer = requests.get(f"{self._url}/v1/jobs", headers={"Authorization": f"Bearer {key}"}, timeout=SECONDS)
        return answer.status_code

    def sees_redis(self) -> bool:
        answer = requests.get(f"{self._url}/readyz", timeout=SECONDS)
        assert answer.status_code == 200
        return bool(answer.json()["redis"])

    def runs_a_job(self) -> None:
        plant = self._plant
        file = self.client.files.upload(plant.file(rows=ROWS))
        job = self.client.jobs.create(
            "upload", {"file_id": file.id, "dataset": baseline.NAME}, max_rows_per_second=1_000, reason="without Redis"
        ).id
        plant.until_written(job)
        assert self.client.jobs.pause(job, reason="as always").state == State.PAUSED
        self.client.jobs.patch(job, max_rows_per_second=None)
        self.client.jobs.resume(job, reason="as always")
        plant.until_state(job, State.SUCCEEDED)
        assert self.client.jobs.get(job).progress.succeeded == ROWS


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    with Proxy(redis_url) as proxy:
        yield proxy


DISTURBANCES: dict[str, Callable[[Proxy], None]] = {
    "slow": lambda proxy: proxy.flow(delay_seconds=TOO_SLOW_SECONDS),
    "silent": Proxy.hold,
    "refusing": Proxy.refuse,
}


@pytest.mark.parametrize("disturbance", DISTURBANCES)
def test_f28_whatever_redis_does_jobs_go_on_and_nobody_is_limited(
    shared: Plant, proxy: Proxy, disturbance: str
) -> None:
    gate = Gate(shared, proxy.url)
    shared.worker()
    assert gate.limits()
    DISTURBANCES[disturbance](proxy)
    assert not gate.limits()
    assert not gate.sees_redis()
    gate.runs_a_job()
    proxy.flow()
    eventually(gate.limits, seconds=SECONDS, what="limits are in force again")
    assert gate.sees_redis()


def test_f28_a_redis_that_is_flushed_and_then_gone(shared: Plant, own_redis: Child, redis_url: str) -> None:
    gate = Gate(shared, redis_url)
    shared.worker()
    assert gate.limits()
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
    assert gate.limits()
    own_redis.stop()
    assert not gate.limits()
    gate.runs_a_job()
    own_redis.start()
    eventually(gate.limits, seconds=SECONDS, what="limits are in force again")
