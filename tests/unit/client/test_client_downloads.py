"""Results come whole and right, or not at all; what broke off is taken up again."""

import base64
import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
import requests

from collect.client.errors import BadAnswer, ClientError, Damaged, Missing, Unreachable
from collect.client.jobs import JobsApi
from unit.client.scripted import Answer, Scripted, answering, failing, problem, transport

CONTENT = bytes(range(256)) * 5_000


def digest(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


class Broken(io.BytesIO):
    """Gives what it has, and then breaks off."""

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        if not piece:
            raise requests.exceptions.ChunkedEncodingError("broke off")
        return piece


def served(content: bytes = CONTENT, *, upto: int | None = None, says: str | None = None) -> Answer:
    """The result as the gateway gives it, from where it was asked for; ``upto``: it breaks off before this byte."""

    def answer(request: requests.PreparedRequest) -> requests.Response:
        asked = request.headers.get("Range")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if start >= len(content):
            return answering(416, problem(416, "range_not_satisfiable"))(request)
        response = requests.Response()
        response.status_code = 206 if asked else 200
        response.raw = io.BytesIO(content[start:]) if upto is None else Broken(content[start:upto])
        response.headers["Repr-Digest"] = says or digest(content)
        response.headers["Content-Length"] = str(len(content) - start)
        if asked:
            response.headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return response

    return answer


def fetch(gateway: Scripted, path: Path, **options: Any) -> int:
    found = JobsApi(transport=transport(gateway, retry_seconds=0.0)).download("01kj", path, **options)
    gateway.close()
    return found


def ranges(gateway: Scripted) -> list[str | None]:
    return [request.headers.get("Range") for request in gateway.requests]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_result_is_fetched_whole_and_told_as_it_comes(tmp_path: Path) -> None:
    gateway, told = Scripted(served()), list[tuple[int, int | None]]()

    assert fetch(gateway, tmp_path / "a.csv", on_bytes=lambda done, of: told.append((done, of))) == len(CONTENT)

    assert (tmp_path / "a.csv").read_bytes() == CONTENT
    assert told[0] == (0, len(CONTENT))
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert len(told) > 3
    assert names(tmp_path) == ["a.csv"]
    assert gateway.requests[0].headers["Accept-Encoding"] == "identity"


def test_what_broke_off_goes_on_from_where_it_was(tmp_path: Path) -> None:
    gateway = Scripted(served(upto=700_000), served(upto=1_000_000), served())

    fetch(gateway, tmp_path / "a.csv")

    assert (tmp_path / "a.csv").read_bytes() == CONTENT
    assert ranges(gateway) == [None, "bytes=699999-", "bytes=999999-"]


def test_what_an_earlier_command_has_left_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "a.csv.part").write_bytes(CONTENT[:600_000])
    gateway = Scripted(served())

    assert fetch(gateway, tmp_path / "a.csv") == len(CONTENT)

    assert ranges(gateway) == ["bytes=599999-"]
    assert (tmp_path / "a.csv").read_bytes() == CONTENT
    assert names(tmp_path) == ["a.csv"]


def test_one_that_was_fetched_whole_and_not_named_needs_one_byte(tmp_path: Path) -> None:
    (tmp_path / "a.csv.part").write_bytes(CONTENT)
    gateway = Scripted(served())
    fetch(gateway, tmp_path / "a.csv")
    assert ranges(gateway) == [f"bytes={len(CONTENT) - 1}-"]
    assert (tmp_path / "a.csv").read_bytes() == CONTENT


def test_a_gateway_that_does_not_answer_leaves_what_there_is(tmp_path: Path) -> None:
    gateway = Scripted(served(upto=700_000), failing(requests.ConnectionError("refused")))
    with pytest.raises(Unreachable):
        fetch(gateway, tmp_path / "a.csv")
    assert names(tmp_path) == ["a.csv.part"]
    assert (tmp_path / "a.csv.part").read_bytes() == CONTENT[:700_000]


def test_a_short_answer_that_claims_to_be_whole_is_one_that_broke_off(tmp_path: Path) -> None:
    short = answering(200, CONTENT[:10], {"Content-Length": str(len(CONTENT)), "Repr-Digest": digest(CONTENT)})
    gateway = Scripted(short, served())
    fetch(gateway, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"something else", b"\xff" * (len(CONTENT) + 9)], ids=["shorter", "longer"])
def test_what_is_left_of_something_else_is_fetched_anew(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "a.csv.part").write_bytes(left)
    gateway = Scripted(served(), served())
    fetch(gateway, tmp_path / "a.csv")
    assert ranges(gateway) == [f"bytes={len(left) - 1}-", None]
    assert (tmp_path / "a.csv").read_bytes() == CONTENT


def test_a_result_that_is_not_what_the_gateway_says_it_is_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"of last week")
    gateway = Scripted(*[served(says=digest(b"another"))] * 2)
    with pytest.raises(Damaged):
        fetch(gateway, tmp_path / "a.csv")
    assert names(tmp_path) == ["a.csv"]
    assert (tmp_path / "a.csv").read_bytes() == b"of last week"


def test_a_gateway_that_knows_no_ranges_begins_again(tmp_path: Path) -> None:
    (tmp_path / "a.csv.part").write_bytes(CONTENT[:600_000])
    whole = answering(200, CONTENT, {"Content-Length": str(len(CONTENT)), "Repr-Digest": digest(CONTENT)})
    fetch(Scripted(whole), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes() == CONTENT


@pytest.mark.parametrize("headers", [{}, {"Content-Range": "bytes 7-9/10"}, {"Content-Range": "x"}])
def test_another_part_than_was_asked_for_is_not_taken(tmp_path: Path, headers: dict[str, str]) -> None:
    (tmp_path / "a.csv.part").write_bytes(CONTENT[:600_000])
    with pytest.raises(BadAnswer):
        fetch(Scripted(answering(206, CONTENT, headers)), tmp_path / "a.csv")
    assert (tmp_path / "a.csv.part").read_bytes() == CONTENT[:600_000]


def test_one_part_is_asked_for_by_its_number(tmp_path: Path) -> None:
    gateway = Scripted(served())
    fetch(gateway, tmp_path / "a.csv", part=3)
    assert (gateway.requests[0].url or "").endswith("/v1/jobs/01kj/result?part=3")


def test_a_result_that_is_kept_no_longer_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Missing):
        fetch(Scripted(answering(410, problem(410, "result_expired"))), tmp_path / "a.csv")
    assert names(tmp_path) == []


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="cannot be written"):
        fetch(Scripted(served()), tmp_path / "none" / "a.csv")


def test_an_empty_result_is_a_file(tmp_path: Path) -> None:
    assert fetch(Scripted(answering(200, b"", {"Repr-Digest": digest(b"")})), tmp_path / "a.jsonl") == 0
    assert names(tmp_path) == ["a.jsonl"]
