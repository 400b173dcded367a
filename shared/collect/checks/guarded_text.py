"""The check for cells with the apostrophe that exports put before formulas. It would be stored with the text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from collect.checks.column_fit import FileColumn
from collect.checks.warning import Warning
from collect.csv.guards import GUARDED

MOST_SHOWN = 5
_GUARDED = re.compile(GUARDED)


def find(sampled: Sequence[FileColumn]) -> list[Warning]:
    """Return a warning, if some cells have the apostrophe that exports put before formulas."""
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
        Warning(code="guarded_text", message=message, columns=tuple(found), evidence=evidence, suggestion=suggestion)
    ]
