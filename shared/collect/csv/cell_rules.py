"""How the texts of cells become values, as a job's ``params`` ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from collect.csv import unseen


@dataclass(frozen=True, kw_only=True)
class CellRules:
    """How the texts of cells become values. The defaults change no text.

    ``trim``: drop blanks around each text. ``decimal``: the decimal mark of numbers, ``.`` or ``,``. ``date_formats``:
    ``strptime`` formats that dates and times may have beside ISO 8601. ``value_map``: column → text in the file → text
    that is read instead. ``formula_guarded``: take off the apostrophe that an export put before a text. ``not_finite``:
    ``nan``, ``inf`` and ``-inf`` are numbers, as exports write them; the first only where a column has no bounds.
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
    """Return a column's part of a ``value_map`` with its keys trimmed, as cells are before they are looked up in it.

    A key that is the trimmed one already counts before others.
    """
    return {**{bad.strip(unseen.BLANKS): good for bad, good in values.items()}, **_already_trimmed(values)}


def _already_trimmed(values: Mapping[str, str]) -> dict[str, str]:
    return {bad: good for bad, good in values.items() if bad == bad.strip(unseen.BLANKS)}
