import io
from pathlib import Path

import pytest
import requests

from collect.client.errors import ClientError, Unreachable
from collect.client.files import FilesApi
from unit.client.scripted import FILE, Scripted, answering, failing, transport


class Watched(io.BytesIO):
    """Remembers the most that was read at once."""

    most = 0

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self.most = max(self.most, len(piece))
        return piece


class Pipe(io.BytesIO):
    """A stream that can be read once."""

    def seekable(self) -> bool:
        return False


def test_a_file_goes_out_whole_with_its_length_and_in_small_pieces() -> None:
    content = bytes(range(256)) * 4096
    source = Watched(content)
    gateway = Scripted(answering(201, FILE))

    FilesApi(transport=transport(gateway)).upload(source, name="b.csv")

    assert gateway.bodies == [content]
    assert gateway.requests[0].headers["Content-Length"] == str(len(content))
    assert source.most <= 64 * 1024


def test_a_second_try_sends_the_file_from_its_beginning() -> None:
    gateway = Scripted(failing(requests.ConnectionError("reset")), answering(201, FILE))
    told: list[int] = []

    FilesApi(transport=transport(gateway)).upload(
        io.BytesIO(b"a,b\n1,2\n"), name="b.csv", on_bytes=lambda sent, _: told.append(sent)
    )

    assert gateway.bodies == [b"a,b\n1,2\n"] * 2
    assert told == [8, 8]


def test_a_stream_that_can_be_read_once_is_sent_once() -> None:
    gateway = Scripted(failing(requests.ConnectionError("reset")))

    with pytest.raises(Unreachable):
        FilesApi(transport=transport(gateway)).upload(Pipe(b"a,b\n"), name="b.csv")


def test_an_empty_file_is_sent_as_one() -> None:
    gateway = Scripted(answering(201, FILE))

    FilesApi(transport=transport(gateway)).upload(io.BytesIO(b""), name="empty.csv")

    assert gateway.requests[0].headers["Content-Length"] == "0"
    assert "name=empty.csv" in (gateway.requests[0].url or "")


def test_a_file_that_cannot_be_read_is_said_by_name(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match=r"missing\.csv"):
        FilesApi(transport=transport(Scripted())).upload(tmp_path / "missing.csv")


def test_a_download_that_breaks_off_leaves_nothing_behind(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise requests.exceptions.ChunkedEncodingError("cut")

    def answer(_: requests.PreparedRequest) -> requests.Response:
        response = requests.Response()
        response.status_code = 200
        response.raw = Broken()
        return response

    target = tmp_path / "b.csv"
    target.write_text("as it was")

    with pytest.raises(Unreachable):
        FilesApi(transport=transport(Scripted(answer))).save("01kf", target)

    assert target.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [target]
