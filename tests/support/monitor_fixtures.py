"""What tests of the monitor do by hand: let leases run out, look into the queue, run two monitors side by side."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from kombu.connection import Connection

from collect.jobs.model import Job
from collect.messaging import topology
from collect.messaging.messages import RunPart, decode
from collect.storage.database import Database

MONITORS = 2

LEASE_SECONDS = 30.0


def received(amqp_url: str) -> list[RunPart]:
    """The job messages that are there, taken."""
    found = []
    with Connection(amqp_url) as broker:
        channel = broker.channel()
        while (message := channel.basic_get(topology.job_queue("upload"), no_ack=True)) is not None:
            run_part = decode(message.body if isinstance(message.body, bytes) else message.body.encode())[1]
            assert isinstance(run_part, RunPart)
            found.append(run_part)
    return found


def expire(db: Database, job: Job, n: int) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    assert db.parts.update_one({"_id": f"{job.id}:{n}"}, {"$set": {"lease_until": past}}).modified_count


def published_before(db: Database, job: Job, seconds: float) -> None:
    past = datetime.now(UTC) - timedelta(seconds=seconds)
    db.parts.update_many({"job_id": job.id, "status": "queued"}, {"$set": {"published_at": past}})


def side_by_side(*ticks: Any) -> list[int]:
    """All at once, from threads of their own."""
    ready = threading.Barrier(len(ticks))

    def act(tick: Any) -> int:
        ready.wait()
        return int(tick())

    with ThreadPoolExecutor(len(ticks)) as pool:
        return list(pool.map(act, ticks))
