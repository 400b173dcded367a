"""Characters that show nothing, and texts that are made only of these.

This is the one definition for cells, keys and names of teams. It is Unicode's ``White_Space``,
``Default_Ignorable_Code_Point``, ``Cc`` and ``Cf``, without the signs before a number that are visible
(``Prepended_Concatenation_Mark``). Two more are included because fonts draw them as nothing: the blank braille pattern
and the null notehead. A test compares it with the properties in the package ``regex``.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

RANGES = (
    (0x0000, 0x0020), (0x007F, 0x00A0), (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160),
    (0x1680, 0x1680), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2000, 0x200F), (0x2028, 0x202F), (0x205F, 0x206F),
    (0x2800, 0x2800), (0x3000, 0x3000), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFFB), (0x13430, 0x1343F), (0x1BCA0, 0x1BCA3), (0x1D159, 0x1D159), (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)  # fmt: skip
"""First and last code point of each range, ascending."""

BLANKS = "".join(
    map(chr, (*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200C), 0x2028, 0x2029, 0x202F, 0x205F,
              0x2060, 0x3000, 0xFEFF))
)  # fmt: skip
"""Characters around a text that do not belong to it: Unicode's ``White_Space``, zero-width spaces, byte order marks.

Joiners are not included: one at the end of a word gives its last letter another shape (Malayalam).
"""

_FIRST_SEEN, _BEHIND_ASCII = "!", "\x7f"
_RE2 = r"\A[" + "".join(f"\\x{{{first:X}}}-\\x{{{last:X}}}" for first, last in RANGES) + r"]*\z"
_RE = re.compile("[" + "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in RANGES) + "]*")


def shows_nothing(text: str) -> bool:
    """Return whether ``text`` is empty or made only of characters that show nothing."""
    return _RE.fullmatch(text) is not None


def without(text: str) -> str:
    """Return the text without the characters that show nothing, blanks included."""
    return _RE.sub("", text)


def mask(texts: pa.Array) -> pa.Array | None:
    """Return which texts show nothing; ``None`` if all begin with a visible ASCII character.

    Nearly all columns do. For these it only compares first bytes, twice.
    """
    doubtful = pc.or_(pc.less(texts, _FIRST_SEEN), pc.greater_equal(texts, _BEHIND_ASCII))
    if not pc.any(doubtful).as_py():
        return None
    return pc.match_substring_regex(texts, pattern=_RE2)


def trimmed(texts: pa.Array) -> pa.Array:
    """Return the texts without :data:`BLANKS` at their ends."""
    return pc.utf8_trim(texts, characters=BLANKS)
