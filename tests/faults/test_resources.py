"""What a busy system uses, and what it says of it."""

import threading
import urllib.request
from collections.abc import Iterator

import requests

from collect.runtime.processes import usage
from collect.testing.system import eventually, free_port
from support.system_under_test import Plant

MEGABYTE = 1024 * 1024


def pieces(megabytes: int) -> Iterator[bytes]:
    for _ in range(megabytes):
        yield b"x" * MEGABYTE


def test_a_file_of_any_size_is_received_in_flat_memory(plant: Plant) -> None:
    pids = plant.gateway_service.children()
    before = max(usage(pid)[0] for pid in pids)
    largest = [before]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            largest.append(max(usage(pid)[0] for pid in pids))

    watching = threading.Thread(target=watch)
    watching.start()
    headers = {"Authorization": f"Bearer {plant.token}"}
    answer = requests.post(f"{plant.url}/v1/files?name=big.csv", data=pieces(120), headers=headers, timeout=120)
    over.set()
    watching.join()
    assert (answer.status_code, answer.json()["bytes"]) == (201, 120 * MEGABYTE)
    assert max(largest) - before < 30 * MEGABYTE


def test_a_worker_counts_what_its_slots_do_and_how_fast_they_let_go(plant: Plant) -> None:
    port = free_port()
    plant.worker(COLLECT_METRICS_PORT=str(port))
    job = plant.upload(plant.file(rows=40_000))
    plant.client.jobs.patch(job, max_rows_per_second=8_000)
    plant.until_written(job)
    plant.client.jobs.pause(job, reason="to see how long it takes")
    eventually(lambda: plant.client.jobs.get(job).last_action.slots_free_at, seconds=20, what="slots are free")  # type: ignore[union-attr]

    def counted() -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        found = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}
        return (
            found.get('collect_slots_free_seconds_count{kind="upload"}', 0) > 0
            and found.get('collect_rows_total{kind="upload",outcome="succeeded"}', 0) >= plant.written(job)
            and found.get('collect_chunk_seconds_count{kind="upload",phase="run"}', 0) > 0
        )

    eventually(counted, seconds=20, what="the worker's metrics show it")
