"""The rows of a chunk that are valid, one for each key, ready to be written."""

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
    """``keys``, ``ids``, numbers and ``bodies`` of the rows that win within the chunk; ``others``: those that do not.

    ``packed``: the keys as an undo record holds them. Made here, since here no transaction is open.

    ``lacking``: required columns that the file does not have, so that it can change rows but not make any.

    ``keeps``: blank cells keep what is stored (:mod:`collect.rows.keeping`). There is an entry for each row then, also
    of a key that comes again; ``incomplete``: place → required columns in which its row is blank.
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
        """The error of a row whose key is that of row ``first``, or of a row that was there before the file.

        ``by``: the job that has written that, if it is one that this job restarts.
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
        """The same without documents of other keys."""
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
        """The same with the documents of another, which have other keys."""
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
    """Find the row that wins for each key within the chunk (insert: the first, upsert: the last) and encode them.

    ``keeps``: blank cells keep what is stored, so that no row wins as a whole; each is encoded.
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
    """Return place → required columns in which its row is blank, and those that the file lacks: it can make no row."""
    lacking = _lacking(valid.columns, template)
    blank = _blank(valid.columns, template)
    places = range(len(valid.rows)) if lacking else blank
    return {place: (blank.get(place, ()), lacking) for place in places}


def required(blank: Iterable[str], *, lacking: Iterable[str]) -> list[FieldError]:
    """Return the errors of a row that can make no document, since it has nothing in these required columns."""
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
    """Place → the required columns in which its row is blank."""
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
    """A batch of documents that were made one by one: the key of each, and the rest of the document.

    ``others``: the rows that do not win within the chunk, with the key of each. ``keeps``: see :class:`Batch`.
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
    """Keys in few bytes; :func:`unpack_keys` gives them back."""
    return zlib.compress("\0".join(keys).encode(), 1) if keys else b""


def unpack_keys(packed: bytes) -> list[str]:
    """What :func:`pack_keys` has packed."""
    return zlib.decompress(packed).decode().split("\0") if packed else []


def _texts(keys: pa.Array) -> list[str]:
    """The same as ``keys.to_pylist()``, in a twentieth of the time. No cell holds a NUL."""
    if not len(keys):
        return []
    joined = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(keys)], pa.int32()), keys), "\0")
    texts: list[str] = joined[0].as_py().split("\0")
    return texts


def winners(keys: Sequence[str], *, last: bool) -> tuple[list[int], list[int]]:
    """The places that hold the first (or the last) of each key, and all others; both ascending."""
    places = range(len(keys)) if last else range(len(keys) - 1, -1, -1)
    chosen = {keys[place]: place for place in places}
    won = sorted(chosen.values())
    return won, sorted(set(range(len(keys))) - set(won))


def _taken(columns: Mapping[str, Any], places: pa.Array) -> dict[str, Any]:
    return {name: column.take(places) for name, column in columns.items()}
