"""Made-up files of teams beside the teams that are stored: good ones, and ones of which columns have slipped."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from collect.checks.alignment import ShiftColumn
from collect.demo import places

COLUMNS = ("description", "country_code", "manager_phone", "member_phones", "form_ids")
COUNTRIES = {"IN": "+91", "NP": "+977", "BD": "+880", "KE": "+254", "ID": "+62"}
FEWEST_COMPARED = 30
_LISTS = ("member_phones", "form_ids")
_THINGS = {"manager_phone": "managers", "member_phones": "lists of members", "form_ids": "lists of forms"}


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of teams. ``moves``: what corrects each column that has slipped. ``stored``: column, then name."""

    names: tuple[str, ...]
    cells: Mapping[str, list[str]]
    stored: Mapping[str, Mapping[str, frozenset[str]]]
    moves: Mapping[str, int] = field(default_factory=dict)

    @property
    def columns(self) -> list[ShiftColumn]:
        return [
            ShiftColumn(
                name=name,
                texts=texts,
                values=[said(name, text) for text in texts],
                stored=self.stored.get(name, {}),
                things=_THINGS.get(name, "values"),
            )
            for name, texts in self.cells.items()
        ]


def said(column: str, text: str) -> frozenset[str]:
    """What a cell says."""
    return frozenset(text.split(";") if column in _LISTS else [text]) - {"", "?"}


@dataclass(frozen=True, kw_only=True)
class _Team:
    name: str
    region: int
    country: str
    values: dict[str, str]


class _Land:
    """How an organisation has its teams: how many regions, whose managers, which phones."""

    def __init__(self, rng: random.Random, rows: int) -> None:
        self.rng = rng
        self.regions = rng.choice((1, 4, 10, 18))
        self.countries = rng.choice((("IN",), ("IN",), tuple(COUNTRIES)))
        self.by_region = rng.random() < 0.7  # phones begin alike in a region
        self.described = rng.choice(("not", "region", "each", "each"))
        self.formed = rng.choice(("region", "any", "one"))
        self.manager = rng.choice(("own", "own", "runs", "pool", "few", "none"))
        self.run = rng.choice((3, 10, 25))
        self.manager_is_member = rng.random() < 0.3
        self.with_members = rng.random() < 0.9
        self.spared = rng.choice((0.0, 0.0, 0.02, 0.2))
        self.numbered = rng.random() < 0.3
        self.sorted = rng.random() < 0.6
        self.pool = [self.phone(0) for _ in range(max(3, rows // 20))]
        self.teams = [self._team(n, rows) for n in range(rows)]
        if not self.sorted:
            rng.shuffle(self.teams)
        if self.manager == "runs":
            for first in range(0, rows, self.run):
                phone = self.phone(self.teams[first].region)
                for team in self.teams[first : first + self.run]:
                    team.values["manager_phone"] = phone

    def phone(self, region: int) -> str:
        prefix = COUNTRIES[self.countries[region % len(self.countries)]]
        begin = str(9400 + 11 * region) if self.by_region else str(self.rng.randrange(9000, 9999))
        return f"{prefix}{begin}{self.rng.randrange(10**6):06d}"

    def _team(self, n: int, rows: int) -> _Team:
        rng = self.rng
        region = n * self.regions // rows
        place = places.DISTRICTS[region].name
        country = self.countries[region % len(self.countries)]
        members = [self.phone(region) for _ in range(rng.randrange(3, 7))] if self.with_members else []
        manager = self.new_manager(region)
        if self.manager_is_member and manager and members:
            members[0] = manager
        values = {
            "description": {"not": "", "region": f"Collects in {place}", "each": f"Team {n} of {place}"}[
                self.described
            ],
            "country_code": country,
            "manager_phone": "" if rng.random() < self.spared else manager,
            "member_phones": ";".join(members),
            "form_ids": self._forms(region),
        }
        name = f"Team {n:05d}" if self.numbered else f"Team {place} {n:05d}"
        return _Team(name=name, region=region, country=country, values=values)

    def new_manager(self, region: int) -> str:
        match self.manager:
            case "none":
                return ""
            case "pool":
                return self.rng.choice(self.pool)
            case "few":
                return self.rng.choice(self.pool[:3])
        return self.phone(region)

    def _forms(self, region: int) -> str:
        match self.formed:
            case "region":
                return f"form-{region % 5}"
            case "any":
                return ";".join(f"form-{n}" for n in sorted(self.rng.sample(range(8), self.rng.randrange(1, 4))))
        return "form-1"


def good(seed: int, *, stored: bool | None = None) -> File:
    """A file as it should be. ``stored`` says whether teams of it are there already; else either."""
    rng = random.Random(f"teams:{seed}:{stored}")
    rows = rng.choice((1, 3, 8, 20, 60, 300, 1_200))
    return _good(rng, rows, stored=rng.random() < 0.7 if stored is None else stored)


def _good(rng: random.Random, rows: int, *, stored: bool, loyal: bool = False) -> File:
    land = _Land(rng, rows)
    share = rng.choice((0.2, 0.7, 1.0)) if stored else 0.0
    changed = rng.choice((0.0, 0.02, 0.2)) if loyal else rng.choice((0.0, 0.0, 0.02, 0.2, 0.6, 1.0))
    there = {team.name: _before(land, team, changed) for team in land.teams if rng.random() < share}
    teams = list(land.teams)
    if not loyal and rng.random() < 0.3:  # others come between, some are gone
        teams = [team for team in teams if rng.random() > 0.1] or teams
        for n in range(rng.randrange(1, 20)):
            region = rng.randrange(land.regions)
            values = {**teams[0].values, "manager_phone": land.new_manager(region)}
            teams.insert(rng.randrange(len(teams)), _Team(name=f"New {n}", region=region, country="IN", values=values))
    if rng.random() < 0.2:
        teams.sort(key=lambda team: team.values["manager_phone"])
    if rng.random() < 0.2:
        rng.shuffle(teams)
    cells = {name: [team.values[name] for team in teams] for name in COLUMNS}
    for texts in cells.values():
        if rng.random() < 0.2:
            for _ in range(len(texts) // 50):
                texts[rng.randrange(len(texts))] = "?"
    return File(
        names=tuple(team.name for team in teams),
        cells=cells,
        stored={column: {name: said(column, values[column]) for name, values in there.items()} for column in COLUMNS},
    )


def _before(land: _Land, team: _Team, changed: float) -> dict[str, str]:
    """What the team was before the file."""
    rng = land.rng
    values = dict(team.values)
    if rng.random() < changed and values["manager_phone"]:
        values["manager_phone"] = land.new_manager(team.region) or values["manager_phone"]
    members = [phone for phone in values["member_phones"].split(";") if phone]
    if members and rng.random() < min(changed, 0.5):
        members[rng.randrange(len(members))] = land.phone(team.region)
        values["member_phones"] = ";".join(members)
    return values


def shifted(seed: int, *, stored: bool = True) -> File:
    """A file of which one column, or two together, have slipped by 1 to 50 rows, in any of the ways in which they do.

    With ``stored`` there is something to compare: enough teams are there already, and not all have the same cell.
    """
    rng = random.Random(f"slipped:{seed}:{stored}")
    while True:
        file = _good(rng, rng.choice((60, 120, 400, 1_200, 3_000)), stored=stored, loyal=True)
        able = [name for name in COLUMNS if _is_comparable(file, name, stored=stored)]
        if able:
            break
    together = min(len(able), rng.choice((1, 1, 1, 2)))
    weights = [4 if name == "manager_phone" else 1 for name in able]
    chosen = {rng.choices(able, weights)[0], *rng.sample(able, together - 1)}
    shift = rng.randrange(1, min(50, len(file.names) // 4) + 1) * rng.choice((1, 1, -1))
    variant = rng.choice(("lost", "lost", "rotated", "filled", "repeated"))
    cells = {
        name: slipped(texts, shift, variant, rng) if name in chosen else list(texts)
        for name, texts in file.cells.items()
    }
    return replace(file, cells=cells, moves=dict.fromkeys(sorted(chosen), -shift))


def _is_comparable(file: File, name: str, *, stored: bool) -> bool:
    cells = file.cells[name]
    if len(set(cells)) < 5 or sum(text == "" for text in cells) > 0.5 * len(cells):
        return False
    there = file.stored[name]
    return not stored or sum(bool(there.get(team)) for team in file.names) >= FEWEST_COMPARED


def slipped(cells: Sequence[str], shift: int, variant: str, rng: random.Random) -> list[str]:
    """The cells moved down by ``shift`` rows, or up when it is negative; what becomes of those at the ends differs."""
    count = abs(shift)
    if variant == "rotated":
        return [*cells[-shift:], *cells[:-shift]]
    if variant == "lost":
        first, last = [""] * count, [""] * count
    elif variant == "repeated":
        first, last = [cells[0]] * count, [cells[-1]] * count
    else:
        first = last = rng.sample(list(cells), count)
    return [*first, *cells[:-count]] if shift > 0 else [*cells[count:], *last]


def shifted_at(rows: int, *, shift: int, seed: int = 5, stored: bool = True) -> File:
    """A large file whose managers have slipped down by ``shift`` rows."""
    rng = random.Random(seed)
    file = _good(rng, rows, stored=stored, loyal=True)
    while not _is_comparable(file, "manager_phone", stored=stored):
        file = _good(rng, rows, stored=stored, loyal=True)
    cells = {**file.cells, "manager_phone": slipped(file.cells["manager_phone"], shift, "lost", rng)}
    return replace(file, cells=cells, moves={"manager_phone": -shift})
