"""What every store of blobs promises: the same tests for MongoDB, a folder, and S3 over HTTP."""

import errno
import os
import resource
import secrets
import threading
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from bson import ObjectId
from obstore.store import from_url

from collect.errors import CollectError, NotFound, StoreFull, TooLarge, Transient
from collect.storage.database import Database
from collect.storage.object_store import CHUNK_BYTES, TOGETHER_BYTES, Blobs, FileBlobs, GridFsBlobs, open_blobs, stream
from collect.storage.objects import PIECE_BYTES, ObjectBlobs
from collect.testing.system import LOOPBACK, free_port
from support.s3_server import ACCOUNT, refusing, s3_server

Act = Callable[[Blobs], object]
KINDS = ("gridfs", "file", "s3")
BUCKET = "blobs-of-tests"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with s3_server(BUCKET) as environment:
        yield environment


@pytest.fixture(params=KINDS)
def blobs(request: pytest.FixtureRequest, db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Blobs:
    match request.param:
        case "s3":
            for name, value in request.getfixturevalue("s3").items():
                monkeypatch.setenv(name, value)
            return open_blobs(f"s3://{BUCKET}/{secrets.token_hex(4)}/below", db)
        case "file":
            return open_blobs(f"file://{tmp_path}/blobs", db)
    return open_blobs("gridfs://", db)


def pieces(size: int, *, of: int = 300_000) -> Iterator[bytes]:
    """``size`` bytes that are nowhere the same."""
    whole = data(size)
    for start in range(0, size, of):
        yield whole[start : start + of]


@cache
def data(size: int) -> bytes:
    return array("I", range((size + 3) // 4)).tobytes()[:size]


SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * PIECE_BYTES + 12_345]


@pytest.mark.parametrize("size", SIZES)
def test_what_was_written_is_read(blobs: Blobs, size: int) -> None:
    assert blobs.write("results/a/one", pieces(size)) == size
    assert blobs.size("results/a/one") == size
    assert b"".join(stream(blobs, "results/a/one")) == data(size)
    assert blobs.read("results/a/one", 0, size + 10) == data(size)


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 1), (5, 5), (CHUNK_BYTES - 1, CHUNK_BYTES + 1), (CHUNK_BYTES, 2 * CHUNK_BYTES), (7, 3 * CHUNK_BYTES + 7)],
)
def test_any_stretch_is_cut_out(blobs: Blobs, start: int, end: int) -> None:
    whole = data(3 * CHUNK_BYTES + 7)
    blobs.write("one", pieces(len(whole)))
    assert b"".join(stream(blobs, "one", start=start, end=end)) == whole[start:end]
    assert blobs.read("one", start, end - start) == whole[start:end]


def test_behind_the_end_is_nothing_to_read_and_no_stretch(blobs: Blobs) -> None:
    blobs.write("one", [b"12345"])
    assert blobs.read("one", 5, 10) == blobs.read("one", 99, 1) == b""
    with pytest.raises((NotFound, Transient)):
        list(stream(blobs, "one", start=0, end=6))


def test_what_is_not_there_is_not_found(blobs: Blobs) -> None:
    for act in (
        lambda: blobs.size("none"),
        lambda: blobs.read("none", 0, 1),
        lambda: list(stream(blobs, "none", start=0, end=1)),
    ):
        with pytest.raises(NotFound):
            act()
    blobs.delete("none")
    assert blobs.delete_prefix("none/") == 0


@pytest.mark.parametrize("came", [0, 3, 2 * PIECE_BYTES])
def test_a_write_that_is_broken_off_leaves_nothing_and_says_why(blobs: Blobs, came: int) -> None:
    def breaks_off() -> Iterator[bytes]:
        yield from pieces(came)
        raise TooLarge("It is too large.")

    with pytest.raises(TooLarge):
        blobs.write("files/one", breaks_off())
    assert list(blobs.stored()) == []
    with pytest.raises(NotFound):
        blobs.size("files/one")


def test_nothing_is_seen_of_a_blob_before_it_is_whole(blobs: Blobs) -> None:
    seen: list[list[str]] = []

    def looked_at() -> Iterator[bytes]:
        for piece in pieces(2 * PIECE_BYTES):
            seen.append([name for name, _ in blobs.stored()])
            yield piece

    blobs.write("one", looked_at())
    assert seen
    assert not any(seen)
    assert [name for name, _ in blobs.stored()] == ["one"]


def test_names_are_listed_by_how_they_begin_folder_by_folder(blobs: Blobs) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    names = ["files/labs/x", "results/ab/header", "results/ab/part-1-0-0", "results/abc/part-1-0-0", "results/b/header"]
    for name in names:
        blobs.write(name, [b"x"])
    assert {name for name, _ in blobs.stored()} == set(names)
    assert {name for name, _ in blobs.stored("results/ab/")} == {"results/ab/header", "results/ab/part-1-0-0"}
    assert {name for name, _ in blobs.stored("results/ab/pa")} == {"results/ab/part-1-0-0"}
    folders = [name.rpartition("/")[0] for name, _ in blobs.stored("results/")]
    assert len(dict.fromkeys(folders)) == len([n for n, f in enumerate(folders) if n == 0 or folders[n - 1] != f])
    assert all(before < at < datetime.now(UTC) + timedelta(seconds=2) for _, at in blobs.stored())


def test_all_that_begin_so_are_removed_and_no_others(blobs: Blobs) -> None:
    for name in ("results/ab/1", "results/ab/2", "results/abc/1"):
        blobs.write(name, [b"x"])
    assert blobs.delete_prefix("results/ab/") == 2
    assert blobs.delete_prefix("results/ab/") == 0
    blobs.delete("results/ab/1")
    assert [name for name, _ in blobs.stored()] == ["results/abc/1"]
    blobs.write("results/ab/1", [b"again"])
    assert blobs.read("results/ab/1", 0, 9) == b"again"


def test_many_at_once(blobs: Blobs) -> None:
    ready = threading.Barrier(8)

    def one(n: int) -> bool:
        ready.wait()
        blobs.write(f"many/{n}", pieces(CHUNK_BYTES + n))
        return b"".join(stream(blobs, f"many/{n}")) == data(CHUNK_BYTES + n)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(8)))


def test_sweeping_leaves_blobs_and_young_writes_alone(blobs: Blobs) -> None:
    def while_writing() -> Iterator[bytes]:
        for piece in pieces(2 * PIECE_BYTES):
            blobs.sweep(datetime.now(UTC) - timedelta(hours=1))
            yield piece

    blobs.write("one", while_writing())
    blobs.sweep(datetime.now(UTC) + timedelta(hours=1))
    assert b"".join(stream(blobs, "one")) == data(2 * PIECE_BYTES)


def test_what_a_killed_write_has_left_in_a_folder_is_swept(tmp_path: Path) -> None:
    blobs = FileBlobs(folder=tmp_path)
    blobs.write("results/a/one", [b"x"])
    (tmp_path / "results" / "a" / ".writing-abc").write_bytes(b"half")
    assert blobs.sweep(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert blobs.sweep(datetime.now(UTC) + timedelta(hours=1)) == 1
    assert [path.name for path in (tmp_path / "results" / "a").iterdir()] == ["one"]


def test_what_a_killed_write_has_left_in_mongodb_is_swept(db: Database) -> None:
    blobs = GridFsBlobs(db=db)
    blobs.write("one", pieces(2 * CHUNK_BYTES))
    db["blobs.chunks"].insert_many([{"files_id": half, "n": n, "data": b"x"} for half in [ObjectId()] for n in (0, 1)])
    assert blobs.sweep(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert blobs.sweep(datetime.now(UTC) + timedelta(hours=1)) == 1
    assert db["blobs.chunks"].count_documents({}) == 2


def test_a_write_into_mongodb_that_goes_on_for_longer_is_not_swept(db: Database) -> None:
    blobs, at = GridFsBlobs(db=db), datetime.now(UTC)
    began, lately = (ObjectId.from_datetime(at - timedelta(hours=hours)) for hours in (30, 1))
    db["blobs.chunks"].insert_many(
        [{"_id": chunk, "files_id": began, "n": n, "data": b"x"} for n, chunk in enumerate((began, lately))]
    )
    assert blobs.sweep(at - timedelta(hours=24)) == 0
    assert blobs.sweep(at) == 1


def test_a_write_into_mongodb_of_which_something_is_swept_all_the_same_is_none(db: Database) -> None:
    blobs = GridFsBlobs(db=db)

    def swept() -> Iterator[bytes]:
        yield data(TOGETHER_BYTES)
        assert blobs.sweep(datetime.now(UTC) + timedelta(hours=1)) == 1
        yield data(TOGETHER_BYTES)

    with pytest.raises(Transient, match="again"):
        blobs.write("one", swept())
    assert list(blobs.stored()) == []
    assert db["blobs.chunks"].count_documents({}) == 0


READS: list[Act] = [
    lambda blobs: blobs.size("one"),
    lambda blobs: blobs.read("one", 0, 1),
    lambda blobs: list(blobs.stretch("one", 0, 1)),
]
WRITES: list[Act] = [
    lambda blobs: blobs.write("one", [b"x"]),
    lambda blobs: blobs.write("one", pieces(2 * PIECE_BYTES)),
    lambda blobs: blobs.delete("one"),
    lambda blobs: blobs.delete_prefix("results/"),
]
REFUSALS: list[tuple[int, str, type[Exception], str]] = [
    (403, "AccessDenied", StoreFull, "store_refused"),
    (400, "ExpiredToken", StoreFull, "store_refused"),
    (413, "EntityTooLarge", StoreFull, "store_refused"),
    (404, "NoSuchBucket", StoreFull, "store_refused"),
    (507, "XMinioStorageFull", StoreFull, "store_full"),
    (400, "XMinioAdminBucketQuotaExceeded", StoreFull, "store_full"),
    (403, "QuotaExceeded", StoreFull, "store_full"),
    (400, "RequestTimeout", Transient, "unavailable"),
    (429, "TooManyRequests", Transient, "unavailable"),
    (500, "InternalError", Transient, "unavailable"),
    (503, "SlowDown", Transient, "unavailable"),
]


@pytest.mark.parametrize(("status", "said", "kind", "code"), REFUSALS, ids=[said for _, said, _, _ in REFUSALS])
def test_what_an_object_store_answers_is_told_apart_by_what_one_can_do_about_it(
    monkeypatch: pytest.MonkeyPatch, status: int, said: str, kind: type[Exception], code: str
) -> None:
    with refusing(status, said) as blobs_of:
        blobs = remote(blobs_of, monkeypatch)
        for act in WRITES:
            with pytest.raises(CollectError, match=said) as refused:
                act(blobs)
            assert (type(refused.value), refused.value.code) == (kind, code)
            assert "a secret" not in refused.value.detail


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, StoreFull, "store_refused"), (401, StoreFull, "store_refused"), (403, StoreFull, "store_refused"),
        (404, NotFound, "not_found"), (503, Transient, "unavailable"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_from_an_object_store_is_told_apart_by_the_status_alone(
    monkeypatch: pytest.MonkeyPatch, status: int, kind: type[Exception], code: str
) -> None:
    with refusing(status, "x") as blobs_of:
        blobs = remote(blobs_of, monkeypatch)
        for act in READS:
            with pytest.raises(CollectError) as refused:
                act(blobs)
            assert (type(refused.value), refused.value.code) == (kind, code)


def test_an_object_store_that_does_not_answer_is_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = remote({"AWS_ENDPOINT_URL": f"http://{LOOPBACK}:{free_port()}", **ACCOUNT}, monkeypatch)
    for act in (*READS, *WRITES):
        with pytest.raises(Transient) as refused:
            act(blobs)
        assert refused.value.code == "unavailable"


def remote(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Blobs:
    """The store that the environment names, asked once and not again and again."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return ObjectBlobs(store=from_url("s3://b/x", client_options={"allow_http": True}, retry_config={"max_retries": 0}))


DISK_REFUSALS: list[tuple[int, type[Exception], str]] = [
    (errno.ENOSPC, StoreFull, "store_full"),
    (errno.EDQUOT, StoreFull, "store_full"),
    (errno.EACCES, StoreFull, "store_refused"),
    (errno.EROFS, StoreFull, "store_refused"),
    (errno.EFBIG, StoreFull, "store_refused"),
    (errno.ENOTCONN, StoreFull, "store_refused"),
    (errno.EMFILE, StoreFull, "store_refused"),
    (errno.EIO, Transient, "unavailable"),
    (errno.ESTALE, Transient, "unavailable"),
    (errno.ETIMEDOUT, Transient, "unavailable"),
]


@pytest.mark.parametrize(
    ("number", "kind", "code"), DISK_REFUSALS, ids=[errno.errorcode[number] for number, *_ in DISK_REFUSALS]
)
def test_what_a_folder_s_disk_says_is_told_apart_by_what_one_can_do_about_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception], code: str
) -> None:
    blobs = FileBlobs(folder=tmp_path)
    blobs.write("results/one", [b"x"])

    def fails(*_args: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    acts: list[Act] = [
        lambda blobs: blobs.size("results/one"),
        lambda blobs: blobs.read("results/one", 0, 1),
        lambda blobs: list(blobs.stretch("results/one", 0, 1)),
        lambda blobs: blobs.write("results/two", [b"x"]),
        lambda blobs: blobs.delete("results/one"),
    ]
    with monkeypatch.context() as patched:
        for whose, what in ((Path, "stat"), (Path, "open"), (Path, "unlink"), (os, "fsync")):
            patched.setattr(whose, what, fails)
        for act in acts:
            with pytest.raises(CollectError) as refused:
                act(blobs)
            assert (type(refused.value), refused.value.code) == (kind, code)


def test_a_file_larger_than_the_disk_allows_is_refused_in_its_words_and_leaves_nothing(tmp_path: Path) -> None:
    blobs = FileBlobs(folder=tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (CHUNK_BYTES, before[1]))
    try:
        with pytest.raises(StoreFull, match=r"File too large\.") as refused:
            blobs.write("results/one", pieces(2 * CHUNK_BYTES))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert refused.value.code == "store_refused"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_the_source_of_a_write_raises_is_none_of_the_store_s(blobs: Blobs) -> None:
    def breaks_off() -> Iterator[bytes]:
        yield b"x"
        raise OSError(errno.EIO, "of a client's")

    with pytest.raises(OSError, match="of a client's"):
        blobs.write("one", breaks_off())
    assert list(blobs.stored()) == []


def test_an_unknown_kind_of_store_is_refused_with_those_that_there_are(db: Database) -> None:
    with pytest.raises(ValueError, match="s3://bucket/prefix"):
        open_blobs("ftp://somewhere", db)
