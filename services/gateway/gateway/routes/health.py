"""Whether the process lives, whether it can work, and its metrics."""

from __future__ import annotations

import logging
import os

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest, multiprocess
from pymongo.errors import PyMongoError
from redis import RedisError

from collect.api.data import Health, Readiness
from gateway.http.answering import JSON, PLAIN, answer, answering
from gateway.http.auth import public
from gateway.services import services

_log = logging.getLogger(__name__)

blueprint = APIBlueprint("health", __name__, abp_tags=[Tag(name="health")])


@blueprint.get("/healthz")
@public
def healthz() -> Health:
    """Is the process alive?"""
    return Health(status="ok")


@blueprint.get("/readyz")
@public
@answering({JSON: Readiness}, 200, 503)
def readyz() -> Response:
    """Is the gateway ready?

    200 as long as the database answers: without the broker or Redis the gateway still takes requests. For the
    broker it tells what was seen last, without asking, since a broker that hangs would hold up the probe.
    """
    servers = {"mongodb": _mongodb(), "rabbitmq": bool(services().sender.reachable()), "redis": _redis()}
    if not servers["mongodb"]:
        _log.warning("not_ready", extra={"waits_for": servers})
    status = "ok" if all(servers.values()) else "degraded"
    return answer(Readiness(status=status, **servers), status=200 if servers["mongodb"] else 503)


@blueprint.get("/metrics")
@public
@answering({PLAIN: None})
def metrics() -> Response:
    """Metrics for Prometheus.

    Of all processes that serve this port.
    """
    return Response(generate_latest(_registry()), content_type=CONTENT_TYPE_LATEST)


def _registry() -> CollectorRegistry:
    """What all processes of this gateway have counted, where there are several; else what this one has."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return registry


def _mongodb() -> bool:
    try:
        services().db.ping()
    except PyMongoError:
        return False
    return True


def _redis() -> bool:
    try:
        return bool(services().redis.ping())
    except RedisError:
        return False
