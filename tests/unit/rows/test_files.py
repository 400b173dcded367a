"""Files as they come: what is read of each, or the sentence with which it is refused."""

import gzip
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect.checks.preview import preview
from collect.csv.layout import DELIMITERS, Params
from collect.csv.reading import Source, lots
from collect.errors import TaskRefused
from collect.jobs.template import Template
from collect.rows import planning
from support.in_memory import MemoryBlobs
from support.texts import BOTH, LINES, MIB, TEMPLATE, look, plan, read


@pytest.mark.parametrize(
    ("data", "params"),
    [
        (LINES, {}),
        (LINES.removesuffix(b"\n"), {}),
        (LINES.replace(b"\n", b"\r\n"), {}),
        (b"\xef\xbb\xbf" + LINES, {}),
        (b"sep=,\r\n" + LINES, {}),
        (LINES.replace(b",", b";"), {}),
        (LINES.replace(b",", b"\t"), {}),
        (LINES.replace(b",", b"|"), {}),
        (LINES.replace(b"\n", b"\n\n"), {}),
        (b"s,k,n\nx,a,1\ny,b,2\n", {}),
        (b'"k","n","s"\n"a","1","x"\n"b","2","y"\n', {}),
        (b"a,1,x\nb,2,y\n", {}),
        (b"a,1,x\nb,2,y\n", {"has_header": False}),
        (b"k,N,s,junk\na,1,x,?\nb,2,y,?\n", {"column_map": {"N": "n", "junk": None}}),
        (b"k,s,n\na,1,x\nb,2,y\n", {"column_map": {"s": "n", "n": "s"}}),
        (gzip.compress(LINES), {}),
        (gzip.compress(LINES[:9]) + gzip.compress(LINES[9:]), {}),
        (gzip.compress(LINES) + b"\0" * 512, {}),
        (LINES.decode().encode("utf-16"), {"encoding": "utf-16"}),
        (("sep=|\n" + LINES.decode().replace(",", "|")).encode("utf-16"), {"encoding": "utf-16"}),
        (LINES, {"encoding": "cp1252"}),
        (gzip.compress(LINES.decode().encode("utf-16")), {"encoding": "UTF-16"}),
    ],
)
def test_the_same_rows_whatever_the_dress(data: bytes, params: dict[str, Any]) -> None:
    assert read(data, **params) == (BOTH, ())
    seen = look(data, **params)
    assert (seen.total_rows, seen.errors, seen.rejects.rejected_rows) == (2, (), 0)


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_the_line_that_tells_excel_the_delimiter_names_one_that_is_taken_elsewhere_too(delimiter: str) -> None:
    named = delimiter.encode()
    assert read(b"sep=" + named + b"\n" + LINES.replace(b",", named)) == (BOTH, ())


@pytest.mark.parametrize("delimiter", [" ", "\\", "]", "^", "-", "!"])
def test_that_line_with_another_delimiter_is_a_header(delimiter: str) -> None:
    name = f"sep={delimiter}"
    assert read(f"{name}\na\n".encode(), column_map={name: "k"}) == ({1: ("a",)}, ())


@pytest.mark.parametrize(
    ("data", "params", "code", "says"),
    [
        (b"", {}, "empty_file", "empty"),
        (b"\n \n", {}, "empty_file", "empty"),
        (b"k,n,s\n", {}, "no_rows", "no rows"),
        (b"k,n,s", {}, "no_rows", "no rows"),
        (LINES.decode().encode("utf-16"), {}, "encoding", "utf-16"),
        (LINES.decode().encode("utf-16-le"), {}, "encoding", "without its mark"),
        (LINES + b"c,3,\xe9\n", {}, "encoding", "0xe9"),
        (b"k,n,\xe9\n", {}, "encoding", "header"),
        (LINES, {"encoding": "ebcdic"}, "unknown_encoding", "ebcdic"),
        (LINES + b"odd", {"encoding": "utf-16"}, "encoding", "utf-16"),
        (LINES.replace(b"\n", b"\r"), {}, "lone_carriage_return", "LF"),
        (LINES + b"c\rd,3,x\n", {}, "lone_carriage_return", "LF"),
        (LINES + b'c,3,"x\n' + LINES * 20, {}, "unclosed_quote", "row 3"),
        (b'k,n,"s\n' + LINES, {}, "unclosed_quote", "header"),
        (b"k,n,s,n\na,1,x,2\n", {}, "duplicate_column", "'n'"),
        (b"k,n,s,age\na,1,x,2\n", {}, "unknown_column", "'age'"),
        (b"k,N ,s\na,1,x\n", {}, "unknown_column", "mean 'n'"),
        ("k,ｎ,s\na,1,x\n".encode(), {}, "unknown_column", "mean 'n'"),
        (b"k,n,s,$set\na,1,x,2\n", {}, "unknown_column", "$set"),
        (b"k,n,s,__proto__\na,1,x,2\n", {}, "unknown_column", "__proto__"),
        (b"n,s\n1,x\n", {}, "missing_column", "'k'"),
        (LINES, {"column_map": {"x": "n"}}, "unknown_column", "file does not have"),
        (LINES, {"column_map": {"s": "n"}}, "duplicate_column", "'n'"),
        (LINES, {"column_map": {"s": "age"}}, "unknown_column", "no column of the dataset"),
        (LINES.replace(b",", b"!"), {}, "unknown_column", "!"),
        (b"sep=!\n" + LINES.replace(b",", b"!"), {}, "unknown_column", "'sep=!'"),
        (LINES, {"delimiter": '"'}, "unknown_delimiter", "delimiter"),
        (LINES, {"delimiter": ";"}, "unknown_column", "k,n,s"),
        (b",".join(b"c%d" % n for n in range(100_000)) + b"\n1\n", {}, "too_many_columns", "100,000"),
        (b"x" * 3 * MIB, {}, "header_too_long", "header"),
        (LINES + b"c,3," + b"x" * 20 * MIB + b"\n", {}, "row_too_long", "8 MiB"),
        (b"PK\x03\x04" + bytes(100), {}, "not_csv", "xlsx"),
        (b"MZ\x90\x00" + bytes(100), {}, "not_csv", "program"),
        (b"<!DOCTYPE html><html>", {}, "not_csv", "web page"),
        (b"\xef\xbb\xbf\n<html>", {}, "not_csv", "web page"),
        (b"%PDF-1.4", {}, "not_csv", "PDF"),
        (gzip.compress(b"PK\x03\x04" + bytes(100)), {}, "not_csv", "xlsx"),
        (gzip.compress(gzip.compress(LINES)), {}, "nested_gzip", "within"),
        (gzip.compress(random.Random(1).randbytes(9999).hex().encode())[:-20], {}, "truncated_gzip", "cut off"),
        (gzip.compress(LINES)[:-1], {}, "truncated_gzip", "cut off"),
        (gzip.compress(b"x") * 100_000, {}, "tiny_gzip_members", "send it unpacked"),
        (gzip.compress(LINES) + b"rubbish", {}, "damaged_gzip", "damaged"),
        (gzip.compress(LINES)[:-8] + bytes(8), {}, "damaged_gzip", "damaged"),
        (gzip.compress(LINES + b"a,1,xxxxxxxx\n" * 12 * MIB, 9), {}, "gzip_bomb", "200 times"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_run_is_refused_and_its_preview_says_the_same(
    data: bytes, params: dict[str, Any], code: str, says: str
) -> None:
    with pytest.raises(TaskRefused) as refused:
        plan(data, **params)
    assert refused.value.code == code
    assert says in f"{refused.value.where} {refused.value.detail}"
    errors = look(data, **params).errors
    assert code in [error.code for error in errors]


@pytest.mark.parametrize(
    ("line", "code", "field"),
    [
        (b"c,3", "wrong_number_of_cells", ""),
        (b"c,3,x,y", "wrong_number_of_cells", ""),
        (b",3,x", "required", "k"),
        (b"c,9223372036854775808,x", "not_an_integer", "n"),
        (b"c,3,x\0y", "nul_character", "s"),
        (b"c\0,3,x", "nul_character", "k"),
        (b"c,3," + b"x" * 1024 * 1025, "field_too_long", "s"),
        (b"c" * 1025 + b",3,x", "key_too_long", "k"),
        (b'c,3"3,x', "not_an_integer", "n"),
    ],
)
def test_a_row_that_is_wrong_is_rejected_alone_with_its_number_and_line(line: bytes, code: str, field: str) -> None:
    data = b"k,n,s\n" + b"a,1,x\n\n" + line + b"\nb,2,y\n"
    rows, rejects = read(data)
    assert rows == {1: ("a", 1, "x"), 3: ("b", 2, "y")}
    (reject,) = rejects
    assert (reject.row, reject.line, reject.errors[0].code) == (2, line.decode(), code)
    assert reject.errors[0].field == field
    assert look(data).rejects.items == rejects


def test_all_errors_of_a_row_are_told_in_the_order_of_the_template() -> None:
    _, rejects = read(b"s,n,k\n\0,x,\n")
    assert [(error.field, error.code) for error in rejects[0].errors] == [
        ("k", "required"),
        ("n", "not_an_integer"),
        ("s", "nul_character"),
    ]


def test_cells_are_text_as_it_stands() -> None:
    rows, _ = read(b'k,n,s\na,1," =1+1 ""q""\r\nnext"\nb,,5" pipe\n')
    assert rows == {1: ("a", 1, ' =1+1 "q"\r\nnext'), 2: ("b", None, '5" pipe')}


def test_a_field_of_200_kb_is_read() -> None:
    assert read(b"k,n,s\na,1," + b"x" * 200_000)[0] == {1: ("a", 1, "x" * 200_000)}


def test_an_upsert_may_lack_required_columns_but_not_the_key() -> None:
    assert read(b"k,s\na,x\n", mode="upsert")[0] == {1: ("a", "x")}
    with pytest.raises(TaskRefused, match="'k' is missing"):
        plan(b"n,s\n1,x\n", mode="upsert")


def test_a_template_that_changed_after_the_plan_refuses_the_part() -> None:
    (part,) = plan(LINES)
    other = Template.model_validate({"key": ["k"], "columns": [{"name": "k", "type": "string"}]})
    with pytest.raises(TaskRefused, match="has changed"):
        planning.arranged(part.source, other)


def big(rows: int) -> bytes:
    """Rows of very different length, with newlines in their cells."""
    rng = random.Random(rows)
    fill = rng.randbytes(40_000).hex()
    lines = [f'k{row},{row},"{fill[: rng.randint(0, 2_000)]}\n{row}"\n' for row in range(1, rows + 1)]
    return ("k,n,s\n" + "".join(lines)).encode()


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_the_parts_of_a_big_file_cover_it_and_each_can_be_entered_by_itself(pack: Any) -> None:
    data = big(20_000)
    blobs = MemoryBlobs()
    parts = plan(pack(data), blobs)
    assert len(parts) > 1
    assert [part.source["first_row"] for part in parts] == [
        1 + sum(part.total for part in parts[:n]) for n in range(len(parts))
    ]
    for part in reversed(parts):
        source = Source.of(part.source)
        found = list(lots(blobs, source, part.cursor, most_rows=lambda: 900, most_bytes=8 * MIB))
        text = data[source.start : source.end]
        assert b"".join(data[lot.offset : lot.end] for lot in found) == text
        last = found[-1]
        again = {"v": 1, "offset": last.offset, "row": last.row}
        (same,) = lots(blobs, source, again, most_rows=lambda: 900, most_bytes=8 * MIB)
        assert same == last
        assert last.row + len(last.records) == source.first_row + part.total
    assert preview(blobs, "f", template=TEMPLATE, params={}).total_rows == 20_000


def test_a_preview_shows_rejects_from_all_over_the_file_and_says_their_number() -> None:
    lines = [f"k{row},{'x' if row % 10 == 0 else row},{'y' * 300}\n" for row in range(1, 60_001)]
    seen = look(("k,n,s\n" + "".join(lines)).encode())
    assert seen.total_rows == 60_000
    assert seen.rejects.sampled_rows == 60_000
    assert seen.rejects.estimate == 6_000
    assert len({reject.row // 12_000 for reject in seen.rejects.items}) == 5


def test_a_preview_shows_columns_and_first_rows() -> None:
    seen = look(b"k;n;more\na;1;2017-05-31\nb;;2017-06-01\n", column_map={"more": "s"})
    assert (seen.delimiter, seen.encoding, seen.has_header) == (";", "utf-8", True)
    assert [(column.header, column.mapped_to, column.type_seen) for column in seen.columns] == [
        ("k", "k", "string"),
        ("n", "n", "integer"),
        ("more", "s", "date"),
    ]
    assert seen.first_rows[0] == {"k": "a", "n": "1", "more": "2017-05-31"}


@given(data=st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for content in (data, b"k,n,s\n" + data):
        try:
            rows, rejects = read(content)
        except TaskRefused:
            assert look(content).errors
        else:
            assert look(content).total_rows == len(rows) + len(rejects)


def test_params_are_those_of_the_job() -> None:
    assert Params.of({"delimiter": ";", "column_map": None, "mode": "insert"}) == Params(delimiter=";")
