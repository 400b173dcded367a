"""Rows of a file that have the key of another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from collect.checks.warning import Warning
from collect.csv.reading import Lot
from collect.csv.validation import Valid
from collect.csv.wrong_cells import excerpt
from collect.errors import FieldError


class SampledKeys:
    """The keys of the rows that a preview is shown, as far as these are valid."""

    def __init__(self) -> None:
        self._first: dict[str, int] = {}
        self._sampled = 0
        self._again: list[tuple[str, int, int]] = []

    def look(self, lot: Lot, valid: Valid) -> Mapping[int, Sequence[FieldError]]:
        """See :data:`collect.checks.preview.Look`. Finds nothing wrong."""
        self.add(valid.rows.to_pylist(), valid.keys.to_pylist())
        return {}

    def add(self, rows: Sequence[int], keys: Sequence[str]) -> None:
        """Rows of the sample, each with its key."""
        for row, key in zip(rows, keys, strict=True):
            first = self._first.setdefault(key, row)
            if first != row:
                self._again.append((key, first, row))
        self._sampled += len(rows)

    @property
    def first_rows(self) -> Mapping[str, int]:
        """Each key, and the first row that has it."""
        return self._first

    def some(self, most: int) -> list[str]:
        """About ``most`` of the keys, from all over the sample."""
        keys = list(self._first)
        return keys[:: max(1, len(keys) // most)][:most]

    def repeated(self, *, upsert: bool) -> list[Warning]:
        """That keys come again, and what becomes of such rows."""
        if not self._again:
            return []
        key, first, row = self._again[0]
        follows = "each row overwrites the one before it" if upsert else "all but the first are rejected"
        count = len(self._again)
        message = (
            f"{count:,} of {self._sampled:,} sampled rows {'has' if count == 1 else 'have'} a key that stands further "
            f"up, such as {excerpt(key)} in rows {first:,} and {row:,}: {follows}."
        )
        evidence = {"sampled_rows": self._sampled, "repeated": count, "key": key[:100], "rows": [first, row]}
        return [Warning(code="duplicate_keys", message=message, evidence=evidence)]
