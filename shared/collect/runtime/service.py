"""The wiring that the workers of all kinds share: settings, consumer, sender, parent."""

from __future__ import annotations

from collections.abc import Callable

from collect import settings
from collect.messaging.consumer import worker_consumer
from collect.messaging.outbox import OutboxSender
from collect.messaging.publisher import Publisher
from collect.observability import logs, traces
from collect.observability.endpoint import Endpoint
from collect.runtime.probes import readiness
from collect.runtime.slot_process import SlotSettings
from collect.runtime.task import Task
from collect.runtime.worker import Worker, WorkerSettings
from collect.storage import outbox
from collect.storage.database import Database, connect


def serve(*, service: str, kind: str, make_task: Callable[[Database, str], Task]) -> None:
    """Run a worker of ``kind``. Blocks until SIGTERM or SIGINT has drained it.

    ``make_task`` is called in each slot's process, with the database and the URL of the file store.

    Raises:
        SystemExit: fault points are set, and this is a released image.
    """
    found = settings.read(settings.WorkerProcessSettings, service=service)
    if found.image and found.fault_points:
        raise SystemExit("COLLECT_FAULT_POINTS is for tests only; an image does not take it.")
    logs.configure(service, found.log_level)
    traces.configure(service)
    db = connect(found.mongodb_url, database=found.mongodb_database, app_name=service)
    sender = OutboxSender(Publisher(found.amqp_url), delete=lambda ids: outbox.delete(db, ids))
    worker = Worker(
        settings=WorkerSettings(
            kind=kind,
            version=found.version,
            slots=found.slots,
            lease_seconds=found.lease_seconds,
            grace_seconds=found.grace_seconds,
            slot=SlotSettings(
                service=service,
                mongodb_url=found.mongodb_url,
                mongodb_database=found.mongodb_database,
                storage_url=found.storage_url,
                lease_seconds=found.lease_seconds,
                make_task=make_task,
                fault_points=found.fault_points,
            ),
        ),
        db=db,
        sender=sender,
        connect_consumer=lambda worker: worker_consumer(
            found.amqp_url,
            kind=kind,
            prefetch=found.slots,
            on_job=worker.on_job,
            on_control=worker.on_control,
            on_lost=worker.on_lost,
            heartbeat_seconds=found.broker_heartbeat_seconds,
        ),
    )
    if found.metrics_port is not None:
        Endpoint(
            host="0.0.0.0",  # probes come from outside of the pod
            port=found.metrics_port,
            health={"parent": worker.health},
            readiness=readiness(db, worker.consumer),
        ).start()
    worker.run()
    traces.shutdown()
    db.close()
