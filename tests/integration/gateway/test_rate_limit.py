"""The limit of requests a minute lets exactly that many through, and counts each API key for itself."""

import secrets
from collections.abc import Iterator

import pytest
from redis import Redis

from gateway.http.rate_limit import WINDOW_SECONDS, RateLimiter
from support.protocol_driver import StandingClock

LIMIT = 3


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


def within(limiter: RateLimiter, key_id: str) -> tuple[int, bool]:
    """Count one request and return what is left, and whether it was within the limit."""
    counted = limiter.count(key_id=key_id, per_minute=LIMIT)
    assert counted is not None
    return counted[0].remaining, counted[1]


def test_the_limit_lets_exactly_that_many_requests_through_in_a_minute(redis: Redis) -> None:
    clock, key_id = StandingClock(), secrets.token_hex(8)
    limiter = RateLimiter(redis=redis, clock=clock)
    assert [within(limiter, key_id) for _ in range(LIMIT + 2)] == [
        (2, True),
        (1, True),
        (0, True),
        (0, False),
        (0, False),
    ]
    clock.advance(WINDOW_SECONDS)
    assert within(limiter, key_id) == (2, True)


def test_each_api_key_has_a_limit_of_its_own(redis: Redis) -> None:
    limiter = RateLimiter(redis=redis, clock=StandingClock())
    first, second = secrets.token_hex(8), secrets.token_hex(8)
    for _ in range(LIMIT + 1):
        within(limiter, first)
    assert within(limiter, second) == (LIMIT - 1, True)
