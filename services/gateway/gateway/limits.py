"""How many requests a key may make in a minute, counted in Redis. Without Redis nobody is held up."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from flask import g
from redis import Redis, RedisError

from collect.errors import LimitReached

WINDOW_SECONDS = 60

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Used:
    """What is left of a limit, and the seconds until it is whole again."""

    limit: int
    remaining: int
    reset_seconds: int


def count(redis: Redis, *, key_id: str, per_minute: int) -> None:
    """Count one request.

    Raises:
        LimitReached: it is one too many.
    """
    now = time.time()
    window = int(now // WINDOW_SECONDS)
    reset = int((window + 1) * WINDOW_SECONDS - now) + 1
    name = f"collect:rate:{key_id}:{window}"
    try:
        pipeline = redis.pipeline(transaction=False)
        pipeline.incr(name)
        pipeline.expire(name, 2 * WINDOW_SECONDS)
        used = int(pipeline.execute()[0])
    except RedisError as error:
        _log.warning("rate_not_counted", extra={"error": type(error).__name__})
        return
    g.limit = Used(limit=per_minute, remaining=max(0, per_minute - used), reset_seconds=reset)
    if used > per_minute:
        raise LimitReached(f"This key may make {per_minute:,} requests a minute.", retry_after_seconds=reset)
