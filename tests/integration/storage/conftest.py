"""A database of the module's own for the storage code, empty before each test."""

from collections.abc import Callable, Iterator

import pytest

from collect.storage import indexes, organisations
from collect.storage.database import Database, connect
from integration.storage.hands import ORG

Connect = Callable[[str], Database]


@pytest.fixture(scope="module")
def migrated(mongodb_url: str, database_name: str) -> Iterator[Database]:
    db = connect(mongodb_url, database=database_name, app_name="storage-tests")
    indexes.migrate(db)
    yield db
    db.close()


@pytest.fixture
def db(migrated: Database) -> Database:
    """The database with one organisation and nothing else."""
    empty(migrated)
    return migrated


@pytest.fixture
def connected(mongodb_url: str, database_name: str) -> Iterator[Connect]:
    """Makes further connections to the same database, each with the name under which the server knows it."""
    made: list[Database] = []

    def make(app_name: str) -> Database:
        made.append(connect(mongodb_url, database=database_name, app_name=app_name))
        return made[-1]

    yield make
    for database in made:
        database.close()


def empty(db: Database) -> None:
    for name in indexes.COLLECTIONS:
        db[name].delete_many({})
    organisations.ensure(db, org_id=ORG, name="Labs")
