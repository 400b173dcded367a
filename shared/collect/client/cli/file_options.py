"""The options that say how a file is read, and functions that turn them into params of a job and back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from collect.client.cli import value_tables
from collect.client.cli.parameters import together
from collect.client.cli.value_tables import NotATable, ValueMap

DELIMITERS = {
    ",": ",", "comma": ",", ";": ";", "semicolon": ";", "\t": "\t", "\\t": "\t", "tab": "\t", "|": "|", "bar": "|",
    "pipe": "|",
}  # fmt: skip
"""The names that a user may type for a delimiter, and the delimiter of each."""


class Delimiter(click.ParamType[str]):
    """A delimiter, typed as the character or by its name."""

    name = "comma|semicolon|tab|bar"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value.lower() not in DELIMITERS:
            self.fail(f"{value!r} is no delimiter: use comma, semicolon, tab or bar.", param, ctx)
        return DELIMITERS[value.lower()]


class Values(click.ParamType[ValueMap]):
    """A map of values, typed as ``COLUMN=FILE``, ``FILE`` or JSON. It says which values are replaced by which."""

    name = "COLUMN=FILE|FILE|JSON"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ValueMap:
        if isinstance(value, dict):
            return value
        try:
            return value_tables.from_json(value) if value.lstrip().startswith("{") else self._of_file(value)
        except NotATable as error:
            self.fail(f"{value}: {error}", param, ctx)

    def _of_file(self, text: str) -> ValueMap:
        column, equals, name = text.partition("=")
        path = Path(text) if not equals or Path(text).is_file() else Path(name)
        if not path.is_file():
            raise NotATable(f"there is no file {str(path)!r}.")
        if path.suffix.lower() == ".json":
            found = value_tables.from_json(path.read_text(encoding="utf-8-sig"))
            return found if path == Path(text) else {column: found.get(column, {})}
        table, left = value_tables.read(path, column=None if path == Path(text) else column)
        if left:
            click.echo(f"{path}: lines left out because they have no replacement: {left:,}", err=True)
        return table


written = together(
    click.option(
        "--encoding", metavar="NAME", help="Of the file, if it is not UTF-8: as in cp1252, utf-16, gb18030."
    ),
    click.option("--delimiter", type=Delimiter(), help="Between the cells; detected if it is left out."),
    click.option(
        "--has-header/--no-header", "has_header", default=None, help="The first line names the columns, or is a row."
    ),
    click.option("--skip-lines", type=click.IntRange(0, 1_000), help="Lines above the header to leave out."),
    click.option("--decimal", type=click.Choice([".", ","]), help="The decimal mark of numbers. Default: the point."),
    click.option(
        "--date-format", "date_formats", metavar="FORMAT", multiple=True,
        help="A format that dates have beside 2017-05-31, as in %d/%m/%Y. Several may be given.",
    ),
    click.option("--trim/--no-trim", "trim", default=None, help="Leave out blanks around each cell."),
    click.option(
        "--blank", type=click.Choice(["clear", "keep"]), help="What a blank cell does to what is there. Default: clear."
    ),
)  # fmt: skip
"""The options that say how the text and the cells of a file are written."""
reading = together(
    written,
    click.option(
        "--value-map", type=Values(), multiple=True,
        help="Read values of a column as others: a CSV with two columns, bad and good.",
    ),
    click.option(
        "--formula-guarded/--not-guarded", "formula_guarded", default=None,
        help="The file is an export: take off the apostrophes that it put before texts.",
    ),
    click.option(
        "--not-finite/--finite", "not_finite", default=None,
        help="The file is an export: nan, inf and -inf are numbers.",
    ),
)  # fmt: skip
"""All options that say how a file is read."""


def params(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given options as params. Options that were not given are left out; pairs become objects."""
    found = {name: value for name, value in given.items() if value not in (None, ())}
    for name in {"column_map", "column_shift"} & found.keys():
        found[name] = dict(found[name])
    if "value_map" in found:
        found["value_map"] = value_tables.merged(found["value_map"])
    if "date_formats" in found:
        found["date_formats"] = list(found["date_formats"])
    return found


def words(name: str, value: Any) -> Iterator[str] | None:
    """Return the words of the option for a param, or ``None`` if there is no option for it."""
    match name, value:
        case "encoding" | "decimal" | "blank" | "mode" | "skip_lines", _:
            return iter((f"--{name.replace('_', '-')}", str(value)))
        case "delimiter", _:
            named = next(
                (typed for typed, meant in DELIMITERS.items() if meant == value and len(typed) > 1), str(value)
            )
            return iter(("--delimiter", named))
        case "has_header", _:
            return iter(("--has-header" if value else "--no-header",))
        case "formula_guarded", _:
            return iter(("--formula-guarded" if value else "--not-guarded",))
        case "not_finite", _:
            return iter(("--not-finite" if value else "--finite",))
        case "trim", _:
            return iter(("--trim" if value else "--no-trim",))
        case "date_formats", list():
            return (word for date_format in value for word in ("--date-format", date_format))
        case "value_map", _:
            return iter(("--value-map", json.dumps(value, ensure_ascii=False)))
        case _:
            return None
