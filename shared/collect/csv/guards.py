"""Formula guards: apostrophes that exports put before texts that a spreadsheet would take for formulas."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

GUARDED = "^'+[=+\\-@\t\r]"
"""Pattern of a guarded text. Exports write no other text that matches it (``collect.exporting.cells``)."""


def taken_off(texts: pa.Array) -> pa.Array:
    """Return the texts without their guards: one apostrophe less for each guarded text."""
    guarded = pc.match_substring_regex(texts, GUARDED)
    if not pc.any(guarded).as_py():
        return texts
    return pc.if_else(guarded, pc.utf8_slice_codeunits(texts, 1), texts)


def typed(text: str) -> str:
    """Return how a guarded file has to write ``text``, which a person has typed, so that it is read unchanged."""
    return f"'{text}" if re.match(GUARDED, text) else text
