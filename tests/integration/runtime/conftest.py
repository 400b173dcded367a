"""A database of the module's own for slices, empty before each test."""

from collections.abc import Iterator

import pytest

from collect.storage.database import Database, connect
from support.protocol_driver import prepare


@pytest.fixture(scope="module")
def connection(mongodb_url: str, database_name: str) -> Iterator[Database]:
    db = connect(mongodb_url, database=database_name, app_name="tests")
    yield db
    db.close()


@pytest.fixture
def db(connection: Database) -> Database:
    prepare(connection)
    return connection
