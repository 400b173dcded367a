"""MB a second of an export's result through the gateway, from each kind of store: one, then twenty at once; its memory.

    make bench ONLY=download

The result is made of objects as an export makes them, of a megabyte or so of text that is nowhere the same. What came
is counted, and not kept. The gateway is one process of 32 threads; the client is another, on the same machine.
"""

from __future__ import annotations

import hashlib
import http.client
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from collect.jobs.model import Actor, Job
from collect.jobs.states import State
from collect.storage import results
from collect.storage.object_store import Blobs, open_blobs
from rig import ORG, Rig, rig, say
from upload import Memory

OBJECTS = 1_000
OBJECT_BYTES = 1_000_000
AT_ONCE = 20
SHARE_OF_ONE = 8
"""Of twenty at once each takes an eighth of the result."""
READ_BYTES = 1024 * 1024
MEGA = 1_000_000


def lines() -> Iterator[bytes]:
    """Objects of text, each with other numbers."""
    chance = random.Random(1)
    plain = b"".join(b"r-%09d,%06d,some text that is the same\n" % (n, chance.randrange(10**6)) for n in range(26_000))
    for n in range(OBJECTS):
        at = chance.randrange(len(plain) - 100)
        yield (b"%d\n" % n + plain[at:] + plain[:at])[:OBJECT_BYTES]


def made(rig_: Rig, blobs: Blobs) -> str:
    """An export that has succeeded, with its objects in the store; its id."""
    job_id, now, whole = "bench-download", datetime.now(UTC), hashlib.sha256()
    objects: list[dict[str, Any]] = []
    for n, data in enumerate(lines()):
        name = f"{results.prefix_of(job_id)}part-1-1-{n}"
        objects.append({"name": name, "bytes": blobs.write(name, [data])})
        whole.update(data)
    size = sum(found["bytes"] for found in objects)
    result = {
        "format": "csv", "rows": 0, "bytes": size, "sha256": whole.hexdigest(), "complete": True, "objects": objects,
        "parts": [], "misfits": {}, "made_at": now, "expires_at": now.replace(year=now.year + 1), "expired_at": None,
    }  # fmt: skip
    job = Job(
        id=job_id,
        org_id=ORG,
        kind=results.KIND,
        params={"form_id": "bench", "format": "csv"},
        state=State.SUCCEEDED,
        created_at=now,
        created_by=Actor(id="bench", name="bench"),
        result=result,
    )
    rig_.db.jobs.insert_one(job.model_dump(by_alias=True))
    return job_id


def fetch(rig_: Rig, job_id: str, *, start: int = 0, end: int) -> int:
    """Read that much of the result; the bytes that came."""
    connection = http.client.HTTPConnection(urlsplit(rig_.url).netloc, timeout=60)
    headers = {"Authorization": f"Bearer {rig_.token}", "Range": f"bytes={start}-{end - 1}"}
    connection.request("GET", f"/v1/jobs/{job_id}/result", headers=headers)
    answer = connection.getresponse()
    assert answer.status == 206, answer.read()
    buffer, came = bytearray(READ_BYTES), 0
    while got := answer.readinto(buffer):
        came += got
    connection.close()
    assert came == end - start, (came, end - start)
    return came


def at_once(rig_: Rig, job_id: str) -> float:
    """MB a second of all together."""
    share = OBJECTS * OBJECT_BYTES // SHARE_OF_ONE
    ready = threading.Barrier(AT_ONCE)

    def one(n: int) -> int:
        ready.wait()
        start = share * (n % SHARE_OF_ONE)
        return fetch(rig_, job_id, start=start, end=start + share)

    began = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        came = sum(pool.map(one, range(AT_ONCE)))
    return came / (time.monotonic() - began) / MEGA


def measure(rig_: Rig, url: str) -> None:
    gateway = rig_.gateway(port=rig_.port, STORAGE_URL=url)
    blobs = open_blobs(url, rig_.db)
    job_id = made(rig_, blobs)
    kind = url.partition(":")[0]
    with Memory(gateway) as before:
        fetch(rig_, job_id, end=1)
        time.sleep(0.3)  # its memory is looked at ten times a second
    with Memory(gateway) as alone:
        began = time.monotonic()
        came = fetch(rig_, job_id, end=OBJECTS * OBJECT_BYTES)
        seconds = time.monotonic() - began
    say(f"{kind}: {came / seconds / MEGA:,.0f} MB/s alone; gateway {alone.largest / 2**20:.0f} MB")
    with Memory(gateway) as memory:
        rate = at_once(rig_, job_id)
    say(f"{kind}: {rate:,.0f} MB/s of {AT_ONCE} at once; gateway {memory.largest / 2**20:.0f} MB")
    say(f"{kind}: gateway before {before.largest / 2**20:.0f} MB")
    blobs.delete_prefix(results.prefix_of(job_id))
    rig_.db.jobs.delete_one({"_id": job_id})
    gateway.stop()


def main(*, rows: int | None = None) -> None:
    """`rows` is of no use here."""
    if rows is not None:
        sys.exit("the size of this bench is fixed")
    with rig() as rig_, tempfile.TemporaryDirectory(prefix="collect-bench-") as folder:
        for service in rig_.services:
            if service.name == "gateway":
                service.stop()
        for url in (f"file://{folder}", "gridfs://"):
            measure(rig_, url)
