"""The check for two columns of a file that are exchanged.

It uses the template (which cells a column takes) and the values that the dataset has stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from collect.checks import levels
from collect.checks.column_fit import Facet, Facets, FileColumn
from collect.checks.warning import Warning, percent

SURE = 4.0
"""Least surprise (-log10 of a chance) of a pair: two columns in their right places look exchanged less often."""
_CLEARLY = 1.0
_MOST_ODD = 60


@dataclass(frozen=True, kw_only=True)
class _Exchange:
    """Two columns that look exchanged.

    ``facets``: for each of the two, the strongest measure by which its cells belong to the other column.
    """

    one: FileColumn
    other: FileColumn
    facets: tuple[Facet | None, Facet | None]
    score: float


def find(
    columns: Sequence[FileColumn], *, stored: Mapping[str, Sequence[Any]], column_map: Mapping[str, str | None]
) -> list[Warning]:
    """Return the warnings about pairs of ``columns`` that look exchanged.

    ``stored``: column → stored values, as many as are at hand. ``column_map``: the parameter of the request; the
    suggestion is added to it. A pair looks exchanged when the cells of each fit the other column, and the cells of at
    least one do not fit their own. If a column could be exchanged with several others, nothing is suggested for it.
    """
    looked = Facets(columns, stored)
    clear, unclear = _settled(list(_exchanges(columns, looked)))
    if not clear and not unclear:
        found = levels.exchanged(columns)
        pairs = [(found, _of_levels(found))] if found else []
    else:
        pairs = [((each.one, each.other), _told(each)) for each in clear]
    corrected = dict(column_map)
    for (one, other), _ in pairs:
        corrected |= {one.header: other.name, other.header: one.name}
    warnings = [
        Warning(
            code="columns_swapped",
            message=message,
            columns=(one.name, other.name),
            evidence=evidence,
            suggestion={"column_map": corrected},
        )
        for (one, other), (message, evidence) in pairs
    ]
    return warnings + unclear


def _exchanges(columns: Sequence[FileColumn], looked: Facets) -> Iterator[_Exchange]:
    odd = [each for each in columns if looked.is_odd(each)]
    if len(odd) > _MOST_ODD:  # another file altogether, or another dataset
        return
    names = {each.name for each in odd}
    for one, other in combinations(columns, 2):
        if names.isdisjoint((one.name, other.name)):
            continue
        there, back = looked.of(one, other), looked.of(other, one)
        if any(facet.speaks_against for facet in (*there, *back)):
            continue
        exchange = _judged(one, other, there, back)
        if exchange is not None:
            yield exchange


def _judged(one: FileColumn, other: FileColumn, there: list[Facet], back: list[Facet]) -> _Exchange | None:
    best = tuple(max((f for f in way if f.is_shown), key=lambda f: f.surprise, default=None) for way in (there, back))
    score = sum(facet.surprise for way in (there, back) for facet in way if facet.is_shown)
    by_template = any(facet is not None and facet.kind in ("accepted", "distinct") for facet in best)
    if by_template:
        if any(facet is None and _is_at_home(way) for facet, way in zip(best, (there, back), strict=True)):
            return None
    elif None in best or sum(facet.surprise for facet in best if facet) < SURE:
        return None
    return _Exchange(one=one, other=other, facets=(best[0], best[1]), score=score)


def _is_at_home(way: Sequence[Facet]) -> bool:
    """Return whether the cells look like the stored values of their own column, so that they are in the right place."""
    return any(facet.kind in ("known", "form", "range", "beginning") and facet.own >= 0.9 for facet in way)


def _settled(found: list[_Exchange]) -> tuple[list[_Exchange], list[Warning]]:
    """Return the clear exchanges, and a warning for each unclear one.

    Each column is in one exchange at most: the one with the highest score. An exchange is unclear if another one with
    one of its columns has nearly the same score. Then the warning has no suggestion.
    """
    clear: list[_Exchange] = []
    unclear: list[Warning] = []
    done: set[str] = set()
    for each in sorted(found, key=lambda exchange: -exchange.score):
        names = {each.one.name, each.other.name}
        if not done.isdisjoint(names):
            continue
        done |= names
        rivals = [
            rival
            for rival in found
            if rival is not each
            and not names.isdisjoint((rival.one.name, rival.other.name))
            and rival.score > each.score - _CLEARLY
        ]
        if rivals:
            done |= {name for rival in rivals for name in (rival.one.name, rival.other.name)}
            unclear.append(_unclear(each, rivals))
        else:
            clear.append(each)
    return clear, unclear


def _unclear(each: _Exchange, rivals: Sequence[_Exchange]) -> Warning:
    names = list(dict.fromkeys(name for e in (each, *rivals) for name in (e.one.name, e.other.name)))
    listed = ", ".join(f"`{name}`" for name in names)
    return Warning(
        code="columns_swapped",
        message=f"Two of the columns {listed} look exchanged, and it is not clear which: {_clauses(each)}.",
        columns=tuple(names),
        evidence=_evidence(each),
    )


def _told(exchange: _Exchange) -> tuple[str, Mapping[str, Any]]:
    one, other = exchange.one.name, exchange.other.name
    return f"Columns `{one}` and `{other}` look exchanged: {_clauses(exchange)}.", _evidence(exchange)


def _clauses(exchange: _Exchange) -> str:
    ways = ((exchange.one, exchange.other), (exchange.other, exchange.one))
    clauses = [
        _clause(facet, cells.name, there.name)
        for facet, (cells, there) in zip(exchange.facets, ways, strict=True)
        if facet
    ]
    return ", and ".join(clauses)


def _clause(facet: Facet, cells: str, there: str) -> str:
    match facet.kind:
        case "known":
            return (
                f"{percent(facet.other)} of the values under `{cells}` are known in `{there}`, "
                f"{percent(facet.own)} in `{cells}`"
            )
        case "spread":
            return (
                f"the values under `{cells}` are spread as those stored in `{there}` ({percent(facet.other)} in "
                f"common), not as those in `{cells}` ({percent(facet.own)})"
            )
        case "range":
            return (
                f"{percent(facet.other)} of the values under `{cells}` are in the usual range of `{there}`, "
                f"{percent(facet.own)} in that of `{cells}`"
            )
        case "form" | "beginning":
            return (
                f"{percent(facet.other)} of the values under `{cells}` are written as those stored in `{there}`, "
                f"{percent(facet.own)} as those in `{cells}`"
            )
        case "distinct":
            return (
                f"`{cells}` is the key, and {percent(1 - facet.own)} of its cells are repeated, "
                f"of those under `{there}` none"
            )
    return (
        f"{percent(1 - facet.own)} of the cells under `{cells}` would be rejected, and {percent(facet.other)} of them "
        f"are right for `{there}`"
    )


def _evidence(exchange: _Exchange) -> dict[str, Any]:
    ways = ((exchange.one, exchange.other), (exchange.other, exchange.one))
    return {
        cells.name: {
            "by": facet.kind,
            "fit_their_column": round(facet.own, 3),
            "fit_the_other": round(facet.other, 3),
            "sampled_cells": sum(text != "" for text in cells.texts),
        }
        for facet, (cells, _) in zip(exchange.facets, ways, strict=True)
        if facet
    }


def _of_levels(found: tuple[FileColumn, FileColumn]) -> tuple[str, Mapping[str, Any]]:
    upper, lower = found
    inside = levels.counted(upper, lower)
    message = (
        f"Columns `{upper.name}` and `{lower.name}` look exchanged: there are {inside.upper:,} values under "
        f"`{upper.name}` and {inside.lower:,} under `{lower.name}`, and each of the former is in one of the latter."
    )
    return message, {
        upper.name: {"by": "levels", "values": inside.upper},
        lower.name: {"by": "levels", "values": inside.lower},
    }
