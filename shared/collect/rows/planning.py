"""The plan of a file: its parts, which are ranges of whole records, each with the number of its first row."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from collect.csv import layout, realign
from collect.csv.blocks import Block, blocks
from collect.csv.files import Opened, open_file
from collect.csv.layout import Layout, Params
from collect.csv.reading import RULED, VERSION, Source, cursor
from collect.csv.sources import packed_member, stretch
from collect.errors import TaskRefused, TooNew
from collect.jobs.model import Job, Part
from collect.jobs.template import Template
from collect.runtime.task import PlannedPart
from collect.storage.object_store import Blobs

SMALLEST_PART_BYTES = 4 * 1024 * 1024
BIGGEST_PART_BYTES = 64 * 1024 * 1024
TAIL = 4
"""A part has at most one in so many of the bytes that are left, so the last parts are small and all slots end at about
the same time (guided self-scheduling, Polychronopoulos and Kuck, IEEE Transactions on Computers C-36, 1987). A part
also has at most as many bytes as stand before it, so the first parts are small and begin soon."""
BIGGEST_HASHED_BYTES = 64 * 1024 * 1024
"""Largest file whose SHA-256 is compared with what was sent. Of a bigger file only the size is compared, since the hash
would take longer than the plan."""
REWRITTEN_PART_BYTES = 16 * 1024 * 1024
"""Most bytes of text in a part that is rewritten. Such a part is kept in memory, compressed, until it is complete."""


def plan(blobs: Blobs, job: Job, *, template: Template, after: Part | None = None) -> Iterator[PlannedPart | None]:
    """Yield the parts of the job's file, in order, and ``None`` in between, at least once for each block that is read.

    ``after``: yield only the parts that follow this one. If the text is rewritten, or its hash is compared, the file is
    read again from its beginning. It blocks on the blob store.

    Raises:
        TaskRefused: the file is not a CSV, its columns are not those of the dataset, it ends within a quoted cell, it
            has no rows, or it is not the file that was sent.
    """
    if job.file is None:
        raise TaskRefused("The job has no file.", code="no_file")
    params = Params.of(job.params)
    hashed = job.file.bytes <= BIGGEST_HASHED_BYTES
    opened = open_file(blobs, job.file.blob, template=template, params=params, sent=job.file, hashed=hashed)
    found, errors = layout.arrange(opened.header, template, params, only_key=layout.is_upsert(job.params))
    if errors:
        raise layout.refuse(errors)
    if after is not None:
        arranged(after.source, template)
    own: dict[str, Any] = {"columns": list(found.columns), "template": template.fingerprint()}
    if found.unnamed:
        own["unnamed"] = found.unnamed
    if found.gaps:
        own["gaps"] = list(found.gaps)
    if found.gaps or layout.reads_by_rules(job.params):
        own["v"] = RULED
    is_empty = after is None
    for source, total in _sources(blobs, job.id, job.file.blob, opened, after):
        if source is None:
            yield None
            continue
        is_empty = False
        start = cursor(source.start, source.first_row, source.first_line)
        lacking = opened.lacking(source.first_row, source.first_row + total - 1)
        of_part = {**source.document(), **own, **({"lacking": realign.stored(lacking)} if lacking else {})}
        yield PlannedPart(source=of_part, cursor=start, total=total)
    if is_empty:
        raise layout.no_rows(opened.header)


def arranged(source: dict[str, Any], template: Template) -> Layout:
    """Return the layout of a part's records.

    Raises:
        TooNew: a newer release has planned the part.
        TaskRefused: the dataset's template was changed after the part was planned.
    """
    if source["v"] > VERSION:
        raise TooNew(f"The part is written in version {source['v']}; this release reads {VERSION}.")
    if source["template"] != template.fingerprint():
        raise TaskRefused(
            "The template of the dataset has changed since the file was read. Restart the job.", code="template_changed"
        )
    return Layout(
        delimiter=source["delimiter"],
        columns=tuple(source["columns"]),
        unnamed=source.get("unnamed", 0),
        gaps=tuple(source.get("gaps", ())),
        lacking=realign.read(source),
    )


@dataclass(frozen=True, kw_only=True)
class _Stretch:
    """The position of a block, without its bytes. ``blank``: how many of its lines are blank."""

    start: int
    end: int
    first_row: int
    rows: int
    first_line: int | None
    lines: int
    blank: int
    differs: bool

    @classmethod
    def of(cls, block: Block) -> _Stretch:
        return cls(
            start=block.offset,
            end=block.end,
            first_row=block.first_row,
            rows=block.rows,
            first_line=block.first_line,
            lines=block.lines,
            blank=block.blank,
            differs=block.differs,
        )


def _sources(
    blobs: Blobs, job_id: str, blob: str, opened: Opened, after: Part | None
) -> Iterator[tuple[Source | None, int]]:
    size: int | None = None
    writing: _Rewriting | None = None
    if opened.text.is_plain:
        size = blobs.size(blob)
    else:
        writing = _Rewriting(blobs=blobs, prefix=f"jobs/{job_id}/input-{secrets.token_hex(6)}")
    gathered: list[_Stretch] = []
    blanks = _Blanks(opened, is_resumed=after is not None)
    for block in _blocks(blobs, blob, opened, after):
        if block is not None and block.rows and gathered and _is_enough(gathered, size):
            yield _source(gathered, blob, opened, writing, blank_between=blanks.since())
            gathered = []
        if block is not None and not block.rows and not gathered:
            blanks.skip(block)
        elif block is not None:
            # A block of blank lines is kept if it follows others, so that the part's offsets match the text.
            gathered.append(_Stretch.of(block))
            if writing is not None:
                writing.add(block)
        yield None, 0
    if gathered:
        yield _source(gathered, blob, opened, writing, blank_between=blanks.since())


class _Blanks:
    """Counts the blank lines that are in no block of a part.

    These are the lines above the first row, and those that are left out before columns are shifted.
    """

    def __init__(self, opened: Opened, *, is_resumed: bool) -> None:
        self._opened = opened
        self._skipped = 0
        self._counted: int | None = None if is_resumed else 0

    def skip(self, block: Block) -> None:
        """Count the blank lines of a block that no part reads."""
        self._skipped += block.blank

    def since(self) -> int:
        """Return how many blank lines were counted since the last call.

        In a plan that is resumed, the first call leaves out those that the earlier parts have counted.
        """
        counted = self._opened.blank_rows if self._counted is None else self._counted
        found = self._skipped + self._opened.blank_rows - counted
        self._skipped, self._counted = 0, self._opened.blank_rows
        return found


def _is_enough(gathered: list[_Stretch], size: int | None) -> bool:
    return gathered[-1].end - gathered[0].start >= _wanted(gathered[0].start, size)


def _wanted(start: int, size: int | None) -> int:
    """Return how many bytes the part at ``start`` should have.

    ``size``: bytes of the text; ``None`` if it is rewritten, since its size is not known then.
    """
    most = REWRITTEN_PART_BYTES if size is None else min(BIGGEST_PART_BYTES, (size - start) // TAIL)
    return max(SMALLEST_PART_BYTES, min(start, most))


def _blocks(blobs: Blobs, blob: str, opened: Opened, after: Part | None) -> Iterator[Block | None]:
    """Return the blocks of the file's rows, or of the rows that follow a part."""
    if after is None:
        return opened.blocks()
    begin, size = Source.of(after.source), blobs.size(blob)
    pieces = opened.from_(begin.end)
    if opened.text.is_plain and size > BIGGEST_HASHED_BYTES:
        pieces = stretch(blobs, blob, start=begin.end, end=size)
    first_row = begin.first_row + after.total
    first_line = begin.first_line + begin.lines if begin.first_line and begin.lines else None
    return blocks(pieces, opened.grammar, offset=begin.end, first_row=first_row, first_line=first_line)


def _source(
    gathered: list[_Stretch], blob: str, opened: Opened, writing: _Rewriting | None, *, blank_between: int
) -> tuple[Source, int]:
    name, members = (blob, ()) if writing is None else writing.store()
    source = Source(
        blob=name,
        start=gathered[0].start,
        end=gathered[-1].end,
        first_row=gathered[0].first_row,
        delimiter=opened.header.delimiter,
        members=members,
        width=opened.grammar.width,
        every_line=opened.grammar.every_line,
        first_line=gathered[0].first_line,
        lines=sum(stretch.lines for stretch in gathered),
        blank_rows=sum(stretch.blank for stretch in gathered) + blank_between,
        differs=opened.header.unnamed > 0 or any(stretch.differs for stretch in gathered),
    )
    return source, sum(stretch.rows for stretch in gathered)


@dataclass(kw_only=True)
class _Rewriting:
    """Writes each part to a blob of its own, as gzip members that begin at records, so that each can be read by itself.

    The names of the blobs belong to this attempt alone, so another process may plan the same job at the same time.
    """

    blobs: Blobs
    prefix: str
    written: int = 0
    packed: list[bytes] = field(default_factory=list)
    members: list[tuple[int, int, int]] = field(default_factory=list)

    def add(self, block: Block) -> None:
        member = packed_member(block.data)
        at = sum(map(len, self.packed))
        self.packed.append(member)
        self.members.append((block.offset, at, len(member)))

    def store(self) -> tuple[str, tuple[tuple[int, int, int], ...]]:
        name = f"{self.prefix}-{self.written}"
        self.blobs.write(name, self.packed)
        members = tuple(self.members)
        self.written, self.packed, self.members = self.written + 1, [], []
        return name, members
