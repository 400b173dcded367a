"""Detection of a file's delimiter, and of the line that looks like its header."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from collect.csv.blocks import spoken
from collect.csv.grammar import BrokenRecord, Grammar
from collect.csv.layout import DELIMITERS, MAX_HEADER_BYTES, MOST_CHARACTERS, fitted, names_of, parse, shown
from collect.errors import TaskRefused

MOST_LINES_ABOVE = 20
"""Most lines above the header, such as a title, among which the header is searched for."""
MAX_BYTES_ABOVE = 64 * 1024
"""Most bytes of these lines together."""
MOST_ROWS = 100
"""Most rows of a file without a header by which its delimiter is detected."""
MAX_BYTES_OF_ROWS = 256 * 1024
"""Most bytes of these rows together."""
FEWEST_ROWS_OF_A_RIVAL = 2
"""Fewest rows that another delimiter must cut into equal numbers of cells to put the comma in doubt, if these are fewer
cells than there are columns."""


def by_names(head: bytes, *, known: frozenset[str], final: bool) -> str:
    """Return the delimiter that makes the most known names of the first record, then the most cells."""
    scores = {}
    for delimiter in DELIMITERS:
        try:
            cells = parse(first_record(head, Grammar(delimiter, strict=False), final=final), delimiter)
        except (BrokenRecord, TaskRefused):  # with this delimiter the quotes or line ends would be wrong
            continue
        scores[delimiter] = (sum(name in known for name in names_of(cells, known)), len(cells))
    return max(scores, key=lambda delimiter: scores[delimiter], default=DELIMITERS[0])


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """The number of cells in each of the first rows, with one delimiter. Empty cells at a row's end do not count."""

    counts: Sequence[int]
    width: int

    @property
    def fitting(self) -> int:
        """The number of rows with exactly one cell for each column."""
        return self.counts.count(self.width)

    @property
    def fits_all(self) -> bool:
        return 0 < len(self.counts) == self.fitting

    @property
    def fits_most(self) -> bool:
        return 2 * self.fitting > len(self.counts)

    @property
    def even(self) -> int:
        """The number of cells, if all rows have the same number; else 0."""
        return self.counts[0] if len(set(self.counts)) == 1 else 0


def by_width(
    head: bytes, *, width: int, final: bool, decimal: str = ".", may_be: Callable[[str], bool] | None = None
) -> str | None:
    """Return the delimiter that cuts the first rows of a file without a header into ``width`` cells each.

    ``decimal``: if it is a comma, the comma is the less likely delimiter. ``may_be``: returns whether a delimiter is
    possible for other reasons. ``None``: no delimiter fits, or there is only one column, so that any delimiter would
    fit.

    Raises:
        TaskRefused: two delimiters are possible, and they give different cells.
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

    Texts often hold commas, but seldom the other delimiters. So fewer cells than columns count against the comma only.
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
    """Return the first record of a file that begins with ``head``.

    ``grammar`` is lenient: it does not judge later rows.

    Raises:
        LoneCarriageReturn: the record has one.
        TaskRefused: the record does not end within ``head``.
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
    """Return the number of lines above the line that names the most known columns, with any delimiter.

    Only the first lines are searched. ``None``: none of them names a column, or the very first one names the most.
    """
    named = _named(head, known)
    best = max(range(len(named)), key=lambda place: named[place])
    return best if best and named[best] else None


def header_line(head: bytes, known: frozenset[str]) -> int | None:
    """Return the number, from 1, of the first line that names a known column.

    ``None``: none of the first lines does.
    """
    return next((number for number, names in enumerate(_named(head, known), start=1) if names), None)


def _named(head: bytes, known: frozenset[str]) -> list[int]:
    """Return how many known columns each of the first lines names, with the delimiter that gives the most of them."""
    lines = head[:MAX_BYTES_ABOVE].decode("utf-8", "replace").split("\n")[: MOST_LINES_ABOVE + 1]
    records = [line.removesuffix("\r").encode() for line in lines]
    return [
        max(len(known.intersection(names_of(parse(record, each), known))) for each in DELIMITERS) for record in records
    ]
