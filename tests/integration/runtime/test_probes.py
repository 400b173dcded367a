"""What a probe says of a server."""

from typing import Any, cast

from collect.runtime.probes import readiness
from collect.storage.database import PING_SECONDS, Database
from integration.storage.failpoints import failing


class Connected:
    connected = True


def test_a_database_that_hangs_is_not_waited_for_until_it_answers(db: Database) -> None:
    probe = readiness(db, cast(Any, Connected()))["mongodb"]
    hangs = {"blockConnection": True, "blockTimeMS": round(2_000 * PING_SECONDS)}
    with failing(db, "ping", app_name="tests", times=1, **hangs):
        assert probe() is not None
    assert probe() is None
