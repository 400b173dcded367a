"""The template of a dataset: its columns, the values that their cells may have, and the columns of its key."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints, field_validator, model_validator

from collect.jobs.columns import MOST_PATTERN_CHARACTERS, Bound, ColumnName
from collect.jobs.columns import ColumnType as ColumnType

MOST_COLUMNS = 500
KEY_SEPARATOR = "|"
_ESCAPED = str.maketrans({"\\": "\\\\", KEY_SEPARATOR: "\\" + KEY_SEPARATOR})


NUMERIC = frozenset({ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.LATITUDE, ColumnType.LONGITUDE})
TEMPORAL = frozenset({ColumnType.DATE, ColumnType.DATETIME})
_NOT_FOR_KEYS = frozenset({ColumnType.NUMBER, ColumnType.LATITUDE, ColumnType.LONGITUDE, ColumnType.BOOLEAN})
_NATURAL_BOUNDS = {ColumnType.LATITUDE: (-90.0, 90.0), ColumnType.LONGITUDE: (-180.0, 180.0)}

DatasetName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$", max_length=100)]


class Column(BaseModel):
    """One column. ``minimum`` and ``maximum`` are inclusive: numbers, or ISO 8601 texts for dates and times."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ColumnName
    type: ColumnType
    required: StrictBool = False
    pattern: str | None = Field(default=None, max_length=MOST_PATTERN_CHARACTERS)
    minimum: Bound | None = None
    maximum: Bound | None = None
    values: tuple[str, ...] | None = None
    country: str | None = None
    null_values: tuple[str, ...] = ()

    @property
    def bounds(self) -> tuple[Any, Any]:
        """Return minimum and maximum as values of the column's type.

        For latitudes and longitudes, a missing bound is -90, 90, -180 or 180.
        """
        low, high = (self._bound(value) for value in (self.minimum, self.maximum))
        least, most = _NATURAL_BOUNDS.get(self.type, (None, None))
        return (least if low is None else low), (most if high is None else high)

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            _check_pattern(pattern)
        return pattern

    @field_validator("country")
    @classmethod
    def _is_known(cls, country: str | None) -> str | None:
        if country is not None:
            from phonenumbers import SUPPORTED_REGIONS

            if country not in SUPPORTED_REGIONS:
                raise ValueError(f"{country!r} is no country code; it has two capital letters, as in 'IN'")
        return country

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        self._check_values()
        if self.pattern is not None and self.type not in (ColumnType.STRING, ColumnType.PHONE):
            raise ValueError(f"{self.name}: only strings and phones may have a pattern")
        if self.country is not None and self.type is not ColumnType.PHONE:
            raise ValueError(f"{self.name}: only phones have a country")
        self._check_range()
        return self

    def _check_values(self) -> None:
        if (self.type is ColumnType.ENUM) != bool(self.values):
            raise ValueError(f"{self.name}: columns of type enum, and only they, list their values")
        if self.values and (len(set(self.values)) != len(self.values) or "" in self.values):
            raise ValueError(f"{self.name}: values are distinct and not empty")

    def _check_range(self) -> None:
        if self.minimum is None and self.maximum is None:
            return
        if self.type not in NUMERIC | TEMPORAL:
            raise ValueError(f"{self.name}: only numbers, coordinates, dates and times have a minimum or maximum")
        low, high = self.bounds
        if low is not None and high is not None and low > high:
            raise ValueError(f"{self.name}: the minimum is above the maximum")
        least, most = _NATURAL_BOUNDS.get(self.type, (-math.inf, math.inf))
        if self.type in NUMERIC and not (low is None or low >= least) & (high is None or high <= most):
            raise ValueError(f"{self.name}: a {self.type} is between {least:g} and {most:g}")

    def _bound(self, value: Bound | None) -> Any:
        if value is None:
            return None
        if self.type in TEMPORAL:
            if not isinstance(value, str):
                raise ValueError(f"{self.name}: the range of a {self.type} is given as an ISO 8601 text")
            return _moment(value, name=self.name)
        if isinstance(value, str) or not math.isfinite(value):
            raise ValueError(f"{self.name}: the range of a {self.type} is given in finite numbers")
        if self.type is ColumnType.INTEGER and not (value == int(value) and -(2**63) <= value < 2**63):
            raise ValueError(f"{self.name}: the range of an integer is given in whole numbers of 64 bits")
        return value


class Template(BaseModel):
    """The columns of a dataset and its key. A column of the key is required, whether it says so or not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: tuple[ColumnName, ...] = Field(min_length=1)
    columns: tuple[Column, ...] = Field(min_length=1, max_length=MOST_COLUMNS)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        names = [column.name for column in self.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"columns stand twice: {', '.join(twice)}")
        if len(set(self.key)) != len(self.key):
            raise ValueError("the key names a column twice")
        for name in self.key:
            self._check_key(name, names)
        return self

    def _check_key(self, name: str, names: list[str]) -> None:
        if name not in names:
            raise ValueError(f"the key names {name!r}, which is no column")
        column = self.columns[names.index(name)]
        if column.type in _NOT_FOR_KEYS:
            raise ValueError(f"{name}: a {column.type} cannot be part of the key")
        if "required" in column.model_fields_set and not column.required:
            raise ValueError(f"{name}: a column of the key is required")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """Return the column of that name.

        Raises:
            KeyError: there is no such column.
        """
        return next(column for column in self.columns if column.name == name) if name in self.names else _no(name)

    def is_required(self, name: str) -> bool:
        """Return whether every row must have a value in this column."""
        return name in self.key or self.column(name).required

    @property
    def explicit(self) -> Template:
        """Return a copy of the template in which the columns of the key are marked as required."""
        columns = (
            column.model_copy(update={"required": True}) if column.name in self.key else column
            for column in self.columns
        )
        return self.model_copy(update={"columns": tuple(columns)})

    def fingerprint(self) -> str:
        """Return a short hash. It is the same for two templates only if their keys and columns mean the same."""
        return hashlib.sha256(self.explicit.model_dump_json().encode()).hexdigest()[:16]


def key_text(parts: Sequence[str]) -> str:
    """Return the key of a row as one text.

    The value of a single key column is used unchanged. Several values are escaped and joined.
    """
    if len(parts) == 1:
        return parts[0]
    return KEY_SEPARATOR.join(part.translate(_ESCAPED) for part in parts)


def row_id(*, org_id: str, dataset: str, key: str) -> str:
    """Return the ``_id`` of the row with this key."""
    return f"{row_id_prefix(org_id=org_id, dataset=dataset)}{key}"


def row_id_prefix(*, org_id: str, dataset: str) -> str:
    """Return the text with which the ``_id`` of every row of the dataset begins."""
    return f"{org_id}{KEY_SEPARATOR}{dataset}{KEY_SEPARATOR}"


def _no(name: str) -> Column:
    raise KeyError(name)


def _moment(text: str, *, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text) if "T" in text else None
        day = date.fromisoformat(text) if moment is None else moment.date()
    except ValueError:
        raise ValueError(f"{name}: {text!r} is no date or time of ISO 8601") from None
    if moment is None:
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    if moment.tzinfo is None:
        raise ValueError(f"{name}: {text!r} has no time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{name}: {text!r} lies outside the calendar") from None


def _check_pattern(pattern: str) -> None:
    """Raise if RE2 refuses the pattern.

    Patterns run in RE2, since it needs time only in proportion to the text, for every pattern.
    """
    import pyarrow
    from pyarrow import compute

    try:
        compute.match_substring_regex(pyarrow.array([""]), pattern=pattern)
    except pyarrow.ArrowInvalid as error:
        raise ValueError(
            f"the pattern is refused: {error} (look-around and back-references are not supported)"
        ) from None
