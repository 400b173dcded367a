"""The names of teams, in every script: how a name is stored, and which characters it may not have.

A name is checked by its grapheme clusters (Unicode UAX 29). A character that shows nothing may be in a cluster whose
look it changes, as joiners do in Indic scripts, Persian and emoji. Anywhere else it is refused, because two names that
look the same would be two teams. Marks that reorder text are refused everywhere.
"""

from __future__ import annotations

import unicodedata

import regex

from collect.csv import unseen
from collect.csv.wrong_cells import excerpt
from collect.teams.template import MOST_NAME_CHARACTERS

_CLUSTER = regex.compile(r"\X")
_RANGES = "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in unseen.RANGES)
_UNSEEN = regex.compile(rf"[{_RANGES}--[ ]]", regex.V1)
_OTHER_BLANK = regex.compile(r"(?<!\p{Mongolian})\u202f|[\p{Zs}--[ \u202f]]", regex.V1)
"""Blanks that are stored as a plain one. In Mongolian a narrow blank shapes the ending behind it, so it stays."""
_WITHOUT_BLANKS = r"[\p{Khmer}\p{Lao}\p{Thai}\p{Myanmar}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}]"
_WORD_BREAK = regex.compile(rf"(?<={_WITHOUT_BLANKS})\u200b+(?={_WITHOUT_BLANKS})")
"""A zero-width space, which keyboards put between words of scripts without blanks. It shows nothing and is left out."""
_CONTROLS = {"\t": "TAB", "\n": "LINE FEED", "\r": "CARRIAGE RETURN", "\0": "NULL"}
"""Names of control characters, which Unicode does not name."""
_REORDERS = regex.compile(r"[\u202a-\u202e\u2066-\u2069]")
_SHAPED = (
    r"[^\p{Latin}\p{Greek}\p{Cyrillic}\p{Armenian}\p{Georgian}\p{Hebrew}\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}"
    r"\p{Bopomofo}\p{Ethiopic}\p{Cherokee}\p{Common}\p{Inherited}]"
)
"""A letter of a script in which joiners change the shape of letters. Every script that is not named here counts as
such."""
_MARKS = r"[\p{M}--[\u034f\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]]*"
_PICTURE = r"\p{Extended_Pictographic}\p{Emoji_Modifier}?\ufe0f?[\U000e0020-\U000e007f]*"
_CHANGES_ITS_CLUSTER = regex.compile(
    "|".join(
        (
            rf"(?<={_SHAPED}{_MARKS})\u200d",
            rf"(?<={_SHAPED}{_MARKS})(?<![\p{{jt=D}}\p{{jt=L}}]{_MARKS})\u200c",
            rf"(?<=[\p{{jt=D}}\p{{jt=L}}]{_MARKS})\u200c(?=\S)",
            rf"(?<={_PICTURE})\u200d(?=\p{{Extended_Pictographic}})",
            r"(?<=\p{Emoji})[\ufe0e\ufe0f]",
            r"(?<=[\p{Han}\p{Myanmar}\p{Phags_Pa}\p{Sm}\p{So}\p{Po}])[\ufe00-\ufe0d]",
            r"(?<=\p{Han})[\U000e0100-\U000e01ef]",
            r"(?<=\U0001f3f4[\U000e0020-\U000e007e]*)[\U000e0020-\U000e007f]",
            r"(?<=\p{Mongolian})[\u180b-\u180f\u202f]",
            r"(?<=[\u1100-\u115e\ua960-\ua97c])\u1160|\u115f(?=[\u1161-\u11a7\ud7b0-\ud7c6])",
        )
    ),
    regex.V1,
)
"""A character that shows nothing, in a place where it changes what is beside it: joiners, variation selectors, tags of
flags, Mongolian selectors and separators, fillers of Korean syllables."""


def name_of(text: str) -> str:
    """Return a team's name as it is stored: composed characters, plain blanks, no blanks at its ends."""
    if text.isascii():
        return text.strip(unseen.BLANKS)
    name = unicodedata.normalize("NFC", text)
    return _WORD_BREAK.sub("", _OTHER_BLANK.sub(" ", name)).strip(unseen.BLANKS)


def what_is_wrong(name: str) -> str | None:
    """Return why a name, in its stored form, is not allowed for a team, as a sentence; ``None`` if it is allowed."""
    if len(name) > MOST_NAME_CHARACTERS:
        return f"team_name has more than {MOST_NAME_CHARACTERS} characters."
    if name.isascii() and name.isprintable():
        return None
    bad = _first_bad(name)
    if bad is None:
        return None
    letter = name[bad]
    called = f"U+{ord(letter):04X} {unicodedata.name(letter, _CONTROLS.get(letter, ''))}".strip()
    if letter in "\r\n\u2028\u2029\x0b\x0c\x85":
        why = "which breaks the line"
    elif _REORDERS.fullmatch(letter):
        why = "which reorders the text around it"
    else:
        why = "which shows nothing"
    return f"team_name {excerpt(name)} has {called} as character {bad + 1}, {why}. Remove it."


def _first_bad(name: str) -> int | None:
    """Return the place of the first character that is not allowed where it is; ``None`` if there is none."""
    for cluster in _CLUSTER.finditer(name):
        for found in _UNSEEN.finditer(name, *cluster.span()):
            at: int = found.start()
            if _REORDERS.match(name, at) or not _CHANGES_ITS_CLUSTER.match(name, at):
                return at
    return None
