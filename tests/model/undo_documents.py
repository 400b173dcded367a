"""What becomes of one document that several writers touched, when one of them is taken back: two rules side by side.

By *revision*: each touch leaves its before-image, and undo restores it where the document still has the revision that
the touch gave it. By *first touch*: a job leaves a before-image only where the document does not carry its mark yet,
the mark is the ledger entry of that first touch, and undo restores it only where the mark still stands. Only the second
gives the same outcome whatever the order in which the entries are taken back.
"""

from collections.abc import Iterator
from itertools import permutations
from typing import NamedTuple

OURS = ("job.a", "job.b")
"""Two entries, of two parts of the job that is taken back."""
ANOTHER = "other.a"
PERSON = "person"


class Document(NamedTuple):
    """``writer``: who wrote it last; ``mark``: what undo compares; ``revision``: raised by each write."""

    writer: str
    mark: str
    revision: int


class Outcome(NamedTuple):
    by_revision: str | None
    by_first_touch: str | None
    ideal: str | None


def histories() -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Every order of up to four touches, and every order in which our entries are taken back."""
    for length in range(2, 5):
        for touches in permutations((*OURS, ANOTHER, PERSON), length):
            ours = [touch for touch in touches if touch in OURS]
            for order in permutations(ours):
                yield touches, order


def outcome(touches: tuple[str, ...], order: tuple[str, ...]) -> Outcome:
    """Who wrote the document that is left (``None``: there is none), by each rule, and as it ought to be."""
    return Outcome(
        by_revision=_left(touches, order, first_touch=False),
        by_first_touch=_left(touches, order, first_touch=True),
        ideal=_ideal(touches),
    )


def _left(touches: tuple[str, ...], order: tuple[str, ...], *, first_touch: bool) -> str | None:
    document: Document | None = None
    records: dict[str, tuple[Document | None, int]] = {}
    for revision, touch in enumerate(touches, 1):
        if touch == PERSON and document is None:
            continue  # a person edits what is there
        ours = first_touch and document is not None and document.mark.split(".")[0] == touch.split(".")[0]
        if not ours:
            records[touch] = (document, revision)
        document = Document(touch, document.mark if ours and document is not None else touch, revision)
    for entry in order:
        if entry not in records or document is None:
            continue
        before, revision = records[entry]
        stands = document.mark == entry if first_touch else (document.writer, document.revision) == (entry, revision)
        document = before if stands else document
    return None if document is None else document.writer


def _ideal(touches: tuple[str, ...]) -> str | None:
    """Our last touches in a row are taken back; what anybody else has written after us stays, as a conflict."""
    effective = [touch for at, touch in enumerate(touches) if touch != PERSON or at > 0]
    while effective and effective[-1] in OURS:
        effective.pop()
    return effective[-1] if effective else None
