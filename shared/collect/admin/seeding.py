"""`collect-admin seed`: what demo and tests need to be there."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from collect.admin import baseline, demo
from collect.admin.connection import Admin, json_option, pass_admin


class Pair(click.ParamType[tuple[str, str]]):
    """Two columns, as in ``district,block``."""

    name = "A,B"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        left, _, right = value.partition(",")
        if left not in baseline.COLUMNS or right not in baseline.COLUMNS:
            self.fail(f"{value!r} does not name two columns of {', '.join(baseline.COLUMNS)}.", param, ctx)
        return left, right


class OneIn(click.ParamType[int]):
    """One row in so many, as in ``1/100``; 0 for none."""

    name = "1/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        number = value.removeprefix("1/")
        if not number.isdigit():
            self.fail(f"{value!r} is not of the form 1/100.", param, ctx)
        return int(number)


@click.group()
@json_option
def seed() -> None:
    """Organisations, datasets, keys and files to try things with."""


@seed.command("demo")
@click.option("--env", "as_env", is_flag=True, help="Print the keys as lines NAME=value.")
@json_option
@pass_admin
def seed_demo(admin: Admin, as_env: bool) -> None:
    """Organisations `labs` and `other`, dataset `baseline` in both, and three keys. Harmless when repeated.

    Keys that are in the environment and still valid stay; otherwise new ones are made and the demo's old ones revoked.
    """
    found = demo.seed(admin.db, known=os.environ)
    lines = [f"{name}={value}" for name, value in found.items()]
    told = [f"Organisations: {', '.join(demo.ORGANISATIONS)}. Dataset {baseline.NAME} in each."]
    admin.answer(found, lines if as_env else [*told, *lines])


@seed.command("baseline-csv")
@click.option("--rows", required=True, type=click.IntRange(min=0))
@click.option("--output", "-o", required=True, help="The file to write; - is stdout.")
@click.option("--seed", "number", default=2017, show_default=True, help="The same seed gives the same bytes.")
@click.option("--first", default=1, show_default=True, type=click.IntRange(min=1), help="Number of the first person.")
@click.option("--swap", type=Pair(), help="Exchange the cells of two columns; the header stays.")
@click.option("--rejects", type=OneIn(), default=0, help="Break one cell in one row of so many: 1/100.")
@json_option
@pass_admin
def seed_baseline_csv(
    admin: Admin,
    /,
    rows: int,
    output: str,
    number: int,
    first: int,
    swap: tuple[str, str] | None,
    rejects: int,
) -> None:
    """A CSV of made-up survey data for dataset `baseline`."""
    survey = baseline.Survey(rows=rows, seed=number, first=first, swap=swap, rejects=rejects)
    if output == "-":
        baseline.write_csv(survey, sys.stdout)
        return
    baseline.save_csv(survey, Path(output))
    told = f"{output}: {rows:,} rows, {survey.expected_rejects:,} of them broken"
    admin.answer({"path": output, "rows": rows, "rejects": survey.expected_rejects}, [told])
