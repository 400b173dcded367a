"""Two releases side by side: what one has planned the other goes on with, or leaves alone without harm."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from collect.csv.reading import VERSION
from collect.jobs.states import State
from collect.testing.system import Service, eventually
from stack.server import ServerMissing
from support.servers import ROOT, unavailable
from support.system_under_test import REST_SECONDS, Plant

ROWS = 40_000
SLOWLY = 500
EARLIER = "756f39b"
PARTS_OF_THE_TREE = ("shared", "services")


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of an earlier release."""
    if subprocess.run(["git", "cat-file", "-e", f"{EARLIER}^{{tree}}"], cwd=ROOT, check=False).returncode:
        unavailable(ServerMissing(f"commit {EARLIER} (the clone is shallow)"))
    folder = tmp_path_factory.mktemp("earlier")
    packed = subprocess.run(
        ["git", "archive", EARLIER, *PARTS_OF_THE_TREE], cwd=ROOT, check=True, capture_output=True
    ).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=packed, check=True)
    return folder


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This release, but that it writes parts in a version that is one higher."""
    folder = tmp_path_factory.mktemp("later")
    for part in PARTS_OF_THE_TREE:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    reading = folder / "shared" / "collect" / "csv" / "reading.py"
    newer = VERSION + 1
    text, read = re.subn(r"^VERSION = \d+$", f"VERSION = {newer}", reading.read_text(), flags=re.M)
    names = "_PLAIN, _NUMBERED, RULED"
    text, written = re.subn(rf"^{names} = .*$", f"{names} = {newer}, {newer}, {newer}", text, flags=re.M)
    assert (read, written) == (1, 1)
    reading.write_text(text)
    return folder


def worker_of(plant: Plant, tree: Path) -> Service:
    """A worker that runs the code of ``tree``."""
    path = f"{tree / 'shared'}:{tree / 'services' / 'upload-worker'}"
    return plant.worker(PYTHONPATH=path)


@pytest.mark.parametrize("first", ["the earlier one", "this one"])
def test_what_one_release_has_begun_the_other_goes_on_with(shared: Plant, earlier: Path, first: str) -> None:
    begins = worker_of(shared, earlier) if first == "the earlier one" else shared.worker()
    job = shared.upload(shared.file(rows=ROWS, rejects=100), max_rejected={"percent": 50}, rows_per_second=SLOWLY)
    shared.until_written(job)
    follows = shared.worker() if first == "the earlier one" else worker_of(shared, earlier)
    assert begins.stop() == 0
    assert shared.state(job) == State.RUNNING
    shared.client.jobs.patch(job, max_rows_per_second=None)
    shared.succeeded(job, rows=ROWS, rejected=ROWS // 100)
    assert all(part["losses"] == 0 for part in shared.parts(job))
    assert follows.process.poll() is None


def test_what_one_release_has_written_the_other_takes_back(shared: Plant, earlier: Path) -> None:
    begins = worker_of(shared, earlier)
    job = shared.upload(shared.file(rows=ROWS), rows_per_second=SLOWLY)
    shared.until_written(job, rows=SLOWLY)
    assert begins.stop() == 0
    shared.worker()
    shared.client.jobs.terminate(job, reason="wrong file")
    shared.until_state(job, State.TERMINATED)
    assert shared.snapshot() == []


def test_a_part_in_a_newer_version_is_left_to_those_who_can_read_it(shared: Plant, later: Path) -> None:
    newer = worker_of(shared, later)
    job = shared.upload(shared.file(rows=ROWS), rows_per_second=SLOWLY)
    shared.until_planned(job)  # else the older one plans the rest, in a version that it can read
    shared.until_written(job)
    assert newer.stop() == 0
    written = shared.written(job)
    older = shared.worker()
    epochs = _epochs(shared, job)
    eventually(
        lambda: _epochs(shared, job) >= epochs + 4, seconds=REST_SECONDS, what="the older one has given it back, twice"
    )
    assert older.process.poll() is None
    assert "slot_died" not in older.log.read_text()
    assert shared.written(job) == written
    assert shared.state(job) == State.RUNNING
    worker_of(shared, later)
    shared.client.jobs.patch(job, max_rows_per_second=None)
    shared.succeeded(job, rows=ROWS)
    assert all(part["losses"] == 0 for part in shared.parts(job))


def _epochs(plant: Plant, job: str) -> int:
    return sum(part["epoch"] for part in plant.parts(job))
