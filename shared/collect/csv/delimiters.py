"""The delimiter of a file that does not name one, and the line of it that looks like the header."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from collect.csv.blocks import spoken
from collect.csv.grammar import BrokenRecord, Grammar
from collect.csv.layout import DELIMITERS, MAX_HEADER_BYTES, MOST_CHARACTERS, fitted, names_of, parse, shown
from collect.errors import TaskRefused

MOST_LINES_ABOVE = 20
"""Lines above the header, such as a title, among which the header is looked for."""
MAX_BYTES_ABOVE = 64 * 1024
"""Bytes of these lines together."""
MOST_ROWS = 100
"""First rows of a file without a header by which its delimiter is found."""
MAX_BYTES_OF_ROWS = 256 * 1024
"""Bytes of these rows together."""
FEWEST_ROWS_OF_A_RIVAL = 2
"""Rows that a delimiter must cut alike before it counts against the comma with fewer cells than there are columns."""


def by_names(head: bytes, *, known: frozenset[str], final: bool) -> str:
    """Return the delimiter that makes the most known names of the first record, then the most cells."""
    scores = {}
    for delimiter in DELIMITERS:
        try:
            cells = parse(first_record(head, Grammar(delimiter, strict=False), final=final), delimiter)
        except (BrokenRecord, TaskRefused):  # what another delimiter would put in quotes, or end
            continue
        scores[delimiter] = (sum(name in known for name in names_of(cells, known)), len(cells))
    return max(scores, key=lambda delimiter: scores[delimiter], default=DELIMITERS[0])


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """How many cells each of the first rows has with one delimiter. Empty cells behind the last column do not count."""

    counts: Sequence[int]
    width: int

    @property
    def fitting(self) -> int:
        """How many rows have exactly one cell for each column."""
        return self.counts.count(self.width)

    @property
    def fits_all(self) -> bool:
        return 0 < len(self.counts) == self.fitting

    @property
    def fits_most(self) -> bool:
        return 2 * self.fitting > len(self.counts)

    @property
    def even(self) -> int:
        """The number of cells that all rows have; 0 if they differ."""
        return self.counts[0] if len(set(self.counts)) == 1 else 0


def by_width(
    head: bytes, *, width: int, final: bool, decimal: str = ".", may_be: Callable[[str], bool] | None = None
) -> str | None:
    """Return the delimiter that cuts the first rows of a file without a header into ``width`` cells each.

    ``decimal``: a decimal comma counts against the comma. ``may_be``: leaves out delimiters that fit for other reasons.
    ``None``: no delimiter fits, or there is one column only, so that any delimiter would.

    Raises:
        TaskRefused: two delimiters may be meant, and each would give other cells.
    """
    if width < 2:
        return None
    cuts = {delimiter: _cut(head, delimiter, width=width, final=final) for delimiter in DELIMITERS}
    fitting = [each for each in DELIMITERS if cuts[each].fits_all and (may_be is None or may_be(each))]
    if not fitting:
        fitting = [each for each in DELIMITERS if cuts[each].fits_most and (may_be is None or may_be(each))]
    if decimal == "," and len(fitting) > 1 and "," in fitting:
        fitting.remove(",")
    if not fitting:
        return None
    rivals = [
        each
        for each, cut in cuts.items()
        if each not in fitting and each != decimal and _is_rival(cut, of=fitting[0], width=width)
    ]
    if len(fitting) + len(rivals) > 1:
        raise _in_doubt({each: cuts[each].even or width for each in (*fitting, *rivals)}, width)
    return fitting[0]


def _cut(head: bytes, delimiter: str, *, width: int, final: bool) -> _Cut:
    whole = final and len(head) <= MAX_BYTES_OF_ROWS
    try:
        records = Grammar(delimiter, strict=False).split(head[:MAX_BYTES_OF_ROWS], lines=MOST_ROWS, final=whole).lines
    except BrokenRecord:
        records = []
    return _Cut(counts=[len(fitted(parse(record, delimiter), width)) for record in records], width=width)


def _is_rival(cut: _Cut, *, of: str, width: int) -> bool:
    """Return whether all rows look as if they were written with this delimiter, for a dataset of another width.

    Texts often hold commas, and seldom the others. So fewer cells than columns count against the comma only.
    """
    if cut.even > width:
        return True
    return of == "," and cut.even > 1 and len(cut.counts) >= FEWEST_ROWS_OF_A_RIVAL


def _in_doubt(cells: dict[str, int], width: int) -> TaskRefused:
    ways = " or ".join(f"into {count:,} cells with {spoken(each)}" for each, count in cells.items())
    return TaskRefused(
        f"The file has no header, and its first rows can be cut {ways}; the dataset has {width:,} columns. Set "
        "delimiter to the one that stands between the cells.",
        code="unknown_delimiter", where="row 1",
    )  # fmt: skip


def first_record(head: bytes, grammar: Grammar, *, final: bool) -> bytes:
    """The first record of a file that begins with ``head``. ``grammar`` is lenient: what is a row below is not judged.

    Raises:
        LoneCarriageReturn: in it.
        TaskRefused: it does not end within ``head``.
    """
    lines = 1
    while True:
        records = grammar.split(head, lines=lines, final=final).lines
        if records:
            return records[0]
        if lines > head.count(b"\n"):
            begin = head[: 4 * (MOST_CHARACTERS + 1)].decode("utf-8", "replace")
            raise TaskRefused(
                f"The first line, which is to be the header, does not end within {MAX_HEADER_BYTES // 1024**2} MiB. "
                f"It begins with {shown(begin)}. Is a line end missing, or a quote not closed?",
                code="header_too_long", where="the header",
            )  # fmt: skip
        lines *= 16


def lines_above(head: bytes, known: frozenset[str]) -> int | None:
    """How many lines stand above the line that names the most known columns, with any delimiter.

    Only the first lines are looked at. ``None``: none of them names a column, or the very first does.
    """
    named = _named(head, known)
    best = max(range(len(named)), key=lambda place: named[place])
    return best if best and named[best] else None


def header_line(head: bytes, known: frozenset[str]) -> int | None:
    """The first of the first lines that names a known column, from 1; ``None`` if none does."""
    return next((number for number, names in enumerate(_named(head, known), start=1) if names), None)


def _named(head: bytes, known: frozenset[str]) -> list[int]:
    """How many known columns each of the first lines names, with the delimiter that makes the most of them."""
    lines = head[:MAX_BYTES_ABOVE].decode("utf-8", "replace").split("\n")[: MOST_LINES_ABOVE + 1]
    records = [line.removesuffix("\r").encode() for line in lines]
    return [
        max(len(known.intersection(names_of(parse(record, each), known))) for each in DELIMITERS) for record in records
    ]
