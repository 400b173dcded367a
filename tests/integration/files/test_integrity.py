"""Files that do not arrive whole, and files that are not what they were when somebody looked at them."""

import hashlib
import socket
from collections.abc import Iterator

import pytest
import requests

from collect.storage.object_store import CHUNKS, FILES, GridFsBlobs
from collect.testing.system import eventually
from integration.files.desk import Desk

TEXT = b"k,n,s\na,1,x\nb,2,y\n"
OTHER = b"k,n,s\na,9,x\nb,8,y\n"


def stored(desk: Desk) -> tuple[int, int, int, int]:
    """Files, jobs, blobs and their pieces."""
    counted = [desk.db[name].count_documents({}) for name in ("files", "jobs", FILES, CHUNKS)]
    return counted[0], counted[1], counted[2], counted[3]


def sent_raw(desk: Desk, head: str, body: bytes) -> bytes:
    """What the gateway answers to a request whose sender closes its side too early."""
    request = f"{head}\r\nHost: x\r\nAuthorization: Bearer {desk.token}\r\n"
    with socket.create_connection(("127.0.0.1", desk.port), timeout=60) as connection:
        connection.sendall(request.encode() + body)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
    return answer


MULTIPART = "POST /v1/jobs HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=cut"
PART = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("POST /v1/files?name=a.csv HTTP/1.1\r\nContent-Length: 5000000", b"\r\n" + TEXT * 100_000),
        ("POST /v1/files?name=a.csv HTTP/1.1\r\nTransfer-Encoding: chunked", b"\r\n12\r\n" + TEXT + b"\r\n"),
        ("POST /v1/files?name=a.csv HTTP/1.1\r\nTransfer-Encoding: chunked", b"\r\nfff\r\n" + TEXT),
        (MULTIPART + "\r\nContent-Length: 5000", b"\r\n" + PART + TEXT),
    ],
    ids=["length", "chunks", "within a chunk", "multipart"],
)
def test_a_file_that_is_cut_off_while_it_is_sent_is_not_kept_and_starts_nothing(
    desk: Desk, head: str, body: bytes
) -> None:
    before = stored(desk)
    answer = sent_raw(desk, head, body)
    assert answer == b"" or b" 400 " in answer.split(b"\r\n", 1)[0]
    eventually(lambda: stored(desk) == before, seconds=60, what="nothing of it is kept")


def test_a_connection_that_breaks_while_a_file_is_sent_leaves_nothing(desk: Desk) -> None:
    """The sender dies in the middle: what had been stored by then goes away again."""
    before = stored(desk)

    def pieces() -> Iterator[bytes]:
        yield TEXT * 200_000
        raise ConnectionError

    with pytest.raises((ConnectionError, requests.RequestException)):
        requests.post(f"{desk.url}/v1/files?name=a.csv", data=pieces(), headers=desk.headers, timeout=60)
    eventually(lambda: stored(desk) == before, seconds=60, what="nothing of it is kept")


def test_a_file_keeps_its_bytes_whatever_is_sent_under_its_name_after_the_preview(desk: Desk) -> None:
    dataset = desk.new_dataset()
    file_id = desk.send(TEXT, name="baseline.csv")
    seen = desk.client.jobs.preview("upload", {"file_id": file_id, "dataset": dataset})
    desk.send(OTHER, name="baseline.csv")
    outcome = desk.outcome(desk.start(file_id, dataset))
    assert {key: row["n"] for key, row in outcome.rows.items()} == {"a": 1, "b": 2}
    sha256 = hashlib.sha256(TEXT).hexdigest()
    assert seen.file is not None
    assert seen.file.sha256 == desk.client.files.get(file_id).sha256 == sha256


@pytest.mark.parametrize(
    ("replacement", "says"),
    [
        (OTHER, ["SHA-256", hashlib.sha256(OTHER).hexdigest()[:12], hashlib.sha256(TEXT).hexdigest()[:12]]),
        (OTHER + b"c,3,z\n", ["it has 24 bytes, and 18 were sent"]),
    ],
    ids=["of the same size", "of another size"],
)
def test_a_file_that_is_replaced_in_the_store_between_preview_and_start_is_refused(
    desk: Desk, replacement: bytes, says: list[str]
) -> None:
    dataset = desk.new_dataset()
    file_id = desk.send(TEXT)
    params = {"file_id": file_id, "dataset": dataset}
    assert desk.client.jobs.preview("upload", params).ok
    document = desk.db.files.find_one({"_id": file_id})
    assert document is not None
    blobs = GridFsBlobs(db=desk.db)
    blobs.delete(document["blob"])
    blobs.write(document["blob"], [replacement])
    outcome = desk.outcome(desk.start(file_id, dataset))
    assert (outcome.state, outcome.code) == ("failed", "file_changed")
    assert [words for words in (*says, "Send it again") if words not in outcome.sentence] == []
    assert [error.code for error in desk.client.jobs.preview("upload", params).errors] == ["file_changed"]
