"""Files that are packed, and files that are no CSV whatever their name says."""

import bz2
import gzip
import io
import lzma
import random
import zipfile
import zlib

import pytest

from integration.files.desk import Desk, peak_bytes, reset_peak

MIB = 1024 * 1024
TEXT = b"k,n,s\na,1,x\nb,2,y\n"
BOTH = {"a": {"k": "a", "n": 1, "s": "x"}, "b": {"k": "b", "n": 2, "s": "y"}}


def zipped(*names: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name in names:
            archive.writestr(name, TEXT)
    return held.getvalue()


def noise(rows: int) -> bytes:
    """Rows that cannot be packed well."""
    rng = random.Random(rows)
    return b"k,n,s\n" + b"".join(b"k%d,%d,%s\n" % (row, row, rng.randbytes(100).hex().encode()) for row in range(rows))


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (zipped("[Content_Types].xml", "xl/workbook.xml"), "not_csv", ["Excel workbook (xlsx)", "Save it as CSV"]),
        (zipped("survey.csv"), "not_csv", ["zip archive"]),
        (zipped(), "not_csv", ["empty zip archive"]),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "not_csv", ["old Excel or Word"]),
        (b"MZ\x90\x00\x03\x00\x00\x00" + bytes(200), "not_csv", ["a program"]),
        (b"\x7fELF\x02\x01\x01" + bytes(200), "not_csv", ["a program"]),
        (b"\n<!DOCTYPE html>\n<html><body>Sign in</body></html>", "not_csv", ["web page", "signed in"]),
        (b'<?xml version="1.0"?><Workbook/>', "not_csv", ["HTML or XML"]),
        (b"%PDF-1.7\n%\xe2\xe3", "not_csv", ["PDF"]),
        (bz2.compress(TEXT), "not_csv", ["bzip2"]),
        (lzma.compress(TEXT), "not_csv", ["xz"]),
        (gzip.compress(zipped("survey.csv")), "not_csv", ["zip archive"]),
        (gzip.compress(b""), "empty_file", ["empty"]),
        (gzip.compress(gzip.compress(TEXT)), "nested_gzip", ["gzip archive within a gzip archive", "Unpack it once"]),
        (gzip.compress(TEXT)[:-1], "truncated_gzip", ["ends too early", "Send it again"]),
        (gzip.compress(TEXT)[:12], "truncated_gzip", ["ends too early"]),
        (gzip.compress(TEXT) + b"and more", "damaged_gzip", ["damaged"]),
        (gzip.compress(TEXT)[:-8] + bytes(8), "damaged_gzip", ["damaged"]),
        (b"\x1f\x8b" + b"rubbish" * 9, "damaged_gzip", ["damaged"]),
        (gzip.compress(b"") * 2_000_000, "tiny_gzip_members", ["next to nothing each", "Pack the file as a whole"]),
    ],
)
def test_what_is_no_csv_is_refused_with_what_it_looks_like(desk: Desk, data: bytes, code: str, says: list[str]) -> None:
    outcome = desk.refused(data)
    assert outcome.code == code
    assert [words for words in says if words not in outcome.sentence] == []


@pytest.mark.parametrize(
    "data",
    [gzip.compress(TEXT), gzip.compress(TEXT[:9]) + gzip.compress(TEXT[9:]), gzip.compress(TEXT) + bytes(512)],
    ids=["one member", "two members", "padded"],
)
def test_a_gzip_archive_is_read_as_what_it_holds(desk: Desk, data: bytes) -> None:
    outcome = desk.run(data, name="survey.csv.gz")
    assert (outcome.state, outcome.rows) == ("succeeded", BOTH)


@pytest.mark.parametrize("code", ["truncated_gzip", "damaged_gzip"])
def test_a_big_gzip_archive_that_is_not_whole_leaves_each_row_before_that_one_outcome(desk: Desk, code: str) -> None:
    """What lies before is good, and may have been written by the time that the end of it is reached."""
    packed = gzip.compress(noise(100_000) + b'q,1,"in the\nmiddle', 1)
    packed = packed + b"rubbish" if code == "damaged_gzip" else packed[:-100_000]
    failed = desk.outcome(desk.start(desk.send(packed), desk.new_dataset()))
    assert (failed.state, failed.code) == ("failed", code)
    assert failed.numbers == {f"k{number - 1}": number for number in failed.numbers.values()}
    rest = desk.unprocessed_bytes(failed.job.id)
    assert rest is not None
    lines = [line for line in zlib.decompressobj(31).decompress(packed).split(b"\n")[:-1] if not line.startswith(b"q")]
    left = [line for line in lines if line.split(b",")[0].decode() not in failed.rows]
    assert rest.split(b"\n") == [*left, b""]
    desk.client.jobs.undo(failed.job.id, reason="a test", wait_seconds=60)
    desk.client.jobs.wait(failed.job.id, "undone", timeout_seconds=60)
    assert desk.db.rows.count_documents({"dataset": failed.job.params["dataset"]}) == 0


@pytest.mark.parametrize("line", [b"a,1," + b"x" * 1_000 + b"\n", b"\n", b"x"], ids=["rows", "empty lines", "one line"])
def test_a_gzip_bomb_is_refused_in_flat_memory(desk: Desk, line: bytes) -> None:
    """A thousand times its size, whatever it unpacks to."""
    packer = zlib.compressobj(9, wbits=31)
    packed = [packer.compress(b"k,n,s\n")]
    packed += [packer.compress(line * (MIB // len(line))) for _ in range(160)]
    bomb = b"".join([*packed, packer.flush()])
    assert len(bomb) < MIB
    pids = [*desk.gateway_service.children(), *desk.worker_service.children()]
    before = {pid: reset_peak(pid) for pid in pids}
    outcome = desk.outcome(desk.start(desk.send(bomb), desk.new_dataset()))
    assert outcome.state == "failed"
    assert outcome.code in ("gzip_bomb", "row_too_long")
    assert "200 times its size" in outcome.sentence or "8 MiB" in outcome.sentence
    grown = {pid: (peak_bytes(pid) - before[pid]) // MIB for pid in pids}
    assert max(grown.values()) < 150, grown
