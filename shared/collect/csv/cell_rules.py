"""The rules by which the texts of cells become values, as a job's ``params`` set them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from collect.csv import unseen


@dataclass(frozen=True, kw_only=True)
class CellRules:
    """The rules by which the texts of cells become values. The defaults change no text.

    ``trim``: drop blanks around each text. ``decimal``: the decimal mark of numbers, ``.`` or ``,``. ``date_formats``:
    ``strptime`` formats for dates and times, beside ISO 8601. ``value_map``: column → text in the file → text that is
    read instead. ``formula_guarded``: drop the apostrophe that an export put before a text. ``not_finite``: ``nan``,
    ``inf`` and ``-inf`` are numbers, as exports write them; ``nan`` only in a column without bounds.
    """

    trim: bool = False
    decimal: str = "."
    date_formats: tuple[str, ...] = ()
    value_map: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    formula_guarded: bool = False
    not_finite: bool = False

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> CellRules:
        """Return the rules in a job's ``params``."""
        trim = bool(params.get("trim"))
        value_map = params.get("value_map") or {}
        return cls(
            trim=trim,
            decimal=params.get("decimal") or ".",
            date_formats=tuple(params.get("date_formats") or ()),
            value_map={name: trimmed_keys(values) for name, values in value_map.items()} if trim else value_map,
            formula_guarded=bool(params.get("formula_guarded")),
            not_finite=bool(params.get("not_finite")),
        )


def trimmed_keys(values: Mapping[str, str]) -> dict[str, str]:
    """Return a column's part of a ``value_map`` with its keys trimmed, because cells are trimmed before the lookup.

    If two keys become equal, the one that was trimmed already wins.
    """
    return {**{bad.strip(unseen.BLANKS): good for bad, good in values.items()}, **_already_trimmed(values)}


def _already_trimmed(values: Mapping[str, str]) -> dict[str, str]:
    return {bad: good for bad, good in values.items() if bad == bad.strip(unseen.BLANKS)}
