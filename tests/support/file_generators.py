"""Made-up files beside what is stored: good ones, and ones with a known mistake. Always the same for a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from collect.checks.column_fit import FileColumn
from collect.demo import places
from collect.jobs.template import Template

Cell = Callable[[random.Random, int, bool], str]
"""A cell of row n, of those that are stored or of a new file (True)."""

FEWEST_FOR_STORED = 50
FEWEST_ROWS = 40


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A column as somebody would have it. ``words``, ``span`` and ``written`` say what its cells are, in any row."""

    column: dict[str, Any]
    cell: Cell
    words: frozenset[str] = frozenset()
    span: tuple[float, float] | None = None
    written: str = ""
    fill: float = 1.0

    @property
    def name(self) -> str:
        return str(self.column["name"])

    @property
    def type(self) -> str:
        return str(self.column["type"])


@dataclass(frozen=True, kw_only=True)
class File:
    """A file in a dataset: its template, its columns' cells, and the values that are stored already."""

    template: Template
    cells: Mapping[str, list[str]]
    stored: Mapping[str, list[Any]]
    kinds: tuple[Kind, ...]
    swapped: tuple[str, str] | None = None

    @property
    def columns(self) -> list[FileColumn]:
        return [
            FileColumn(header=name, column=self.template.column(name), texts=texts, is_key=name == "id")
            for name, texts in self.cells.items()
        ]


# --- columns ---------------------------------------------------------------------------------------------------------


def _code(rng: random.Random, name: str) -> Kind:
    prefix = rng.choice(("R", "H", "HH-", "TX", "Q/", "", "9"))
    width = rng.choice((4, 6, 8, 10))
    first = rng.randrange(1, 10 ** (width - 1))
    column: dict[str, Any] = {"name": name, "type": "string"}
    if rng.random() < 0.4:
        column["pattern"] = f"{prefix}[0-9]{{{width}}}"
    return Kind(
        column=column,
        cell=lambda _, n, new: f"{prefix}{(first + n + (50_000 if new else 0)) % 10**width:0{width}d}",
        written=f"{prefix}9{width}",
    )


def _first_name(rng: random.Random, name: str) -> Kind:
    pool = [given for names in places.GIVEN_NAMES.values() for given in names]
    return _words(name, pool, share_new=0.05)


def _last_name(rng: random.Random, name: str) -> Kind:
    return _words(name, list(places.FAMILY_NAMES), share_new=0.05)


def _full_name(rng: random.Random, name: str) -> Kind:
    given = [one for names in places.GIVEN_NAMES.values() for one in names]
    return Kind(
        column={"name": name, "type": "string"},
        cell=lambda r, n, new: f"{r.choice(given)} {r.choice(places.FAMILY_NAMES)}",
        written="Aa Aa",
    )


def _words(name: str, pool: Sequence[str], *, share_new: float, kind: str = "string") -> Kind:
    fresh = [f"{word[:3]}{ending}" for word in pool for ending in ("abad", "pura")]

    def cell(rng: random.Random, n: int, new: bool) -> str:
        return rng.choice(fresh) if new and rng.random() < share_new else rng.choice(pool)

    column: dict[str, Any] = {"name": name, "type": kind}
    if kind == "enum":
        column["values"] = list(pool)
    return Kind(column=column, cell=cell, words=frozenset(pool))


def _district(rng: random.Random, name: str) -> Kind:
    return _words(name, [place.name for place in places.DISTRICTS], share_new=rng.choice((0, 0, 0.2, 0.5)))


def _block(rng: random.Random, name: str) -> Kind:
    pool = sorted({block for place in places.DISTRICTS for block in place.blocks})
    return _words(name, pool, share_new=rng.choice((0, 0, 0.2, 0.5)))


def _village(rng: random.Random, name: str) -> Kind:
    stems = rng.sample(places.VILLAGE_STEMS, 12)
    pool = [stem + ending for stem in stems for ending in places.VILLAGE_ENDINGS]
    return _words(name, pool, share_new=rng.choice((0, 0.1, 0.3)))


_CATEGORIES = (
    ("complete", "partial", "absent", "refused"),
    ("own", "rent", "other"),
    ("mud", "brick", "concrete", "thatch", "tin"),
    ("Hindi", "Odia", "Telugu", "Kannada", "Marathi", "Assamese"),
    ("primary", "middle", "secondary", "graduate", "none"),
    ("A", "B", "C"),
)


def _category(rng: random.Random, name: str) -> Kind:
    return _words(name, rng.choice(_CATEGORIES), share_new=0.0)


def _enum(rng: random.Random, name: str) -> Kind:
    pool = rng.choice((*_CATEGORIES, ("M", "F", "O"), ("yes", "no", "unknown"), ("yes", "no", "unknown")))
    return _words(name, pool, share_new=0.0, kind="enum")


def _integer(rng: random.Random, name: str) -> Kind:
    low = rng.choice((0, 1, 5, 18, 100, 1_000, 50_000))
    width = rng.choice((5, 10, 80, 500, 10_000))
    column: dict[str, Any] = {"name": name, "type": "integer"}
    if rng.random() < 0.4:
        column |= {"minimum": low, "maximum": low + width}
    power = rng.choice((1.0, 1.0, 1.6))
    return Kind(
        column=column,
        cell=lambda r, n, new: str(low + int(width * r.random() ** power)),
        span=(low, low + width),
        written="digits",
    )


def _number(rng: random.Random, name: str) -> Kind:
    middle = rng.choice((2.5, 60.0, 165.0, 900.0))
    deviation = middle * rng.choice((0.05, 0.1))
    column: dict[str, Any] = {"name": name, "type": "number"}
    if rng.random() < 0.4:
        column |= {"minimum": middle * 0.2, "maximum": middle * 1.8}
    return Kind(
        column=column,
        cell=lambda r, n, new: f"{min(max(r.gauss(middle, deviation), 0.21 * middle), 1.79 * middle):.2f}",
        span=(middle - 3 * deviation, middle + 3 * deviation),
        written="decimal",
    )


def _date(rng: random.Random, name: str) -> Kind:
    first = date(2016, 1, 1) + timedelta(days=rng.choice((0, 90, 400)))
    return Kind(
        column={"name": name, "type": "date"},
        cell=lambda r, n, new: (first + timedelta(days=r.randrange(90) + (120 if new else 0))).isoformat(),
        written="date",
    )


def _birth_date(rng: random.Random, name: str) -> Kind:
    first = date(1940, 1, 1)
    return Kind(
        column={"name": name, "type": "date"},
        cell=lambda r, n, new: (first + timedelta(days=r.randrange(22_000))).isoformat(),
        span=(-30 * 365.25, 30 * 365.25),
        written="date",
    )


def _moment(rng: random.Random, name: str) -> Kind:
    first = datetime(2017, 4, 3, 6, tzinfo=UTC)
    return Kind(
        column={"name": name, "type": "datetime"},
        cell=lambda r, n, new: (first + timedelta(minutes=r.randrange(100_000) + (200_000 if new else 0))).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        ),
        written="datetime",
    )


def _boolean(rng: random.Random, name: str) -> Kind:
    share = rng.choice((0.1, 0.5, 0.9))
    return Kind(
        column={"name": name, "type": "boolean"}, cell=lambda r, n, new: "yes" if r.random() < share else "no",
        words=frozenset({"yes", "no"}),
    )  # fmt: skip


def _phone(rng: random.Random, name: str) -> Kind:
    return Kind(
        column={"name": name, "type": "phone", "country": "IN"},
        cell=lambda r, n, new: f"+91{9_000_000_000 + r.randrange(10**9)}",
        written="phone",
    )


def _team_phone(rng: random.Random, name: str) -> Kind:
    pool = [f"+91{9_431_000_000 + 1_000 * team + n}" for team in range(18) for n in range(6)]
    return replace(_words(name, pool, share_new=0.0), column={"name": name, "type": "phone", "country": "IN"})


def _latitude(rng: random.Random, name: str) -> Kind:
    return _coordinate(rng, name, "latitude", 14.0, 28.0)


def _longitude(rng: random.Random, name: str) -> Kind:
    return _coordinate(rng, name, "longitude", 71.0, 90.0)


def _coordinate(rng: random.Random, name: str, kind: str, low: float, high: float) -> Kind:
    column: dict[str, Any] = {"name": name, "type": kind}
    if rng.random() < 0.5:
        column |= {"minimum": 6, "maximum": 38} if kind == "latitude" else {"minimum": 68, "maximum": 98}
    one_place = rng.random() < 0.3  # the new file is from one village
    middle = rng.uniform(low, high)
    return Kind(
        column=column,
        cell=lambda r, n, new: f"{middle + r.gauss(0, 0.02) if new and one_place else r.uniform(low, high):.6f}",
        span=(low, high),
        written="decimal",
    )


def _house(rng: random.Random, name: str) -> Kind:
    return Kind(
        column={"name": name, "type": "string"}, cell=lambda r, n, new: str(r.randrange(1, 400)), written="digits"
    )


def _pin(rng: random.Random, name: str) -> Kind:
    return Kind(
        column={"name": name, "type": "string"},
        cell=lambda r, n, new: str(r.randrange(110_000, 860_000)),
        written="9{6}",
    )


def _remark(rng: random.Random, name: str) -> Kind:
    words = ("visited", "again", "door", "locked", "member", "travelling", "later", "neighbour", "says", "ok", "moved")
    return Kind(
        column={"name": name, "type": "string"},
        cell=lambda r, n, new: " ".join(r.choices(words, k=r.randrange(2, 7))),
        written="sentence",
    )


_MAKERS: tuple[tuple[str, Callable[[random.Random, str], Kind]], ...] = (
    ("household_code", _code), ("form_code", _code), ("card_number", _code), ("first_name", _first_name),
    ("last_name", _last_name), ("respondent_name", _full_name), ("head_name", _full_name), ("district", _district),
    ("block", _block), ("village", _village), ("birth_village", _village), ("status", _category), ("roof", _category),
    ("language", _category), ("gender", _enum), ("owns_land", _enum), ("owns_cattle", _enum), ("age", _integer),
    ("rooms", _integer), ("income", _integer), ("members", _integer), ("weight", _number), ("height", _number),
    ("start_date", _date), ("end_date", _date), ("born_on", _birth_date), ("submitted_at", _moment),
    ("started_at", _moment), ("has_phone", _boolean), ("has_toilet", _boolean), ("phone_number", _phone),
    ("other_phone", _phone), ("collector_phone", _team_phone), ("latitude", _latitude), ("longitude", _longitude),
    ("house_no", _house), ("pin_code", _pin), ("remark", _remark),
)  # fmt: skip


# --- files -----------------------------------------------------------------------------------------------------------


def good(seed: int) -> File:
    """A file as it should be, of any size, in a dataset with any template and any number of rows."""
    rng = random.Random(f"good:{seed}")
    kinds = _kinds(rng)
    rows = rng.choice((1, 2, 3, 5, 8, 12, 30, 100, 400, 1_000))
    stored = rng.choice((0, 0, 1, 5, 12, 40, 200, 1_000))
    return _file(rng, kinds, rows=rows, stored=stored)


def swapped(seed: int) -> File:
    """The same with two columns exchanged that differ in type, pattern, range or what is stored in them."""
    rng = random.Random(f"swapped:{seed}")
    while True:
        kinds = _kinds(rng)
        stored = rng.choice((0, FEWEST_FOR_STORED, 200, 1_000))
        pairs = [
            (one, other)
            for place, one in enumerate(kinds)
            for other in kinds[place + 1 :]
            if min(one.fill, other.fill) >= 0.9 and differ(one, other, stored=stored)
        ]
        if pairs:
            break
    one, other = rng.choice(pairs)
    file = _file(rng, kinds, rows=rng.choice((FEWEST_ROWS, 100, 400, 1_000)), stored=stored)
    cells = dict(file.cells)
    cells[one.name], cells[other.name] = cells[other.name], cells[one.name]
    return replace(file, cells=cells, swapped=(one.name, other.name))


def differ(one: Kind, other: Kind, *, stored: int) -> bool:
    """Whether anything tells the cells of the two apart: their types, patterns and ranges, or what is stored."""
    return (
        _by_template(one, other)
        or _by_template(other, one)
        or (stored >= FEWEST_FOR_STORED and _by_content(one, other))
    )


def _by_template(cells: Kind, column: Kind) -> bool:
    """Whether most of ``cells`` are refused by the other one's column."""
    if "pattern" in column.column:
        return cells.written != column.written
    if column.type == "enum":
        return not cells.words & column.words
    if column.type in ("integer", "number", "latitude", "longitude"):
        if cells.span is None or cells.written not in ("digits", "decimal"):
            return cells.written != "digits"
        if cells.written == "decimal" and column.type == "integer":
            return True
        low, high = column.column.get("minimum"), column.column.get("maximum")
        return low is not None and high is not None and (cells.span[1] < low or cells.span[0] > high)
    if column.type == "phone":
        return cells.type != "phone"
    if column.type in ("date", "datetime"):
        return cells.written != column.written
    return column.type == "boolean" and cells.type != "boolean" and not cells.words & column.words


def _by_content(one: Kind, other: Kind) -> bool:
    """Whether what is stored in the two columns has nothing in common, neither values nor how they are written."""
    if one.words and other.words:
        return not one.words & other.words and min(len(one.words), len(other.words)) >= 3
    if one.span and other.span:
        return one.span[1] < other.span[0] or other.span[1] < one.span[0]
    return bool(one.written and other.written) and one.written != other.written and one.type == other.type


def _kinds(rng: random.Random) -> list[Kind]:
    made = [make(rng, name) for name, make in rng.sample(_MAKERS, rng.randrange(2, 17))]
    return [_code(rng, "id"), *(replace(kind, fill=rng.choice((1, 1, 1, 0.95, 0.3, 0.03))) for kind in made)]


def _file(rng: random.Random, kinds: Sequence[Kind], *, rows: int, stored: int) -> File:
    template = Template.model_validate({"key": ["id"], "columns": [kind.column for kind in kinds]})
    cells = {kind.name: _cells(rng, kind, rows, new=True) for kind in kinds}
    if rng.random() < 0.5:
        _break(rng, kinds, cells, rows)
    there = {kind.name: _typed(kind, _cells(rng, kind, stored, new=False)) for kind in kinds}
    return File(template=template, cells=cells, stored=there, kinds=tuple(kinds))


def _cells(rng: random.Random, kind: Kind, rows: int, *, new: bool) -> list[str]:
    return [kind.cell(rng, n, new) if kind.fill == 1 or rng.random() < kind.fill else "" for n in range(rows)]


def _break(rng: random.Random, kinds: Sequence[Kind], cells: Mapping[str, list[str]], rows: int) -> None:
    """Mistakes as people make them, in a few rows."""
    for kind in rng.sample(list(kinds), min(3, len(kinds))):
        for _ in range(int(rows * 0.02)):
            cells[kind.name][rng.randrange(rows)] = rng.choice(("?", "n/a", "999999", "thirty", "12/31/2017", "-1"))


def _typed(kind: Kind, texts: list[str]) -> list[Any]:
    return [_value(kind.type, text) for text in texts if text]


def _value(kind: str, text: str) -> Any:
    match kind:
        case "integer":
            return int(text)
        case "number" | "latitude" | "longitude":
            return float(text)
        case "boolean":
            return text == "yes"
        case "date" | "datetime":
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
    return text
