"""The batch of a chunk's valid rows, encoded and ready to be written: one row for each key."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import bson
import pyarrow as pa
import pyarrow.compute as pc

from collect.csv.reading import Lot
from collect.csv.validation import Valid
from collect.csv.wrong_cells import excerpt
from collect.errors import FieldError
from collect.jobs import restarts
from collect.jobs.outcomes import Reject
from collect.jobs.template import Template, row_id_prefix
from collect.rows import documents


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The rows of a chunk that win for their keys, in parallel lists: ``keys``, ``ids``, ``numbers`` and ``bodies``.

    ``others``: number and ``_id`` of each row that does not win within the chunk.

    ``packed``: the keys as an undo record stores them. They are packed when the batch is made, before the transaction
    opens, to keep that short.

    ``names``: the columns that the file has. ``lacking``: required columns that the file does not have. Such a file can
    change rows but not create them.

    ``keeps``: a blank cell keeps the stored value (:mod:`collect.rows.keeping`). Then the batch has every row, even
    several with the same key. ``incomplete``: place of a row → required columns in which it is blank.
    """

    keys: list[str]
    ids: list[str]
    packed: bytes
    numbers: pa.Array
    bodies: pa.Array
    others: list[tuple[int, str]]
    names: frozenset[str]
    lacking: tuple[str, ...]
    key: tuple[str, ...]
    prefix: str
    lot: Lot
    keeps: bool = False
    incomplete: Mapping[int, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def rows(self) -> list[int]:
        """The number of each row."""
        found: list[int] = self.numbers.to_pylist()
        return found

    def duplicate(self, document_id: str, first: int | None, by: str | None = None) -> FieldError:
        """Return the error of a row with the key of row ``first``, or (``None``) of a row stored before the job.

        ``by``: the job that wrote the stored row, if this job is a restart of it.
        """
        return FieldError(self.key[0], "duplicate_key", self.duplicate_message(document_id, first, by))

    def duplicate_message(self, document_id: str, first: int | None, by: str | None = None) -> str:
        key = f"{', '.join(self.key)} {excerpt(document_id.removeprefix(self.prefix))}"
        if first is None and by is not None:
            return f"{key} {restarts.written_by(by)}."
        if first is None:
            return f"{key} is there already."
        return f"{key} is that of row {first:,}; the first row of a file with a key counts."

    def only(self, keys: Collection[str]) -> Batch:
        """Return the batch without the documents of other keys."""
        places = [place for place, key in enumerate(self.keys) if key in keys]
        if len(places) == len(self.keys):
            return self
        taken, left = pa.array(places, pa.int64()), [self.keys[place] for place in places]
        return replace(
            self,
            keys=left,
            ids=[self.prefix + key for key in left],
            packed=pack_keys(left),
            numbers=self.numbers.take(taken),
            bodies=self.bodies.take(taken),
        )

    def and_also(self, other: Batch) -> Batch:
        """Return the batch with the documents of another one added. The two have no key in common."""
        keys = [*self.keys, *other.keys]
        return replace(
            self,
            keys=keys,
            ids=[*self.ids, *other.ids],
            packed=pack_keys(keys),
            numbers=pa.concat_arrays([self.numbers, other.numbers]),
            bodies=pa.concat_arrays([self.bodies, other.bodies]),
        )

    def reject(self, row: int, *errors: FieldError) -> Reject:
        return Reject(row=row, line=self.lot.line(row), errors=errors)


def make(
    valid: Valid, lot: Lot, *, org_id: str, dataset: str, template: Template, upsert: bool, keeps: bool = False
) -> Batch:
    """Return the batch of a lot: the row that wins for each key (insert: the first, upsert: the last), encoded.

    ``keeps``: a blank cell keeps the stored value. Then no row wins as a whole, and every row is encoded.
    """
    prefix = row_id_prefix(org_id=org_id, dataset=dataset)
    keys = _texts(valid.keys)
    numbers, columns, won = valid.rows, valid.columns, valid.keys
    others: list[tuple[int, str]] = []
    if not keeps and len(set(keys)) < len(keys):
        won_places, losers = winners(keys, last=upsert)
        others = [(numbers[place].as_py(), prefix + keys[place]) for place in losers]
        taken = pa.array(won_places, pa.int64())
        keys, won, numbers = [keys[place] for place in won_places], won.take(taken), numbers.take(taken)
        columns = _taken(columns, taken)
    return Batch(
        keys=keys,
        ids=[prefix + key for key in keys],
        packed=pack_keys(keys),
        numbers=numbers,
        bodies=documents.bodies(
            ids=pc.binary_join_element_wise(pa.scalar(prefix, won.type), won, ""),
            head={"org_id": org_id, "dataset": dataset}, columns=columns, rows=numbers, keeps=keeps,
        ),
        others=others,
        names=frozenset(columns),
        lacking=_lacking(columns, template),
        key=template.key,
        prefix=prefix,
        lot=lot,
        keeps=keeps,
        incomplete=_blank(columns, template) if keeps else {},
    )  # fmt: skip


def incomplete(valid: Valid, template: Template) -> dict[int, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return the rows that cannot create a document: place → required columns that are blank, and missing columns.

    A required column that the file does not have is missing for every row.
    """
    lacking = _lacking(valid.columns, template)
    blank = _blank(valid.columns, template)
    places = range(len(valid.rows)) if lacking else blank
    return {place: (blank.get(place, ()), lacking) for place in places}


def required(blank: Iterable[str], *, lacking: Iterable[str]) -> list[FieldError]:
    """Return the errors of a row that cannot create a document, since these required columns have no value."""
    return [
        *(
            FieldError(name, "required", f"{name} is required for a new row, and the file has no such column.")
            for name in lacking
        ),
        *(FieldError(name, "required", f"{name} is empty, and it is required for a new row.") for name in blank),
    ]


def _lacking(columns: Collection[str], template: Template) -> tuple[str, ...]:
    return tuple(name for name in template.names if name not in columns and template.is_required(name))


def _blank(columns: Mapping[str, pa.Array], template: Template) -> dict[int, tuple[str, ...]]:
    """Return place of a row → the required columns in which it is blank."""
    found: dict[int, tuple[str, ...]] = {}
    for name, column in columns.items():
        if column.null_count and template.is_required(name):
            for place in pc.indices_nonzero(pc.is_null(column)).to_pylist():
                found[place] = (*found.get(place, ()), name)
    return found


def encode(
    made: Sequence[tuple[str, Mapping[str, Any]]],
    lot: Lot,
    *,
    prefix: str,
    key: tuple[str, ...],
    names: Iterable[str],
    others: Sequence[tuple[int, str]] = (),
    keeps: bool = False,
) -> Batch:
    """Return the batch of documents that were made one by one. ``made``: the key of each, and the rest of the document.

    ``others``: the number and the key of each row that does not win within the chunk. ``keeps``: see :class:`Batch`.
    """
    keys = [key_of for key_of, _ in made]
    bodies = [bson.encode({"_id": prefix + key_of, **document})[4:-1] for key_of, document in made]
    return Batch(
        keys=keys,
        ids=[prefix + key for key in keys],
        packed=pack_keys(keys),
        numbers=pa.array([document["row"] for _, document in made], pa.int64()),
        bodies=pa.array(bodies, pa.binary()),
        others=[(row, prefix + key) for row, key in others],
        names=frozenset(names),
        lacking=(),
        key=key,
        prefix=prefix,
        lot=lot,
        keeps=keeps,
    )


def pack_keys(keys: Sequence[str]) -> bytes:
    """Return the keys compressed into bytes. :func:`unpack_keys` is the inverse."""
    return zlib.compress("\0".join(keys).encode(), 1) if keys else b""


def unpack_keys(packed: bytes) -> list[str]:
    """Return the keys that :func:`pack_keys` has packed."""
    return zlib.decompress(packed).decode().split("\0") if packed else []


def _texts(keys: pa.Array) -> list[str]:
    """Return the same as ``keys.to_pylist()``, in a twentieth of the time. No key may have a NUL."""
    if not len(keys):
        return []
    joined = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(keys)], pa.int32()), keys), "\0")
    texts: list[str] = joined[0].as_py().split("\0")
    return texts


def winners(keys: Sequence[str], *, last: bool) -> tuple[list[int], list[int]]:
    """Return the places of the first row of each key (or the ``last`` one), and all other places; both ascending."""
    places = range(len(keys)) if last else range(len(keys) - 1, -1, -1)
    chosen = {keys[place]: place for place in places}
    won = sorted(chosen.values())
    return won, sorted(set(range(len(keys))) - set(won))


def _taken(columns: Mapping[str, Any], places: pa.Array) -> dict[str, Any]:
    return {name: column.take(places) for name, column in columns.items()}
