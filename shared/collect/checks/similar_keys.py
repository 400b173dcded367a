"""The check for keys that differ only in upper and lower case, in blanks, or in how Unicode writes the same text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from collect.checks.warning import Warning
from collect.csv import unseen
from collect.csv.wrong_cells import excerpt

MOST_NAMED = 3
MOST_LISTED = 10


class Alike(NamedTuple):
    """A key of the file, and a similar one.

    ``like_row``: the earlier row that has the similar key, or ``None`` if that key is stored.
    """

    key: str
    row: int
    like: str
    like_row: int | None


def fold(key: str) -> str:
    """Return a text that is the same for all keys that are similar."""
    if key.isascii():
        return "".join(key.split()).casefold()
    return unseen.without(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", key).casefold()))


def spellings(key: str) -> set[str]:
    """Return usual other spellings of a key. They can be looked up where there are too many stored keys to read all."""
    bare = key.strip(unseen.BLANKS)
    plain = unicodedata.normalize("NFKC", bare)
    found = {
        spelling
        for text in (bare, plain, "".join(plain.split()), unicodedata.normalize("NFC", bare),
                     unicodedata.normalize("NFD", bare))
        for spelling in (text, text.upper(), text.lower(), text.title())
    }  # fmt: skip
    return {*found, f"{bare} ", f" {bare}"} - {key, ""}


def find(first_rows: Mapping[str, int], stored: Iterable[str]) -> list[Alike]:
    """Return the keys that are similar to another one, in the order of rows. ``first_rows``: key → its first row."""
    seen: dict[str, str] = {}
    there: dict[str, str] = {}
    exact: set[str] = set()
    for key in stored:
        there.setdefault(fold(key), key)
        if key in first_rows:
            exact.add(key)
    found = []
    for key, row in sorted(first_rows.items(), key=lambda item: item[1]):
        folded = fold(key)
        before = seen.setdefault(folded, key)
        if before != key:
            found.append(Alike(key, row, before, first_rows[before]))
        elif key not in exact and folded in there:
            found.append(Alike(key, row, there[folded], None))
    return found


def warnings(found: list[Alike], *, column: str, may_trim: bool, note: str = "") -> list[Warning]:
    """Return the warning about similar keys, if there are any.

    ``may_trim``: the job does not trim cells, but could, so the warning may suggest it. ``note``: a sentence that says
    how many rows the sample has, if it is not the whole file.
    """
    if not found:
        return []
    named = ", ".join(
        f"{excerpt(each.key)} in row {each.row:,} and {excerpt(each.like)} "
        + ("that is stored" if each.like_row is None else f"in row {each.like_row:,}")
        for each in found[:MOST_NAMED]
    )
    count = len(found)
    message = (
        f"{count:,} {'key differs' if count == 1 else 'keys differ'} from another one only in upper and lower case, in "
        f"blanks or in how the same characters are written, such as {named}. They count as different keys.{note}"
    )
    only_blanks = all(each.key.strip(unseen.BLANKS) == each.like.strip(unseen.BLANKS) for each in found)
    evidence: dict[str, Any] = {
        "alike": count,
        "keys": [
            {"key": each.key[:100], "row": each.row, "like": each.like[:100], "like_row": each.like_row}
            for each in found[:MOST_LISTED]
        ],
    }
    return [
        Warning(
            code="keys_alike",
            message=message,
            columns=(column,),
            evidence=evidence,
            suggestion={"trim": True} if may_trim and only_blanks else None,
        )
    ]
