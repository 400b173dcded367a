"""The check for rows of a file that have the same key as an earlier row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from collect.checks.sampling import spread
from collect.checks.warning import Warning, of_a_sample
from collect.csv.reading import Lot
from collect.csv.validation import Valid
from collect.csv.wrong_cells import excerpt
from collect.errors import FieldError


class SampledKeys:
    """The keys of the valid rows in a preview's sample."""

    def __init__(self) -> None:
        self._first: dict[str, int] = {}
        self._again: list[tuple[str, int, int]] = []

    def look(self, lot: Lot, valid: Valid) -> Mapping[int, Sequence[FieldError]]:
        """Take the keys of a lot. Return no errors (see :data:`collect.checks.preview.Look`)."""
        self.add(valid.rows.to_pylist(), valid.keys.to_pylist())
        return {}

    def add(self, rows: Sequence[int], keys: Sequence[str]) -> None:
        """Take rows of the sample, each with its key."""
        for row, key in zip(rows, keys, strict=True):
            first = self._first.setdefault(key, row)
            if first != row:
                self._again.append((key, first, row))

    @property
    def first_rows(self) -> Mapping[str, int]:
        """Key → the first row that has it."""
        return self._first

    def some(self, most: int) -> list[str]:
        """Return at most ``most`` of the keys, spread evenly over the sample."""
        return list(spread(list(self._first), most))

    def repeated(self, *, upsert: bool, looked_at: int, total_rows: int | None) -> list[Warning]:
        """Return the warning about repeated keys, if there are any. It says what the job does with such rows.

        ``looked_at``: how many rows the sample has. ``total_rows``: how many rows the file has.
        """
        if not self._again:
            return []
        key, first, row = self._again[0]
        follows = "each row overwrites the one before it" if upsert else "all but the first are rejected"
        count = len(self._again)
        message = (
            f"{count:,} of {looked_at:,} rows {'has' if count == 1 else 'have'} a key that stands further "
            f"up, such as {excerpt(key)} in rows {first:,} and {row:,}: {follows}."
            f"{of_a_sample(looked_at, total_rows)}"
        )
        evidence = {"sampled_rows": looked_at, "repeated": count, "key": key[:100], "rows": [first, row]}
        return [Warning(code="duplicate_keys", message=message, evidence=evidence)]
