"""Results: any stretch of what is joined, what happens meanwhile, and who waits while it is made."""

import gzip
import hashlib
import zlib
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collect.client.transport import Patience
from collect.errors import Conflict, NotFound, Transient
from collect.exporting import gzips
from collect.jobs.model import Job
from collect.jobs.states import State, Verb
from collect.storage import results
from collect.storage.database import Database, now
from collect.storage.object_store import FileBlobs
from support import exported, protocol_driver

SIZES = st.lists(st.integers(0, 40), max_size=8)


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    return FileBlobs(folder=tmp_path)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(sizes=SIZES, start=st.integers(0, 350), length=st.integers(0, 350))
def test_any_stretch_is_that_of_the_joined_bytes(tmp_path: Path, sizes: list[int], start: int, length: int) -> None:
    blobs, whole, objects = FileBlobs(folder=tmp_path), b"", []
    for n, size in enumerate(sizes):
        data = bytes((n * 41 + i) % 256 for i in range(size))
        objects.append({"name": f"{n}-{size}", "bytes": blobs.write(f"{n}-{size}", [data])})
        whole += data
    end = min(start + length, len(whole))
    assert b"".join(results.read(blobs, objects, start, end)) == whole[start:end]


class Watched(FileBlobs):
    """Something happens before the first object is read."""

    meanwhile: list[Verb]

    def on(self, db: Database, job: Job, *verbs: Verb) -> None:
        self._db, self._job, self.meanwhile = db, job, list(verbs)

    def read(self, name: str, offset: int, length: int) -> bytes:
        while self.meanwhile:
            protocol_driver.ask(self._db, self._job, self.meanwhile.pop(0))
        return super().read(name, offset, length)


def test_a_stopped_export_that_is_taken_back_while_its_result_is_made_has_none(db: Database, tmp_path: Path) -> None:
    blobs = Watched(folder=tmp_path)
    blobs.meanwhile = []
    job = exported.stopped(db, blobs)
    blobs.on(db, job, Verb.UNDO)
    with pytest.raises(Conflict) as refused:
        results.keep_stopped(db, blobs, job)
    assert refused.value.code == "no_result"
    found = protocol_driver.read_job(db, job)
    assert (found.state, found.result) == (State.UNDOING, None)


class Counted(FileBlobs):
    """Knows how often each object was begun to be read. Before each reading the next of ``meanwhile`` happens."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder=folder)
        self.reads: Counter[str] = Counter()
        self.meanwhile: list[Callable[[], None]] = []

    def read(self, name: str, offset: int, length: int) -> bytes:
        self.reads[name] += not offset
        if self.meanwhile:
            self.meanwhile.pop(0)()
        return super().read(name, offset, length)


@pytest.fixture
def counted(tmp_path: Path) -> Counted:
    return Counted(tmp_path)


def test_while_one_makes_it_others_are_told_to_ask_again_and_each_object_is_read_once(
    db: Database, counted: Counted
) -> None:
    job = exported.stopped(db, counted)
    refused: list[str] = []

    def another() -> None:
        with pytest.raises(Transient) as told:
            results.keep_stopped(db, counted, job)
        refused.append(told.value.code)

    counted.meanwhile.append(another)
    made = results.keep_stopped(db, counted, job)
    assert refused == ["result_pending"]
    assert made.result == results.keep_stopped(db, counted, protocol_driver.read_job(db, job)).result
    assert len(counted.reads) == 3
    assert set(counted.reads.values()) == {1}


def test_who_makes_it_says_so_again_and_again_and_who_has_died_does_not(
    db: Database, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "SAYING_SECONDS", 0.0)
    monkeypatch.setattr(results, "STEP_SECONDS", 0.0)
    job = exported.stopped(db, counted)

    def died() -> None:
        db.jobs.update_one({"_id": job.id}, {"$set": {"making.until": now() - timedelta(seconds=1)}})

    def lives() -> None:
        with pytest.raises(Transient):
            results.keep_stopped(db, counted, job)

    died()
    counted.meanwhile = [died, lambda: None, lives]
    assert results.keep_stopped(db, counted, job).result is not None
    assert counted.meanwhile == []
    assert "making" not in (db.jobs.find_one({"_id": job.id}) or {})


def test_what_making_it_has_failed_with_is_told_to_those_who_ask_next_and_tried_again_after_a_while(
    db: Database, counted: Counted
) -> None:
    job = exported.stopped(db, counted)
    name = (db.ledger.find_one({"job_id": job.id}) or {})["objects"][0]["name"]
    data = counted.read(name, 0, 100)
    counted.delete(name)
    counted.reads.clear()
    for _ in range(3):
        with pytest.raises(Transient, match=name) as refused:
            results.keep_stopped(db, counted, job)
        assert refused.value.code == "result_damaged"
    assert counted.reads[name] == 1
    until = (db.jobs.find_one({"_id": job.id}) or {})["making"]["until"]
    assert until > now() + timedelta(seconds=2 * Patience().retry_seconds), "a client that asks on has it read again"
    counted.write(name, [data])
    db.jobs.update_one({"_id": job.id}, {"$set": {"making.until": now() - timedelta(seconds=1)}})
    assert results.keep_stopped(db, counted, job).result is not None


def test_who_makes_it_reads_no_further_once_a_verb_was_taken(
    db: Database, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "SAYING_SECONDS", 0.0)
    monkeypatch.setattr(results, "STEP_SECONDS", 0.0)
    job = exported.stopped(db, counted)

    def taken_back() -> None:
        protocol_driver.ask(db, job, Verb.UNDO)

    counted.meanwhile.append(taken_back)
    with pytest.raises(Conflict, match="is undoing") as refused:
        results.keep_stopped(db, counted, job)
    assert refused.value.code == "no_result"
    assert len(counted.reads) == 2, "the header, and of two objects the first"


def test_what_is_missing_since_the_export_was_taken_back_is_no_damage(db: Database, counted: Counted) -> None:
    job = exported.stopped(db, counted)

    def taken_back() -> None:
        protocol_driver.ask(db, job, Verb.UNDO)
        counted.delete_prefix(results.prefix_of(job.id))

    counted.meanwhile = [lambda: None, taken_back]
    with pytest.raises(Conflict, match="is undoing") as refused:
        results.keep_stopped(db, counted, job)
    assert refused.value.code == "no_result"


def test_who_is_not_the_one_that_makes_it_any_more_does_not_say_that_it_has_failed(
    db: Database, counted: Counted
) -> None:
    job = exported.stopped(db, counted)
    name = (db.ledger.find_one({"job_id": job.id}) or {})["objects"][0]["name"]
    anothers = {"owner": "another", "until": now() + timedelta(seconds=30), "failed": None}

    def lost() -> None:
        db.jobs.update_one({"_id": job.id}, {"$set": {"making": anothers}})
        counted.delete(name)

    counted.meanwhile.append(lost)
    with pytest.raises(Transient) as told:
        results.keep_stopped(db, counted, job)
    assert told.value.code == "result_pending"
    assert (db.jobs.find_one({"_id": job.id}) or {})["making"]["failed"] is None


def test_a_parquet_export_s_checksums_are_those_of_the_ledger_and_nothing_is_read(
    db: Database, counted: Counted
) -> None:
    job = results.keep_stopped(db, counted, exported.stopped(db, counted, format="parquet"))
    assert not counted.reads
    (entry, *_) = db.ledger.find({"job_id": job.id}).sort("seq", 1)
    assert (job.result or {})["parts"][0]["sha256"] == entry["objects"][0]["sha256"]


def test_a_stopped_export_that_is_packed_is_one_gzip_member(db: Database, blobs: FileBlobs) -> None:
    lines = [[gzips.member([chunk]) for chunk in part] for part in exported.LINES]
    job = exported.make(db, format="csv.gz")
    exported.plan(db, blobs, job, lines, header=gzips.member([exported.HEADER]))
    exported.run(db, blobs, job, lines[:1])
    result = results.keep_stopped(db, blobs, protocol_driver.ask(db, job, Verb.STOP)).result or {}
    data = b"".join(results.read(blobs, result["objects"], 0, result["bytes"]))
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert reader.decompress(data) == exported.HEADER + b"".join(exported.LINES[0])
    assert (reader.eof, reader.unused_data) == (True, b"")
    assert hashlib.sha256(data).hexdigest() == result["sha256"]


def test_members_of_an_earlier_release_are_joined_as_they_are(db: Database, blobs: FileBlobs) -> None:
    lines = [[gzip.compress(b"r-1,31\n")], [gzips.member([b"r-2,44\n"])]]
    job = exported.make(db, format="csv.gz")
    exported.plan(db, blobs, job, lines, header=gzip.compress(exported.HEADER))
    exported.run(db, blobs, job, lines)
    result = list(results.assemble(db, blobs, job, complete=True))[-1] or {}
    data = b"".join(results.read(blobs, result["objects"], 0, result["bytes"]))
    assert gzip.decompress(data) == exported.HEADER + b"r-1,31\nr-2,44\n"
    assert hashlib.sha256(data).hexdigest() == result["sha256"]


def test_of_two_that_make_it_at_once_one_is_kept_and_both_are_given_it(db: Database, blobs: FileBlobs) -> None:
    job = exported.stopped(db, blobs)
    one, other = results.keep_stopped(db, blobs, job), results.keep_stopped(db, blobs, job)
    assert one.result == other.result == protocol_driver.read_job(db, job).result
    assert one.result is not None
    assert one.result["complete"] is False


def test_making_it_lets_others_have_a_look_again_and_again(
    db: Database, blobs: FileBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "STEP_SECONDS", 0.0)
    job = exported.stopped(db, blobs)
    *steps, last = results.assemble(db, blobs, job, complete=True)
    assert steps == [None, None]
    assert last is not None
    assert last["objects"][0]["name"] == results.header_name(job.id)


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_an_object_that_is_not_as_it_was_written_makes_no_result(db: Database, blobs: FileBlobs, damage: str) -> None:
    job = exported.stopped(db, blobs)
    name = (db.ledger.find_one({"job_id": job.id}) or {})["objects"][0]["name"]
    blobs.delete(name)
    if damage == "cut":
        blobs.write(name, [b"r-1"])
    with pytest.raises(Transient) as refused:
        list(results.assemble(db, blobs, job, complete=True))
    assert refused.value.code == "result_damaged"


def test_what_was_not_of_its_field_s_type_is_counted_over_all_chunks(db: Database, blobs: FileBlobs) -> None:
    job = exported.make(db)
    exported.plan(db, blobs, job, [[b"a\n", b"b\n"]])
    with protocol_driver.holding(db, job, 1) as lease:
        exported.write(db, blobs, lease, job, b"a\n", misfits={"age": 2})
        exported.write(db, blobs, lease, job, b"b\n", misfits={"age": 1, "gps": 4})
    last = list(results.assemble(db, blobs, job, complete=True))[-1]
    assert last is not None
    assert last["misfits"] == {"age": 3, "gps": 4}


def test_expiring_again_or_after_it_was_taken_back_does_nothing(db: Database, blobs: FileBlobs) -> None:
    job = exported.succeeded(db, blobs)
    late = now() + timedelta(days=31)
    assert [found.id for found in results.expired(db, late)] == [job.id]
    assert results.expire(db, blobs, job, at=late) is True
    assert results.expire(db, blobs, job, at=late) is False
    assert list(results.expired(db, late)) == []
    with pytest.raises(NotFound):
        list(results.read(blobs, (job.result or {})["objects"], 0, 1))
    protocol_driver.ask(db, job, Verb.UNDO)
    assert results.expire(db, blobs, job, at=late) is False
    assert protocol_driver.read_job(db, job).result is None
