"""Apostrophes that exports put before texts which a spreadsheet would take for formulas: taken off."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

GUARDED = "^'+[=+\\-@\t\r]"
"""What a guarded text looks like. Exports write no other text that looks so (``collect.exporting.cells``)."""


def taken_off(texts: pa.Array) -> pa.Array:
    """Return the texts without the apostrophe of each that is guarded."""
    guarded = pc.match_substring_regex(texts, GUARDED)
    if not pc.any(guarded).as_py():
        return texts
    return pc.if_else(guarded, pc.utf8_slice_codeunits(texts, 1), texts)


def typed(text: str) -> str:
    """Return the text of a guarded file that is read as ``text``, which a person has typed."""
    return f"'{text}" if re.match(GUARDED, text) else text
