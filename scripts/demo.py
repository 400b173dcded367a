"""Plays three stories on the running system and checks every step.

A support user's file of 100,000 rows with two columns exchanged; a pipeline's export of 200,000 responses too many; a
list of 10,000 teams whose managers have slipped down by ten rows.
"""

from __future__ import annotations

import argparse
import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pymongo.errors import PyMongoError

from collect.client import ClientError, CollectClient
from collect.demo.baseline import NAME
from collect.storage.database import connect
from stack import demo_env
from story.acts import Story
from story.exports import ExportStory
from story.leftovers import OwnJobs
from story.stores import Stores
from story.teams import TeamStory
from story.telling import CheckFailed, Teller

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ROOT / ".local"
ORG_ID = "labs"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Two demos side by side would take back each other's jobs.

    Raises:
        CheckFailed: another one is running.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CheckFailed("no other demo is running on this machine; wait until it has ended") from None
        yield


def play(environment: dict[str, str], teller: Teller, *, rows: int, responses: int, teams: int, folder: Path) -> None:
    db = connect(environment["MONGODB_URL"], database=environment["MONGODB_DATABASE"], app_name="collect-demo")
    try:
        with CollectClient.from_environment(environment) as client:
            stores = Stores(db=db, org_id=ORG_ID, dataset=NAME)
            own = OwnJobs(path=folder / "jobs.json")
            Story(client=client, stores=stores, teller=teller, folder=folder, own=own, rows=rows).play()
            ExportStory(
                client=client, db=db, org_id=ORG_ID, teller=teller, folder=folder, own=own, responses=responses
            ).play()
            TeamStory(client=client, db=db, org_id=ORG_ID, teller=teller, folder=folder, own=own, teams=teams).play()
    finally:
        db.close()


def where(environment: dict[str, str]) -> list[str]:
    return [
        "",
        "The system is still up:",
        f"  gateway               {environment['COLLECT_URL']}  (its API: /docs)",
        f"  RabbitMQ management   {environment['RABBITMQ_MANAGEMENT_URL']}",
        f"  MongoDB               {environment['MONGODB_URL']}",
        "  keys and addresses    .local/demo.env",
        "",
        "  set -a; . .local/demo.env; set +a; .venv/bin/collect jobs list",
        "  make down             stops it",
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env-file", type=Path, default=LOCAL / "demo.env", help="what `make up` has written")
    parser.add_argument("--rows", type=int, default=100_000, help="how many rows the file has")
    parser.add_argument("--responses", type=int, default=200_000, help="how many responses the form has")
    parser.add_argument("--teams", type=int, default=10_000, help="how many teams the list has")
    parser.add_argument("--folder", type=Path, default=LOCAL / "demo", help="where the files are written")
    asked = parser.parse_args()
    environment = demo_env.read(asked.env_file)
    teller = Teller()
    if not environment:
        teller.failed(f"there is no {asked.env_file}; `make up` makes it.")
        return 1
    try:
        with alone(asked.folder):
            environment = {"MONGODB_DATABASE": "collect", **environment}
            wanted = {"rows": asked.rows, "responses": asked.responses, "teams": asked.teams}
            play(environment, teller, **wanted, folder=asked.folder)
    except CheckFailed as failure:
        teller.failed(str(failure))
        return 1
    except (ClientError, PyMongoError) as error:
        teller.failed(f"{type(error).__name__}: {error}")
        return 1
    except KeyboardInterrupt:
        teller.failed("interrupted; the next demo takes back what this one has left.")
        return 130
    teller.finish(where(environment))
    return 0


if __name__ == "__main__":
    sys.exit(main())
