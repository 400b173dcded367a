"""Limits how many requests a key may make in a minute, counted in Redis. Without Redis there is no limit."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from collect.clock import Clock, SystemClock
from collect.errors import LimitReached

WINDOW_SECONDS = 60
SILENT_SECONDS = 5.0
"""Seconds without a further call to a Redis that did not answer, so that few requests wait for it."""

ANSWER_SECONDS = 0.5

_log = logging.getLogger(__name__)


def connect(url: str) -> Redis:
    """Return a Redis client with short timeouts, since only a count is lost. It retries once, for a stale one."""
    return Redis.from_url(
        url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS, retry=Retry(NoBackoff(), 1)
    )


@dataclass(frozen=True, kw_only=True)
class Used:
    """The requests that are left of a limit, and the seconds until the full limit is available again."""

    limit: int
    remaining: int
    reset_seconds: int

    def headers(self) -> dict[str, str]:
        """Return the headers of the answer: the structured field ``RateLimit`` and the older three headers."""
        return {
            "RateLimit": f"limit={self.limit}, remaining={self.remaining}, reset={self.reset_seconds}",
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_seconds),
        }

    def refuse(self) -> LimitReached:
        return LimitReached(
            f"This key may make {self.limit:,} requests a minute.", retry_after_seconds=self.reset_seconds
        )


class RateLimiter:
    """A counter of requests. Safe for several threads: a race costs at most a few more calls to a silent Redis."""

    def __init__(self, *, redis: Redis, clock: Clock | None = None) -> None:
        self._redis = redis
        self._clock = clock or SystemClock()
        self._silent_until = 0.0

    def count(self, *, key_id: str, per_minute: int) -> tuple[Used, bool] | None:
        """Count one request, and return what is left and whether this request is within the limit.

        Returns ``None`` when Redis does not answer: the request is then not limited.
        """
        if self._clock.monotonic() < self._silent_until:
            return None
        now = self._clock.now().timestamp()
        window = int(now // WINDOW_SECONDS)
        name = f"collect:rate:{key_id}:{window}"
        try:
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.incr(name)
            pipeline.expire(name, 2 * WINDOW_SECONDS)
            used = int(pipeline.execute()[0])
        except RedisError as error:
            self._silent_until = self._clock.monotonic() + SILENT_SECONDS
            _log.warning("rate_not_counted", extra={"error": type(error).__name__})
            return None
        reset = int((window + 1) * WINDOW_SECONDS - now) + 1
        left = Used(limit=per_minute, remaining=max(0, per_minute - used), reset_seconds=reset)
        return left, used <= per_minute
