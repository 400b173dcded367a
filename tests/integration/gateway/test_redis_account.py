"""The gateway's account on Redis, as the page for operators gives it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError

from gateway.http import rate_limit

OPERATING = Path(__file__).resolve().parents[3] / "docs" / "operating.md"
USER, PASSWORD = "gateway-with-least-rights", "secret"


@pytest.fixture
def account(redis_url: str) -> Iterator[Redis]:
    """Connected as the account that the page describes."""
    found = re.search(r"^user gateway on >PASSWORD (.+)$", OPERATING.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    with Redis.from_url(redis_url) as operator:
        operator.execute_command("ACL", "SETUSER", USER, "reset", "on", f">{PASSWORD}", *found[1].split())
        try:
            with rate_limit.connect(redis_url.replace("://", f"://{USER}:{PASSWORD}@")) as mine:
                yield mine
        finally:
            operator.acl_deluser(USER)


def test_the_gateway_counts_requests_and_sees_that_redis_is_there(account: Redis) -> None:
    assert account.ping()
    counted = rate_limit.RateLimiter(redis=account).count(key_id="least-rights", per_minute=5)
    assert counted is not None
    assert counted[1]


def test_it_may_do_nothing_else(account: Redis) -> None:
    for act in (
        lambda: account.incrby("another"),
        lambda: account.get("collect:rate:anything"),
        account.flushdb,
        account.keys,
        account.config_get,
    ):
        with pytest.raises(NoPermissionError):
            act()
