"""What runs the jobs: workers and queues."""

from __future__ import annotations

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from collect.messaging import topology
from collect.storage import workers
from gateway.http.auth import caller
from gateway.schemas.pages import PageQuery, one_of_all, page
from gateway.schemas.times import written
from gateway.services import services

blueprint = APIBlueprint("fleet", __name__, url_prefix="/v1", abp_tags=[Tag(name="workers")])


@blueprint.get("/workers")
def show_workers(query: PageQuery) -> dict[str, Any]:
    """List workers.

    Those that were seen lately. What their slots do for other organisations is not shown.
    """
    seen = workers.seen(services().db)
    found, following = one_of_all(query, seen, str, lambda worker: str(worker["_id"]))
    named = [slot["job_id"] for worker in found for slot in worker["slots"] if slot["job_id"]]
    ours = services().db.jobs.distinct("_id", {"_id": {"$in": named}, "org_id": caller().org_id})
    return page([_worker(worker, set(ours)) for worker in found], following)


@blueprint.get("/queues")
def show_queues(query: PageQuery) -> dict[str, Any]:
    """List queues.

    For each kind of job, how many of the organisation's parts wait for a slot, and how many have one.
    """
    db, org_id = services().db, caller().org_id
    found, following = one_of_all(query, topology.KINDS, int, topology.KINDS.index)
    items = [
        {
            "kind": kind,
            "queue": topology.job_queue(kind),
            "waiting": db.parts.count_documents({"org_id": org_id, "kind": kind, "status": "queued"}),
            "running": db.parts.count_documents({"org_id": org_id, "kind": kind, "status": "leased"}),
        }
        for kind in found
    ]
    return page(items, following)


def _worker(worker: dict[str, Any], ours: set[str]) -> dict[str, Any]:
    slots = [
        {
            "busy": slot["job_id"] is not None,
            "job_id": slot["job_id"] if slot["job_id"] in ours else None,
            "part": slot["part"] if slot["job_id"] in ours else None,
            "rows_per_second": slot["rate"],
            "rss_bytes": slot["rss"],
            "cpu_seconds": slot["cpu"],
        }
        for slot in worker["slots"]
    ]
    body: dict[str, Any] = written(
        {"id": worker["_id"], "kind": worker["kind"], "version": worker["version"], "at": worker["at"], "slots": slots}
    )
    return body
