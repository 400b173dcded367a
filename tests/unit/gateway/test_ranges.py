"""Downloads: which bytes, and under which name."""

from collections.abc import Iterator

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import parse_options_header

from collect.errors import PreconditionFailed
from gateway.http.downloads import disposition, partial

BYTES = b"0123456789"
SHA256 = "00" * 32
ETAG = f'"{SHA256}"'
APP = Flask("test", static_folder=None)


def read(start: int, end: int) -> Iterator[bytes]:
    yield BYTES[start:end]


def answer(headers: dict[str, str], size: int = len(BYTES)) -> tuple[int, bytes, str | None]:
    with APP.test_request_context(headers=headers):
        found = partial(size=size, read=read, name="a.csv", sha256=SHA256)
        found.direct_passthrough = False
        return found.status_code, found.get_data(), found.headers.get("Content-Range")


@pytest.mark.parametrize(
    ("asked", "status", "data"),
    [
        ("bytes=0-0", 206, b"0"), ("bytes=3-5", 206, b"345"), ("bytes=7-", 206, b"789"), ("bytes=-2", 206, b"89"),
        ("bytes=5-999", 206, b"56789"), ("bytes=-999", 206, BYTES),
        ("bytes=5-2", 200, BYTES), ("bytes=x", 200, BYTES), ("lines=0-1", 200, BYTES), ("bytes=0-1,4-5", 200, BYTES),
        ("", 200, BYTES), ("bytes=", 200, BYTES),
    ],
)  # fmt: skip
def test_a_range_is_cut_out_and_what_is_none_is_ignored(asked: str, status: int, data: bytes) -> None:
    assert answer({"Range": asked})[:2] == (status, data)


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=99-100"])
def test_a_range_behind_the_end_is_refused_with_the_size(asked: str) -> None:
    with pytest.raises(RequestedRangeNotSatisfiable) as refused:
        answer({"Range": asked})
    assert refused.value.length == len(BYTES)


def test_a_range_goes_on_with_the_version_that_it_names_if_it_is_this_one() -> None:
    assert answer({"Range": "bytes=3-5", "If-Range": ETAG}) == (206, b"345", "bytes 3-5/10")


@pytest.mark.parametrize("other", ['"abc"', f"W/{ETAG}", ETAG.strip('"'), "Wed, 21 Oct 2015 07:28:00 GMT", ""])
def test_a_range_of_another_version_is_answered_with_the_whole(other: str) -> None:
    assert answer({"Range": "bytes=3-5", "If-Range": other}) == (200, BYTES, None)
    assert answer({"Range": "bytes=99-", "If-Range": other}) == (200, BYTES, None)


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=3-5"}])
def test_every_answer_names_its_version(headers: dict[str, str]) -> None:
    with APP.test_request_context(headers=headers):
        assert partial(size=len(BYTES), read=read, name="a.csv", sha256=SHA256).headers["ETag"] == ETAG


OTHER = '"abc"'


@pytest.mark.parametrize("ranges", [{}, {"Range": "bytes=3-5"}, {"Range": "bytes=99-"}])
@pytest.mark.parametrize("tags", [ETAG, f"W/{ETAG}", f"{OTHER}, {ETAG}", "*"])
def test_a_download_that_is_there_is_not_sent_again(ranges: dict[str, str], tags: str) -> None:
    assert answer({**ranges, "If-None-Match": tags}) == (304, b"", None)


def test_another_version_than_the_one_that_is_there_is_sent() -> None:
    assert answer({"Range": "bytes=3-5", "If-None-Match": OTHER}) == (206, b"345", "bytes 3-5/10")


@pytest.mark.parametrize("ranges", [{}, {"Range": "bytes=3-5"}, {"Range": "bytes=99-"}])
@pytest.mark.parametrize("tags", [OTHER, f"W/{ETAG}"])
def test_another_version_than_the_one_that_must_match_is_refused(ranges: dict[str, str], tags: str) -> None:
    with pytest.raises(PreconditionFailed):
        answer({**ranges, "If-Match": tags})


@pytest.mark.parametrize("tags", [ETAG, f"{OTHER}, {ETAG}", "*"])
def test_the_version_that_must_match_is_sent(tags: str) -> None:
    assert answer({"Range": "bytes=3-5", "If-Match": tags}) == (206, b"345", "bytes 3-5/10")


@given(st.text())
def test_any_name_makes_one_header_and_comes_back(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return
    header = disposition(name)
    assert header.isascii()
    assert header.isprintable()
    kind, options = parse_options_header(header)
    assert kind == "attachment"
    assert options["filename"] == name or not name
