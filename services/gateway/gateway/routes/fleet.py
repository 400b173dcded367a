"""Workers and queues."""

from __future__ import annotations

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from collect.api.answers import Page
from collect.api.data import Queue, Slot, Worker
from collect.jobs.model import PartStatus
from collect.messaging import topology
from collect.storage import jobs, parts, workers
from gateway.http.auth import caller
from gateway.schemas.pages import PageQuery, one_of_all, page
from gateway.services import services

blueprint = APIBlueprint("fleet", __name__, url_prefix="/v1", abp_tags=[Tag(name="workers")])


@blueprint.get("/workers")
def show_workers(query: PageQuery) -> Page[Worker]:
    """List workers.

    Those that were seen lately. What their slots do for other organisations is not shown.
    """
    seen = workers.seen(services().db)
    shown, following = one_of_all(query, seen, str, lambda worker: str(worker["_id"]))
    named = [slot["job_id"] for worker in shown for slot in worker["slots"] if slot["job_id"]]
    ours = jobs.owned(services().db, org_id=caller().org_id, job_ids=named)
    return page([_worker(worker, ours) for worker in shown], following)


@blueprint.get("/queues")
def show_queues(query: PageQuery) -> Page[Queue]:
    """List queues.

    For each kind of job, how many of the organisation's parts wait for a slot, and how many have one.
    """
    db, org_id = services().db, caller().org_id
    kinds, following = one_of_all(query, topology.KINDS, int, topology.KINDS.index)
    items = [
        Queue(
            kind=kind,
            queue=topology.job_queue(kind),
            waiting=parts.count(db, org_id=org_id, kind=kind, status=PartStatus.QUEUED),
            running=parts.count(db, org_id=org_id, kind=kind, status=PartStatus.LEASED),
        )
        for kind in kinds
    ]
    return page(items, following)


def _worker(worker: dict[str, Any], ours: set[str]) -> Worker:
    slots = [
        Slot(
            busy=slot["job_id"] is not None,
            job_id=slot["job_id"] if slot["job_id"] in ours else None,
            part=slot["part"] if slot["job_id"] in ours else None,
            rows_per_second=slot["rate"],
            rss_bytes=slot["rss"],
            cpu_seconds=slot["cpu"],
        )
        for slot in worker["slots"]
    ]
    return Worker(id=worker["_id"], kind=worker["kind"], version=worker["version"], at=worker["at"], slots=slots)
