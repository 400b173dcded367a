"""The encodings that a file may have: by which names they go, and that each is read as it was written."""

import codecs
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collect.csv import encodings, sources
from collect.errors import TaskRefused
from support.in_memory import MemoryBlobs

TEXTS = {
    "cp1251": "имя,возраст\nАнна,31\n",
    "koi8-r": "имя,возраст\nАнна,31\n",
    "koi8-u": "ім'я,вік\nЇжак,31\n",
    "cp866": "имя,возраст\nАнна,31\n",
    "iso-8859-2": "imię,wiek\nŁucja,31\n",
    "iso-8859-15": "nom,âge\nŒuvre €,31\n",
    "cp850": "nom,âge\nÉloïse,31\n",
    "cp437": "name,alter\nMüller,31\n",
    "mac-roman": "nom,âge\nÉloïse,31\n",
    "shift-jis": "名前,年齢\n山田①,31\n",
    "euc-jp": "名前,年齢\n山田,31\n",
    "gb18030": "姓名,年龄\n王𠀀,31\n",
    "gbk": "姓名,年龄\n王,31\n",
    "gb2312": "姓名,年龄\n王,31\n",
    "big5": "姓名,年齡\n王功蓋,31\n",
    "big5-hkscs": "姓名,年齡\n嘅𠝹,31\n",
    "euc-kr": "이름,나이\n김,31\n",
    "cp949": "이름,나이\n똠방,31\n",
    "utf-16": "नाम,उम्र\n😀,31\n",
    "utf-16-le": "नाम,उम्र\n😀,31\n",
    "utf-16-be": "नाम,उम्र\n😀,31\n",
    "utf-32": "नाम,उम्र\n😀,31\n",
    "utf-32-le": "नाम,उम्र\n😀,31\n",
    "utf-32-be": "नाम,उम्र\n😀,31\n",
}
WRITTEN_AS = {"shift-jis": "cp932", "big5": "cp950"}
NO_ENCODINGS = (
    "utf-7", "base64", "hex", "rot13", "zip", "bz2", "quopri", "uu", "idna", "punycode", "unicode_escape",
    "raw_unicode_escape", "undefined", "charmap", "mbcs", "oem", "iso-2022-jp", "hz", "ebcdic", "cp037", "klingon", "",
    " ", "a\0b", "é", "../x", "utf-8" + "x" * 100,
)  # fmt: skip


def read(data: bytes, encoding: str | None) -> str:
    return b"".join(sources.open_text(MemoryBlobs({"f": data}), "f", encoding=encoding).pieces).decode()


def refused(data: bytes, encoding: str | None) -> TaskRefused:
    with pytest.raises(TaskRefused) as raised:
        read(data, encoding)
    return raised.value


@pytest.mark.parametrize(("encoding", "text"), TEXTS.items())
def test_text_is_read_as_it_was_written(encoding: str, text: str) -> None:
    data = text.encode(WRITTEN_AS.get(encoding, encoding))
    assert read(data, encoding) == text
    assert read(data, encoding.upper().replace("-", "_")) == text


@pytest.mark.parametrize("encoding", encodings.ENCODINGS)
def test_each_encoding_that_is_named_is_one(encoding: str) -> None:
    codec = encodings.codec_of(encoding)
    assert codec is not None
    assert codecs.lookup(codec)._is_text_encoding
    assert encodings.codec_of(codec) == codec
    assert read("a,b\n1,2\n".encode(codec), encoding).lstrip("\ufeff") == "a,b\n1,2\n"


@pytest.mark.parametrize("name", NO_ENCODINGS)
def test_what_is_no_encoding_of_text_is_none(name: str) -> None:
    assert encodings.codec_of(name) is None


@given(st.text(max_size=60))
@settings(max_examples=300)
def test_any_name_is_an_encoding_or_none(name: str) -> None:
    codec = encodings.codec_of(name)
    assert codec is None or encodings.codec_of(codec) == codec


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("UTF8", "utf-8"), ("utf-8-sig", "utf-8"), ("UTF16LE", "utf-16-le"), ("Latin1", "latin-1"),
        ("ISO_8859-15", "iso-8859-15"), ("latin-9", "iso-8859-15"), ("windows-1252", "cp1252"),
        ("Windows 1251", "cp1251"), ("ansi_x3.4-1968", "ascii"), ("ibm850", "cp850"), ("macintosh", "mac-roman"),
        ("sjis", "cp932"),
        ("Shift_JIS", "cp932"), ("windows-31j", "cp932"), ("cp936", "gb18030"), ("ms949", "cp949"),
    ],
)  # fmt: skip
def test_names_that_people_give_an_encoding_are_understood(name: str, codec: str) -> None:
    assert encodings.codec_of(name) == codec


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("order", ["le", "be"])
def test_a_mark_may_stand_before_text_whose_order_of_bytes_is_named(encoding: str, order: str) -> None:
    text = "k,n\nप,1\n"
    mark = {name: mark for mark, name in encodings._MARKS}[f"{encoding}-{order}"]
    data = mark + text.encode(f"{encoding}-{order}")
    assert read(data, encoding) == text
    assert read(data, f"{encoding}-{order}").removeprefix("\ufeff") == text
    other = {"le": "be", "be": "le"}[order]
    assert f'Set "encoding" to "{encoding}-{order}"' in refused(data, f"{encoding}-{other}").detail


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_text_without_a_mark_is_refused_with_the_name_that_reads_it(codec: str) -> None:
    data = "k,n,s\na,1,x\n".encode(codec)
    said = refused(data, None)
    assert (said.code, f'set "encoding" to "{codec}"' in said.detail) == ("encoding", True)
    assert f'"{codec}"' in refused(data, codec[:6]).detail
    assert read(data, codec) == "k,n,s\na,1,x\n"


@pytest.mark.parametrize("named", ["utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-16"])
def test_narrow_text_is_not_read_as_wide(named: str) -> None:
    """As UTF-16 it would be Chinese characters, and no error."""
    assert refused(b"k,n,s\na,1,x\n", named).code == "encoding"


@pytest.mark.parametrize("wide", ["utf-16", "utf-32"])
@pytest.mark.parametrize("named", [None, "utf-8", "cp1252", "shift-jis", "utf-16-or-32"])
def test_a_mark_says_which_encoding_to_name(wide: str, named: str | None) -> None:
    other = {"utf-16": "utf-32", "utf-32": "utf-16"}[wide] if named == "utf-16-or-32" else named
    said = refused("k,n\na,1\n".encode(wide), other).detail
    assert f'{wide.upper()}. Set "encoding" to "{wide}"' in said


@pytest.mark.parametrize(
    ("encoding", "text", "bad"),
    [
        ("cp932", "名前\n山", b"\x81"),
        ("gb18030", "姓名\n王", b"\xff"),
        ("euc-jp", "名前\n山", b"\x8f\xb0\n"),
        ("euc-kr", "이름\n김", b"\xff"),
        ("big5", "姓名\n王", b"\xff"),
        ("cp1252", "né\nx", b"\x81"),
        ("utf-16-le", "ab\nc", b"\x00\xd8\n\x00"),
        ("utf-32-be", "ab\nc", b"\x00\x11\x00\x00"),
    ],
)
@pytest.mark.parametrize("cut", range(1, 12))
def test_a_byte_that_the_encoding_does_not_have_is_named_with_its_place_however_the_text_is_cut(
    encoding: str, text: str, bad: bytes, cut: int
) -> None:
    before = text.encode(encoding)
    data = before + bad
    read_before: list[bytes] = []
    with pytest.raises(TaskRefused) as said:
        read_before.extend(encodings.transcoded(iter([data[:cut], data[cut:]]), encodings.codec_of(encoding) or ""))
    assert f"byte {len(before)}, in line 2, is 0x" in said.value.detail
    assert b"".join(read_before).decode() == text


@given(
    text=st.text(st.characters(codec="gb18030", exclude_characters="\0"), min_size=1),
    cuts=st.lists(st.integers(0, 400)),
    codec=st.sampled_from(["gb18030", "utf-16-le", "utf-32-be"]),
)
@settings(max_examples=200)
def test_text_that_is_cut_anywhere_is_read_alike(text: str, cuts: list[int], codec: str) -> None:
    data = text.encode(codec)
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[begin:end] for begin, end in pairwise(places)]
    assert b"".join(encodings.transcoded(iter(pieces), codec)).decode() == text
