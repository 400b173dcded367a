"""A private MongoDB: a replica set of one, because transactions need a replica set."""

from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from stack.ports import LOOPBACK
from stack.server import Server, ServerMissing

PORT_NAMES = ("mongodb",)
SET_NAME = "rs0"
NOT_YET_INITIALIZED = 94


def wheel_programme(installed: Path) -> Path:
    return installed / "fiftyone" / "db" / "bin" / "mongod"


def mongodb_url(ports: dict[str, int]) -> str:
    return f"mongodb://{LOOPBACK}:{ports['mongodb']}/?directConnection=true"


def mongodb(root: Path, ports: dict[str, int], *, installed: Path, cache_gigabytes: float = 1.0) -> Server:
    """`installed` is the folder into which the MongoDB wheel was unpacked. Test commands are on, for fail points."""
    programme = wheel_programme(installed)
    if not programme.exists():
        raise ServerMissing("mongod")
    parameters = (
        "enableTestCommands=1",
        "diagnosticDataCollectionEnabled=false",
        "transactionLifetimeLimitSeconds=10",
    )
    return Server(
        name="mongodb",
        command=(
            *(str(programme), "--dbpath", str(root / "data"), "--port", str(ports["mongodb"])),
            *("--bind_ip", LOOPBACK, "--replSet", SET_NAME, "--nounixsocket"),
            *("--wiredTigerCacheSizeGB", f"{cache_gigabytes:g}", "--logpath", str(root / "mongod.log"), "--logappend"),
            *(word for parameter in parameters for word in ("--setParameter", parameter)),
        ),
        folders=(root / "data",),
        ready=lambda: is_primary(ports),
        ready_seconds=60,
        stop_seconds=30,
    )


def is_primary(ports: dict[str, int]) -> bool:
    """True if the member takes writes; on the way there it makes the set, or gives it the member's new port."""
    client: MongoClient[dict[str, Any]] = MongoClient(
        mongodb_url(ports), serverSelectionTimeoutMS=1000, connectTimeoutMS=1000
    )
    try:
        if client.admin.command("hello").get("isWritablePrimary"):
            return True
        bring_up(client, host=f"{LOOPBACK}:{ports['mongodb']}")
    except PyMongoError:
        return False
    finally:
        client.close()
    return False


def bring_up(client: MongoClient[dict[str, Any]], *, host: str) -> None:
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code != NOT_YET_INITIALIZED:
            raise
        client.admin.command("replSetInitiate", {"_id": SET_NAME, "members": [{"_id": 0, "host": host}]})
        return
    if config["members"][0]["host"] != host:
        config["members"] = [{"_id": 0, "host": host}]
        config["version"] += 1
        client.admin.command("replSetReconfig", config, force=True)
