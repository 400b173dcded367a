"""Apostrophes that exports put before texts which a spreadsheet would take for formulas: seen, and taken off."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from collect.csv.suspicion import Suspicion

if TYPE_CHECKING:  # facets read cells, which take guards off
    from collect.csv.facets import FileColumn

GUARDED = "^'+[=+\\-@\t\r]"
"""What a guarded text looks like. Exports write no other text that looks so (``collect.exporting.cells``)."""
MOST_SHOWN = 5
_GUARDED = re.compile(GUARDED)


def taken_off(texts: pa.Array) -> pa.Array:
    """Return the texts without the apostrophe of each that is guarded."""
    guarded = pc.match_substring_regex(texts, GUARDED)
    if not pc.any(guarded).as_py():
        return texts
    return pc.if_else(guarded, pc.utf8_slice_codeunits(texts, 1), texts)


def find(sampled: Sequence[FileColumn]) -> list[Suspicion]:
    """Return a warning, if cells look as exports guard them: the apostrophes would be stored with the texts."""
    found = {column.column.name: [text for text in column.texts if _GUARDED.match(text)] for column in sampled}
    found = {name: texts for name, texts in found.items() if texts}
    if not found:
        return []
    count = sum(map(len, found.values()))
    message = (
        f"{count:,} of the cells that were looked at begin with an apostrophe and = + - @, as exports write texts that "
        "look like formulas. The apostrophe would be stored with them. If the file is an export, take it off."
    )
    evidence = {name: texts[:MOST_SHOWN] for name, texts in found.items()}
    suggestion = {"formula_guarded": True}
    return [
        Suspicion(code="guarded_text", message=message, columns=tuple(found), evidence=evidence, suggestion=suggestion)
    ]
