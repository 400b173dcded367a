"""What it costs to read a packed file, counted: an archive may be made to hold many members, and each is work."""

import gzip
import zlib
from typing import Any

import pytest

from collect.csv import sources
from collect.errors import TaskRefused
from collect.jobs.template import Template
from collect.rows import planning
from support.in_memory import MemoryBlobs
from support.upload_driver import new_job

TEMPLATE = Template.model_validate(
    {"key": ["k"], "columns": [{"name": "k", "type": "string"}, {"name": "n", "type": "integer"}]}
)
MIB = 1024 * 1024
MANY = 120_000


class Fed:
    """Counts what all inflators are given, which is what they may copy at their members' ends."""

    def __init__(self) -> None:
        self.members = self.bytes = 0


class Inflator:
    """One of zlib's own."""

    def __init__(self, fed: Fed, inner: Any) -> None:
        fed.members += 1
        self._fed = fed
        self._inner = inner

    def decompress(self, data: bytes, most: int) -> bytes:
        self._fed.bytes += len(data)
        text: bytes = self._inner.decompress(data, most)
        return text

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@pytest.fixture
def fed(monkeypatch: pytest.MonkeyPatch) -> Fed:
    counted, real = Fed(), zlib.decompressobj
    monkeypatch.setattr(zlib, "decompressobj", lambda wbits: Inflator(counted, real(wbits)))
    return counted


def steps(data: bytes) -> int:
    """How often the plan of such a file breathes."""
    job = new_job(blob="f", dataset="d")
    return sum(1 for _ in planning.plan(MemoryBlobs({"f": data}), job, template=TEMPLATE))


def pieces(data: bytes) -> list[bytes]:
    return list(sources.open_text(MemoryBlobs({"f": data}), "f").pieces)


def test_a_member_for_each_row_is_read_without_copying_the_archive_for_each(fed: Fed) -> None:
    rows = [b"k,n\n", *(b"k%06d,1\n" % n for n in range(MANY))]
    data = b"".join(map(gzip.compress, rows))
    read = pieces(data)
    assert b"".join(read) == b"".join(rows)
    assert len(read) <= len(data) // MIB + len(b"".join(rows)) // (256 * 1024) + 2
    assert fed.members == len(rows)
    assert fed.bytes <= fed.members * 16 * 1024


@pytest.mark.parametrize("text", [b"", b"x"], ids=["nothing", "a byte"])
def test_members_that_hold_next_to_nothing_are_refused_while_that_is_soon_found(fed: Fed, text: bytes) -> None:
    """Two millions of them: 40 MB, of which nothing is read but the beginning."""
    data = gzip.compress(text) * 2_000_000
    with pytest.raises(TaskRefused) as refused:
        steps(data)
    assert refused.value.code == "tiny_gzip_members"
    assert "next to nothing each. Pack the file as a whole, or send it unpacked." in refused.value.detail
    assert fed.members < 60_000


def test_a_plan_breathes_while_members_hold_nothing(fed: Fed) -> None:
    """Behind much text they are not many for its size; each piece of the archive is a step all the same."""
    rows = b"k,n\n" + b"".join(b"k%d,1\n" % n for n in range(300_000))
    empty = gzip.compress(b"") * 300_000
    assert steps(gzip.compress(rows) + empty) >= len(empty) // MIB
    assert fed.members == 300_001


def test_what_stands_before_the_damage_is_read() -> None:
    rows = b"k,n\n" + b"".join(b"k%d,1\n" % n for n in range(300_000))
    read: list[bytes] = []
    with pytest.raises(TaskRefused):
        read.extend(sources.open_text(MemoryBlobs({"f": gzip.compress(rows) + b"rubbish"}), "f").pieces)
    assert b"".join(read) == rows


@pytest.mark.parametrize("padding", [512, 3 * MIB])
def test_padding_behind_an_archive_is_nothing(padding: int) -> None:
    assert b"".join(pieces(gzip.compress(b"k,n\na,1\n") + bytes(padding))) == b"k,n\na,1\n"


def test_an_empty_piece_is_no_end_of_a_text_in_another_encoding() -> None:
    """Padding between two members, which hold half a character each."""
    text = "k,n\nä,1\n".encode("utf-16")
    data = gzip.compress(text[:11]) + bytes(2 * MIB) + gzip.compress(text[11:])
    read = sources.open_text(MemoryBlobs({"f": data}), "f", encoding="utf-16").pieces
    assert b"".join(read).decode() == "k,n\nä,1\n"
