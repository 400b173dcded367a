"""The check for text that was damaged before the file was sent: lost letters, formula errors of a spreadsheet.

Some damage is certain in a single cell. Text that people may have typed (``????``) or may mean (``É…``) causes a
warning only if several cells have it, since a false alarm costs trust.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from collect.checks.warning import Warning, of_a_sample
from collect.csv import layout, unseen
from collect.csv.cell_rules import CellRules
from collect.csv.layout import Layout
from collect.jobs.template import Template

MOST_ROWS_NAMED = 3
MOST_SAMPLE_CHARACTERS = 60
LEAST_SHARE = 0.001
"""Share of the rows that must have a damage which is not certain, before there is a warning about it. A lossy encoding
damages names in many rows; a person who types ``????`` does so in one of 10,000 comments."""
FEWEST_READABLE = 0.75
"""Least share of the characters of mojibake that can be decoded. Some bytes have no character in cp1252 and are lost.
"""
FEWEST_IN_DOUBT = 2
"""Fewest cells for a warning when undamaged text may look the same, such as a letter before punctuation."""

_SUSPECT = re.compile(
    rb"\?\?|[^\s,;|\"]\?[^\s,;|\"]|\xef\xbf\xbd|#[#a-z\xc2\xd0]|Err:5|\xc3[\x82-\xb4][\xc2\xc5\xc6\xcb\xe2]"
    rb"|\xc2[\x80-\x9f]|\xd0[\xa0\xa1].{2,3}\xd0[\xa0\xa1]|\xe2\x88\x9a|\xe2\x94\x9c|\xe2\x80\x9a\xc3\x84|\xc3\x94\xc3\x87",
    re.IGNORECASE,
)
"""The bytes that every damaged record has. Only records with these bytes are cut into cells, which saves time."""
_FORMULA_ERROR = re.compile(
    r"(?:=|(?:Error|Erreur|Fehler|Errore|Erro|Fout|Błąd|Ошибка)[:\s]+)?#(?:[¡¿]?(?:NAME|NOM|NOMBRE|NOME|NAAM|NAZWA|ИМЯ)\?"
    r"|[¡¿]?(?:REF|BEZUG|RIF|VERW|ADR|ССЫЛКА|VALUE|VALEUR|VALOR|VALORE|WERT|WAARDE|ARG|ЗНАЧ|NULL|NUL|NULO|NULLO|LEEG|ZERO|ПУСТО"
    r"|NUM|NÚM|NOMBRE|NUMERO|ZAHL|GETAL|LICZBA|ЧИСЛО|DIV/0|DEEL/0|DZIEL/0|ДЕЛ/0|SPILL|CALC)!"
    r"|N/A|NV|N/D|N/B|ND|Н/Д|GETTING_DATA)|Err:5[0-9]{2}",
    re.IGNORECASE,
)
"""The formula errors in English, German, French, Spanish, Portuguese, Italian, Dutch, Polish and Russian."""
_FORMULA_WITH_ERROR = re.compile(r"=.*#(?:REF!|NAME\?|VALUE!|DIV/0!|BEZUG!|WERT!)", re.DOTALL)
_TOO_NARROW = re.compile(r"#{4,}")
_ONLY_MARKS = re.compile(r"(?=(?:[^?]*\?){4})[?\s\-.,'/()0-9]+")
"""Four question marks or more, and otherwise only blanks, digits and punctuation."""
_MARK_FOR_LETTER = re.compile(r"[^\W\d_]\?+[^\W\d_]")
_MARKS_FOR_LETTERS = re.compile(r"[^\W\d_]\?{2,}[^\W\d_]")
_ADDRESS = re.compile(r"://|www\.|[&=]")
_FOREIGN_RUN = re.compile(r"[^\x00-\x7f]{2,}")
_ACCENTED = "\u00c3"
_CERTAIN_LEADS = ("\u00c2", "\u00e2\u20ac", "\u00f0\u0178")
"""The first bytes of UTF-8 as cp1252 shows them: of accented letters (``_ACCENTED``), and of symbols, typographic marks
and emoji (``_CERTAIN_LEADS``). ``Ã`` is a Portuguese letter too, so in text of capitals it may stand before a quotation
mark."""

_LOST = ("\ufffd", "\u00ef\u00bf\u00bd")
"""The replacement character for a lost letter (U+FFFD), and the same character when its UTF-8 is read in cp1252."""
_MARK_OF_UTF_8 = "\u00ef\u00bb\u00bf"
_CONTROL = re.compile(r"[\x80-\x84\x86-\x9f]")
_CONTROL_OF_LATIN_1 = re.compile(r"[\x80-\x9f]")
"""The same with U+0085: some systems write it as a line break, but in cp1252 this byte is an ellipsis."""
_BEHIND_CAPITAL = "\u2026\u201d\u2019\u2013\u2014\u2022\u2122\u00ae\u00bb\u00ab\u00ba\u00aa\u00a0\u00b0\u00b4\u00b7"
"""The characters that may follow a Portuguese ``Ã`` in text of capitals."""
_OPENING = "\u201c\u2018"
_IN_OTHER_CODECS = (
    ("cp1251", re.compile(r"(?:[\u0420\u0421][^\x00-\x7f]){3,}")),
    (
        "mac_roman",
        re.compile(r"(?<=[^\W\d_])\u221a[^\x00-\x7f]|\u221a[^\x00-\x7f](?=[^\W\d_])|\u201a\u00c4[^\x00-\x7f]"),
    ),
    ("cp850", re.compile(r"(?<=[^\W\d_])\u251c[^\x00-\x7f]|\u251c[^\x00-\x7f](?=[^\W\d_])|\u00d4\u00c7[^\x00-\x7f]")),
)
"""Patterns of UTF-8 that was read in other encodings: Cyrillic letters, accented letters and typographic marks."""
_WINDOWS_OF = {"latin-1": "windows-1252"}
"""Encoding → the Windows encoding that has letters and marks where the first one has control characters."""


class Damage(Enum):
    """The kinds of damage to a cell. The value says what happened and how to correct it."""

    FORMULA = "the error of a formula in a spreadsheet: correct the formula, or map the text in value_map"
    TOO_NARROW = "what a spreadsheet shows in a column that is too narrow: widen it and save the file again"
    LOST = "letters that could not be decoded and are lost: take the file from its source, in UTF-8"
    QUESTION_MARKS = "question marks in the place of letters, which are lost: save the file again, in UTF-8"
    CONTROLS = "control characters in the place of quotes, dashes or letters, as of text in windows-1252 read otherwise"
    MOJIBAKE = "UTF-8 that was read in another encoding: save the file again, in UTF-8"


_IN_DOUBT = frozenset({Damage.QUESTION_MARKS})


@dataclass(kw_only=True)
class _Found:
    rows: list[int] = field(default_factory=list)
    sample: str
    fewest: int = FEWEST_IN_DOUBT
    is_certain: bool = False

    def add(self, row: int, damage: Damage, text: str) -> None:
        self.rows.append(row)
        self.is_certain = self.is_certain or is_certain(damage, text)
        if _ONLY_MARKS.fullmatch(text.strip(unseen.BLANKS)) or _MARKS_FOR_LETTERS.search(text):
            self.fewest = 1


def find(
    rows: Iterable[tuple[int, bytes]],
    arranged: Layout,
    template: Template,
    rules: CellRules,
    *,
    looked_at: int,
    encoding: str | None = None,
    total_rows: int | None = None,
) -> list[Warning]:
    """Return a warning for each kind of damage. ``rows``: number and text of each row in the preview's sample.

    ``encoding``: the encoding that the request names, unless that is UTF-8. ``looked_at``: how many rows the sample
    has. ``total_rows``: how many rows the file has.
    """
    expected = {column.name: {*column.null_values, *(column.values or ())} for column in template.columns}
    found: dict[Damage, dict[str, _Found]] = {}
    for row, record in rows:
        if not _SUSPECT.search(record):
            continue
        for name, text in zip(arranged.columns, layout.parse(record, arranged.delimiter), strict=False):
            if name is None or not _SUSPECT.search(text.encode()) or _is_meant(name, text, rules, expected):
                continue
            damage = of(text)
            if damage is None and encoding in _WINDOWS_OF and _CONTROL_OF_LATIN_1.search(text):
                damage = Damage.CONTROLS
            if damage is not None:
                found.setdefault(damage, {}).setdefault(name, _Found(sample=text)).add(row, damage, text)
    told = {damage: _told(columns, looked_at) for damage, columns in found.items()}
    note = of_a_sample(looked_at, total_rows)
    return [_warning(damage, columns, encoding, note) for damage, columns in told.items() if columns]


def of(text: str) -> Damage | None:
    """Return the kind of damage of a cell's text, or ``None`` if it looks undamaged."""
    bare = text.strip(unseen.BLANKS)
    if _FORMULA_ERROR.fullmatch(bare) or _FORMULA_WITH_ERROR.match(bare):
        return Damage.FORMULA
    if _TOO_NARROW.fullmatch(bare):
        return Damage.TOO_NARROW
    if any(sign in bare for sign in _LOST):
        return Damage.LOST
    if _ONLY_MARKS.fullmatch(bare) or (_MARK_FOR_LETTER.search(bare) and not _ADDRESS.search(bare)):
        return Damage.QUESTION_MARKS
    if any(_decoded(run) for run in _FOREIGN_RUN.findall(text)) or _is_of_another_codec(text):
        return Damage.MOJIBAKE
    return Damage.CONTROLS if _CONTROL.search(text) else None


def is_certain(damage: Damage, text: str) -> bool:
    """Return whether a single cell with this text proves the damage, so that it is enough for a warning."""
    if damage is not Damage.MOJIBAKE:
        return damage not in _IN_DOUBT
    if _is_of_another_codec(text):
        return True
    decoded = [(run, read) for run in _FOREIGN_RUN.findall(text) if (read := _decoded(run))]
    return any(
        len(read) > 1
        or run.startswith(_CERTAIN_LEADS)
        or (run.startswith(_ACCENTED) and not _may_be_capitals(text, run))
        for run, read in decoded
    )


def _may_be_capitals(text: str, run: str) -> bool:
    """Return whether a run that begins with ``Ã`` may be the end of a Portuguese word in capitals."""
    if not text.isupper():
        return False
    follows = text.partition(run)[2][:1]
    return run[1] in _BEHIND_CAPITAL or (run[1] in _OPENING and not follows.isalpha())


def _is_of_another_codec(text: str) -> bool:
    """Return whether a text is certainly UTF-8 that was read in an encoding other than cp1252."""
    if _MARK_OF_UTF_8 in text:
        return True
    for codec, pattern in _IN_OTHER_CODECS:
        for run in pattern.findall(text):
            try:
                read = run.encode(codec).decode()
            except UnicodeError:
                continue
            if all(_is_usual(letter) or "\u0400" <= letter <= "\u04ff" for letter in read):
                return True
    return False


def _decoded(run: str) -> str | None:
    """Return the text of a run when its cp1252 bytes are read as UTF-8; ``None`` if that is not likely to be text."""
    raw = b"".join(_byte(letter) for letter in run)
    read = raw.decode(errors="replace") if len(raw) == len(run) else ""
    letters = read.replace("\ufffd", "")
    if len(letters) < FEWEST_READABLE * len(read):
        return None
    return letters if letters and _is_likely(letters) else None


def _byte(letter: str) -> bytes:
    """Return the byte of a character in cp1252; empty if it has none.

    Five bytes have no character in cp1252. Decoders leave them as control characters, which are turned back here.
    """
    try:
        return letter.encode("cp1252")
    except UnicodeEncodeError:
        return bytes([ord(letter)]) if 0x80 <= ord(letter) <= 0x9F else b""


def _is_likely(read: str) -> bool:
    """Return whether people write such text: Latin letters, typographic marks, emoji, or letters of a single script."""
    if all(_is_usual(letter) for letter in read):
        return True
    scripts = {unicodedata.name(letter, "?").split()[0] for letter in read if unicodedata.category(letter)[0] in "LM"}
    return len(read) > 1 and len(scripts) == 1 and "?" not in scripts


def _is_usual(letter: str) -> bool:
    return "\u00a0" <= letter <= "\u017f" or "\u2010" <= letter <= "\u2122" or letter >= "\U0001f000"


def _is_meant(name: str, text: str, rules: CellRules, expected: Mapping[str, Collection[str]]) -> bool:
    """Return whether the template or the job's ``value_map`` names such a cell, so that it is not damage."""
    as_read = text.strip(unseen.BLANKS) if rules.trim else text
    return as_read in rules.value_map.get(name, ()) or as_read in expected[name]


def _told(columns: Mapping[str, _Found], looked_at: int) -> dict[str, _Found]:
    """Return the columns with enough damaged cells for a warning."""
    return {
        name: cells
        for name, cells in columns.items()
        if cells.is_certain or len(cells.rows) >= max(_fewest(cells, looked_at), LEAST_SHARE * looked_at)
    }


def _fewest(cells: _Found, looked_at: int) -> int:
    return cells.fewest if looked_at * LEAST_SHARE < 1 else FEWEST_IN_DOUBT


def _warning(damage: Damage, columns: Mapping[str, _Found], encoding: str | None, note: str) -> Warning:
    each = ", ".join(_said(name, cells) for name, cells in columns.items())
    read_otherwise = damage is Damage.MOJIBAKE and encoding is not None
    suggested = "utf-8" if read_otherwise else _WINDOWS_OF.get(encoding or "") if damage is Damage.CONTROLS else None
    return Warning(
        code="damaged_text",
        message=f"Text looks damaged in {each}: {damage.value}."
        + (" Its encoding was named; it may be UTF-8 itself." if read_otherwise else "")
        + note,
        columns=tuple(columns),
        evidence={
            name: {
                "damage": damage.name.lower(), "cells": len(cells.rows), "rows": cells.rows[:MOST_ROWS_NAMED],
                "sample": cells.sample[:MOST_SAMPLE_CHARACTERS],
            }
            for name, cells in columns.items()
        },
        suggestion={"encoding": suggested} if suggested else None,
    )  # fmt: skip


def _said(name: str, cells: _Found) -> str:
    count = len(cells.rows)
    text = cells.sample if len(cells.sample) <= MOST_SAMPLE_CHARACTERS else cells.sample[:MOST_SAMPLE_CHARACTERS] + "…"
    return f"{count:,} {'cell' if count == 1 else 'cells'} of `{name}`, such as {text!r} in row {cells.rows[0]:,}"
