"""A database with one organisation, for tests of corrections."""

from collections.abc import Iterator

import pytest

from collect.storage import indexes, organisations
from collect.storage.database import Database, connect
from support.corrections import ORG


@pytest.fixture(scope="module")
def db(mongodb_url: str, database_name: str) -> Iterator[Database]:
    database = connect(mongodb_url, database=database_name, app_name="tests")
    indexes.migrate(database)
    organisations.ensure(database, org_id=ORG, name=ORG)
    yield database
    database.close()
