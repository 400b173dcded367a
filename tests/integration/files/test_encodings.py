"""What the bytes of a file mean: each encoding that is not what it should be is refused with the place of the first
byte that shows it, and the job can be restarted with the right one."""

import codecs
import gzip

import pytest

from integration.files.desk import Desk

MIB = 1024 * 1024
TEXT = "k,n,s\na,1,Müller\nb,2,पुणे\n"
BOTH = {"a": {"k": "a", "n": 1, "s": "Müller"}, "b": {"k": "b", "n": 2, "s": "पुणे"}}


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (TEXT.encode(), None),
        (TEXT.encode("utf-8-sig"), None),
        (TEXT.encode("utf-16"), "utf-16"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "utf-16"),
        (gzip.compress(TEXT.encode("utf-16")), "UTF_16"),
        (TEXT.encode("utf-16-be"), "utf-16-be"),
        (TEXT.encode("utf-32"), "utf-32"),
        (gzip.compress(TEXT.encode("utf-32-le")), "utf-32-le"),
        (TEXT.encode("gb18030"), "gb18030"),
    ],
)
def test_text_is_the_same_in_each_encoding_that_is_named(desk: Desk, data: bytes, encoding: str | None) -> None:
    outcome = desk.run(data, encoding=encoding)
    assert (outcome.state, outcome.rows) == ("succeeded", BOTH)


@pytest.mark.parametrize(
    ("data", "encoding", "says"),
    [
        (TEXT.encode("utf-16"), None, ["The file is UTF-16", 'Set "encoding" to "utf-16"']),
        (TEXT.encode("utf-16-le"), None, ['UTF-16 without its mark. If it is text, set "encoding" to "utf-16-le"']),
        (TEXT.encode("utf-16-le"), "utf-16", ["not utf-16", 'Save it as UTF-8, or set "encoding" to "utf-16-le".']),
        (TEXT.encode("utf-16"), "cp1252", ["The file is UTF-16", 'Set "encoding" to "utf-16"']),
        (codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"), None, ['UTF-32. Set "encoding" to "utf-32"']),
        (codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"), "utf-16", ['UTF-32. Set "encoding" to "utf-32"']),
        (codecs.BOM_UTF32_BE + TEXT.encode("utf-32-be"), None, ['UTF-32. Set "encoding" to "utf-32"']),
        (TEXT.encode("utf-8-sig"), "cp1252", ['the mark of UTF-8, and "encoding" says cp1252. Leave "encoding" out.']),
        (gzip.compress(TEXT.encode("utf-8-sig")), "latin-1", ['"encoding" says latin-1. Leave "encoding" out.']),
        (TEXT.encode("utf-8-sig"), "utf-16", ['"encoding" says utf-16. Leave "encoding" out.']),
        (b"k,n,s\na,1,M\xfcller\n", None, ["row 1", "byte 11 is 0xfc", '"cp1252"']),
        (b"k,n,\xe9\na,1,x\n", None, ["the header", "byte 4", "0xe9", '"cp1252"']),
        (b"k,n,s\na,1,x\nb,2,\xed\xa0\x80\n", None, ["row 2", "byte 16 is 0xed"]),
        (b"k,n,s\na,1,\xc0\xaf\n", None, ["row 1", "0xc0"]),
        (b"k,n,s\na,1,x\nb,2,\xe0\xa4", None, ["row 2", "0xe0"]),
        ("k,n,s\na,1,x\nb,2,".encode("utf-16") + b"\x00\xd8\n\x00", "utf-16", ["line 3", "byte 34", "0x00 d8"]),
        (b"k,n,s\na,1,\x81\n", "cp1252", ["not cp1252", "byte 10, in line 2, is 0x81"]),
        (b"k,n,s\n", "utf-16", ["not utf-16", "mark"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_bytes_of_another_encoding_are_refused_with_the_place_where_they_show(
    desk: Desk, data: bytes, encoding: str | None, says: list[str]
) -> None:
    outcome = desk.refused(data, encoding=encoding)
    assert outcome.code == "encoding"
    assert [words for words in says if words not in outcome.sentence] == []


def test_a_byte_that_is_not_utf8_late_in_a_big_file_names_its_row_and_the_job_restarts_with_the_right_encoding(
    desk: Desk,
) -> None:
    """Rows of parts that lie before it may have been written by then; each row still has one outcome."""
    rows = 60_000
    lines = [f"k{row},{row},{'x' * 150}\n".encode() for row in range(1, rows)]
    data = b"k,n,s\n" + b"".join(lines) + b"last,0,caf\xe9\n"
    assert len(data) > 9 * MIB
    dataset = desk.new_dataset()
    failed = desk.outcome(desk.start(desk.send(data), dataset))
    assert (failed.state, failed.code) == ("failed", "encoding")
    assert f"byte {len(data) - 2:,} is 0xe9" in failed.sentence
    assert f"row {rows:,}" in failed.sentence
    assert failed.rows == {f"k{n}": {"k": f"k{n}", "n": n, "s": "x" * 150} for n in failed.numbers.values()}
    rest = desk.unprocessed_bytes(failed.job.id)
    assert rest is not None
    assert len(failed.rows) + len(rest.splitlines()) - 1 == rows

    desk.client.jobs.undo(failed.job.id, reason="a test", wait_seconds=60)
    desk.client.jobs.wait(failed.job.id, "undone", timeout_seconds=60)
    again = desk.client.jobs.restart(failed.job.id, reason="a test", params={"encoding": "cp1252"})
    outcome = desk.outcome(again.id)
    assert (outcome.state, len(outcome.rows)) == ("succeeded", rows)
    assert outcome.rows["last"]["s"] == "café"


def test_a_byte_that_the_named_encoding_has_not_late_in_a_big_file_leaves_the_rows_before_it(desk: Desk) -> None:
    lines = [f"k{row},{row},{'é' * 150}\n" for row in range(1, 60_000)]
    data = ("k,n,s\n" + "".join(lines)).encode("cp1252") + b"last,0,\x81\nnever,0,x\n"
    assert len(data) > 9 * MIB
    failed = desk.outcome(desk.start(desk.send(data), desk.new_dataset(), encoding="cp1252"))
    assert (failed.state, failed.code) == ("failed", "encoding")
    rest = desk.unprocessed_bytes(failed.job.id)
    assert rest is not None
    left = [line for line in lines if line.split(",")[0] not in failed.rows]
    assert rest.decode() == "k,n,s\n" + "".join(left)


def test_characters_that_lie_across_the_pieces_of_a_file_stay_whole(desk: Desk) -> None:
    """Three bytes each, so that pieces of a mebibyte cut through some of them, in the blob and in the block."""
    cell = "प" * 100_000
    text = "k,n,s\n" + "".join(f"{key},1,{cell}\n" for key in "abcdefghijklmnopqrst")
    for data in (text.encode(), gzip.compress(text.encode())):
        outcome = desk.run(data)
        assert outcome.state == "succeeded"
        assert {row["s"] for row in outcome.rows.values()} == {cell}
        assert len(outcome.rows) == 20
