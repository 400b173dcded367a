"""The text encodings that a file may have, their usual names, and the conversion of text to UTF-8."""

from __future__ import annotations

import codecs
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from collect.errors import TaskRefused

UTF_8 = "utf-8"
UTF_16 = "utf-16"
UTF_32 = "utf-32"
MOST_NAME_CHARACTERS = 50

_UNICODE = (UTF_8, UTF_16, "utf-16-le", "utf-16-be", UTF_32, "utf-32-le", "utf-32-be")
_ISO = tuple(f"iso-8859-{part}" for part in (*range(1, 12), *range(13, 17)))
_WINDOWS = ("windows-874", *(f"windows-{page}" for page in range(1250, 1259)))
_DOS_PAGES = (437, 720, 737, 775, 850, 852, 855, 857, 858, *range(860, 867), 869, 1125)
_DOS = tuple(f"cp{page}" for page in _DOS_PAGES)
_OTHER_BYTES = (
    "ascii", "koi8-r", "koi8-u", "koi8-t", "kz1048", "ptcp154", "tis-620",
    "mac-roman", "mac-cyrillic", "mac-greek", "mac-latin2", "mac-turkish", "mac-iceland", "mac-croatian",
    "mac-romanian",
)  # fmt: skip
_EAST_ASIAN = ("shift-jis", "euc-jp", "gb18030", "gbk", "gb2312", "big5", "big5-hkscs", "euc-kr", "johab")

ENCODINGS = (*_UNICODE, *_ISO, *_WINDOWS, *_OTHER_BYTES, *_DOS, *_EAST_ASIAN)
"""Values of ``encoding``, one name for each. Other spellings of these are accepted too (``cp1252``, ``Latin1``)."""
LISTED = (
    "utf-8, utf-16, utf-16-le, utf-16-be, utf-32, utf-32-le, utf-32-be, iso-8859-1 to iso-8859-16, "
    "windows-1250 to windows-1258 (cp1252), windows-874, koi8-r, koi8-u, mac-roman, cp437, cp850, cp852, cp866, "
    "shift-jis, euc-jp, gb18030, gbk, big5, big5-hkscs, euc-kr"
)
"""The usual encodings, for a message."""

_WIDER = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "big5": "cp950",
}
"""Codec → the codec that is used instead. It has the same characters, and more that Windows writes under that name."""
_ALSO = {
    "utf16le": "utf-16-le", "utf16be": "utf-16-be", "utf32le": "utf-32-le", "utf32be": "utf-32-be",
    "windows31j": "cp932", "windows932": "cp932", "windows936": "gbk", "windows949": "cp949", "windows950": "cp950",
    "xsjis": "cp932", "xmacroman": "mac-roman", "windows874": "cp874",
}  # fmt: skip
"""Spellings that Python does not know, without the blanks and signs that join their parts → a name that it knows."""
_SHOWN = {"iso8859_1": "latin-1", "utf_8_sig": UTF_8}
"""Codec → the name that answers have shown for it since the first release."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9 ._:-]*")
_JOINS = re.compile(r"[ ._:-]+")
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # must come before UTF-16: it begins with that mark
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, UTF_8),
)
_SAMPLE_BYTES = 4096
_NUL_SHARE = 4
"""If more than one byte in so many is NUL, the text is UTF-16 or UTF-32, or it is no text."""


@dataclass(frozen=True, kw_only=True)
class _Place:
    """The place of a byte that is not valid in the encoding. ``byte``: from the text's begin. ``line``: from 1."""

    byte: int
    line: int


def codec_of(name: str) -> str | None:
    """Return the codec that reads text of the encoding ``name``, or ``None`` if it is none of :data:`ENCODINGS`.

    Upper case, underscores and the usual other spellings do not matter.
    """
    if len(name) > MOST_NAME_CHARACTERS or not _NAME.fullmatch(name):
        return None
    python = _python_name(name)
    return None if python is None else _CODECS.get(python)


def unknown(name: str) -> str:
    """Return the message for an encoding that is none of :data:`ENCODINGS`."""
    return f"The encoding {name[:MOST_NAME_CHARACTERS]!r} is not supported. Supported: {LISTED}."


def mark_of(head: bytes) -> str | None:
    """Return the Unicode encoding whose mark (BOM) the text begins with, or ``None``."""
    return next((codec for mark, codec in _MARKS if head.startswith(mark)), None)


def check_head(head: bytes, codec: str) -> None:
    """Raise an error if the first bytes show that the text has another encoding than ``codec``.

    Raises:
        TaskRefused: it has another one. The message names the encoding to set, if it is known.
    """
    mark = mark_of(head)
    if mark is not None and _family(mark) != _family(codec):
        raise _of_another(mark, codec)
    if mark is not None and codec not in (mark, _family(mark)):
        raise TaskRefused(
            f'The file begins with the mark of {mark}, and "encoding" says {codec}. Set "encoding" to "{mark}".',
            code="encoding",
        )
    sample = head[:_SAMPLE_BYTES]
    nuls, is_wide = sample.count(b"\0"), _family(codec) in (UTF_16, UTF_32)
    if not is_wide and nuls * _NUL_SHARE > len(sample):
        looks_like = _unmarked(sample)
        raise TaskRefused(
            f"The file is binary, or {_family(looks_like).upper()} without its mark. If it is text, set "
            f'"encoding" to "{looks_like}", or save it as UTF-8.',
            code="encoding",
        )
    if is_wide and mark is None and not nuls:
        raise TaskRefused(
            f"The file is not {codec}: it does not begin with a mark, and none of its first bytes is NUL. "
            'Leave "encoding" out if it is UTF-8, or name the one that it has.',
            code="encoding", where="line 1",
        )  # fmt: skip
    if codec in (UTF_16, UTF_32) and mark is None:
        raise _without_mark(codec, f'"{_unmarked(sample)}"')


def transcoded(pieces: Iterator[bytes], codec: str) -> Iterator[bytes]:
    """Yield the text as UTF-8, piece by piece. Characters that lie across two pieces stay whole.

    Raises:
        TaskRefused: a byte is not valid in the encoding. The text before it has been yielded.
    """
    decoder = codecs.getincrementaldecoder(codec)()
    line, at = 1, 0
    for given in itertools.chain(pieces, [None]):
        piece, before = given or b"", decoder.getstate()
        try:
            text = decoder.decode(piece, final=given is None)
        except UnicodeDecodeError as error:
            held = len(before[0])  # bytes of a character whose end is in this piece
            decoder.setstate(before)
            text = decoder.decode(piece[: max(0, error.start - held)])
            yield text.encode()
            raise _not_of(codec, error, _Place(byte=at - held + error.start, line=line + text.count("\n"))) from error
        except UnicodeError as error:  # its mark is missing, and the first bytes were too few to tell
            raise _without_mark(codec, f'"{codec}-le" or "{codec}-be"') from error
        line += text.count("\n")
        at += len(piece)
        yield text.encode()


def _python_name(name: str) -> str | None:
    """Return Python's name of an encoding, with underscores for hyphens; ``None`` if Python does not know it."""
    joined = _JOINS.sub("", name).lower()
    windows = re.sub(r"^windows(?=[0-9])", "cp", joined)
    for spelling in (_ALSO.get(joined, windows), name):
        try:
            return codecs.lookup(spelling).name.replace("-", "_")
        except LookupError:
            continue
    return None


def _table() -> dict[str, str]:
    """Return Python's name → the codec to use, for each encoding of :data:`ENCODINGS`."""
    table: dict[str, str] = {}
    for name in ENCODINGS:
        python = _python_name(name)
        if python is None:
            raise LookupError(f"Python has no codec {name!r}")
        table[python] = _WIDER.get(python) or (name if name in _ISO else python.replace("_", "-"))
    return {**table, **{codec.replace("-", "_"): codec for codec in _WIDER.values()}, **_SHOWN}


def _family(codec: str) -> str:
    """Return the encoding without the order of its bytes: ``utf-16`` for ``utf-16-le``."""
    return codec.removesuffix("-le").removesuffix("-be")


def _unmarked(sample: bytes) -> str:
    """Return the form of UTF-16 or UTF-32 of a text without a mark, by the places of its many NUL bytes."""
    nuls = [sample[place::4].count(0) for place in range(4)]
    mostly_nul = {place for place in range(4) if nuls[place] * 8 > len(sample)}
    if mostly_nul == {1, 2, 3}:
        return "utf-32-le"
    if mostly_nul == {0, 1, 2}:
        return "utf-32-be"
    return "utf-16-be" if nuls[0] + nuls[2] > nuls[1] + nuls[3] else "utf-16-le"


def _of_another(mark: str, codec: str) -> TaskRefused:
    if mark == UTF_8:
        return TaskRefused(
            f'The file begins with the mark of UTF-8, and "encoding" says {codec}. Leave "encoding" out.',
            code="encoding",
        )
    wide = _family(mark)
    return TaskRefused(f'The file is {wide.upper()}. Set "encoding" to "{wide}", or save it as UTF-8.', code="encoding")


def _without_mark(codec: str, names: str) -> TaskRefused:
    return TaskRefused(
        f'The file is not {codec}: it does not begin with its mark. Save it as UTF-8, or set "encoding" to {names}.',
        code="encoding", where="line 1",
    )  # fmt: skip


def _not_of(codec: str, error: UnicodeDecodeError, place: _Place) -> TaskRefused:
    wrong = error.object[error.start : error.end].hex(" ")
    return TaskRefused(
        f"The file is not {codec}: byte {place.byte:,}, in line {place.line:,}, is 0x{wrong} ({error.reason}). "
        'If it has another encoding, name that one in "encoding".',
        code="encoding", where=f"line {place.line:,}",
    )  # fmt: skip


_CODECS = _table()
