"""`collect-admin seed`: what demo and tests need to be there."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from collect.admin import demo
from collect.admin.connection import Admin, json_option, pass_admin
from collect.admin.sending import Sent, send
from collect.demo import baseline, responses, survey, teams


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


class Shift(click.ParamType[tuple[str, int]]):
    """A column and how far it has slipped, as in ``manager_phone=10``."""

    name = "COLUMN=N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        column, _, rows = value.partition("=")
        if column not in teams.COLUMNS or not rows.removeprefix("-").isdecimal():
            self.fail(f"{value!r} is not one of {', '.join(teams.COLUMNS)}, =, and a number of rows.", param, ctx)
        return column, int(rows)


@click.group()
@json_option
def seed() -> None:
    """Organisations, datasets, forms, responses, keys and files to try things with."""


@seed.command("demo")
@click.option("--env", "as_env", is_flag=True, help="Print the keys as lines NAME=value.")
@json_option
@pass_admin
def seed_demo(admin: Admin, as_env: bool) -> None:
    """Organisations `labs` and `other`, dataset `baseline` and form `household-survey` in both, and three keys.

    Harmless when repeated.

    Keys that are in the environment and still valid stay; otherwise new ones are made and the demo's old ones revoked.
    """
    found = demo.seed(admin.db, known=os.environ)
    lines = [f"{name}={value}" for name, value in found.items()]
    each = f"Dataset {baseline.NAME} and form {survey.FORM_ID} in each."
    told = [f"Organisations: {', '.join(demo.ORGANISATIONS)}. {each}"]
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


@seed.command("teams-csv")
@click.option("--rows", required=True, type=click.IntRange(min=0), help="How many teams.")
@click.option("--output", "-o", required=True, help="The file to write; - is stdout.")
@click.option("--first", default=1, show_default=True, type=click.IntRange(min=1), help="Number of the first team.")
@click.option("--shift", type=Shift(), multiple=True, help="Move a column's cells so many rows down; - is up.")
@json_option
@pass_admin
def seed_teams_csv(admin: Admin, /, rows: int, output: str, first: int, shift: tuple[tuple[str, int], ...]) -> None:
    """A CSV of made-up teams, each with a manager and five members."""
    roster = teams.Roster(teams=rows, first=first, shift=dict(shift))
    if output == "-":
        teams.write_csv(roster, sys.stdout)
        return
    teams.save_csv(roster, Path(output))
    admin.answer({"path": output, "rows": rows, "shift": dict(shift)}, [f"{output}: {rows:,} teams"])


@seed.command("responses")
@click.option("--rows", required=True, type=click.IntRange(min=0), help="How many to add to those that are there.")
@click.option("--seed", "number", default=responses.SEED, show_default=True, help="The same seed gives the same ones.")
@click.option("--org", "org_id", default="labs", show_default=True, help="The organisation.")
@json_option
@pass_admin
def seed_responses(admin: Admin, /, rows: int, number: int, org_id: str) -> None:
    """Made-up responses to form `household-survey`, nine of ten from before 2017-08-01.

    Each call adds so many more. How far it is goes to stderr.
    """
    first = responses.prepare(admin.db, org_id=org_id)
    wanted = responses.Wanted(org_id=org_id, rows=rows, seed=number, first=first)
    sent = send(admin.db.responses, responses.blocks(wanted), tell=Progress(rows))
    told = f"{sent.rows:,} responses added to {survey.FORM_ID} of {org_id} in {sent.seconds:.1f} s"
    found = {"org_id": org_id, "form_id": survey.FORM_ID, "rows": sent.rows, "early": wanted.early}
    admin.answer({**found, "first": first, "seconds": round(sent.seconds, 3)}, [told])


class Progress:
    """How far it is, on stderr: a line that changes on a terminal, and elsewhere a line now and then."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._live = sys.stderr.isatty()
        self._every = 0.2 if self._live else 5.0
        self._told = 0.0

    def __call__(self, sent: Sent) -> None:
        done = sent.rows == self._rows
        if sent.seconds - self._told < self._every and not done:
            return
        self._told = sent.seconds
        rate = sent.rows / max(sent.seconds, 0.001)
        line = f"{sent.rows:,} of {self._rows:,} responses, {rate:,.0f} a second"
        click.echo(f"\r{line}\x1b[K" if self._live else line, err=True, nl=done or not self._live)
