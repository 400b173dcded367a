"""`collect-admin seed`: create the data that the demo and the tests need."""

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
    """The type of an option that names two columns, for example ``district,block``."""

    name = "A,B"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        left, _, right = value.partition(",")
        if left not in baseline.COLUMNS or right not in baseline.COLUMNS:
            self.fail(f"{value!r} does not name two columns of {', '.join(baseline.COLUMNS)}.", param, ctx)
        return left, right


class OneIn(click.ParamType[int]):
    """The type of an option that gives a fraction of the rows, for example ``1/100``; 0 for none."""

    name = "1/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        number = value.removeprefix("1/")
        if not number.isdigit():
            self.fail(f"{value!r} is not of the form 1/100.", param, ctx)
        return int(number)


class Shift(click.ParamType[tuple[str, int]]):
    """The type of an option that shifts a column by some rows, for example ``manager_phone=10``."""

    name = "COLUMN=N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        column, _, rows = value.partition("=")
        if column not in teams.COLUMNS or not rows.removeprefix("-").isdecimal():
            self.fail(f"{value!r} is not of the form COLUMN=ROWS. Columns: {', '.join(teams.COLUMNS)}.", param, ctx)
        return column, int(rows)


@click.group()
@json_option
def seed() -> None:
    """Create organisations, datasets, forms, responses, keys and files to try things with."""


@seed.command("demo")
@click.option("--env", "as_env", is_flag=True, help="Print the keys as lines NAME=value.")
@json_option
@pass_admin
def seed_demo(admin: Admin, as_env: bool) -> None:
    """Create organisations `labs` and `other`, dataset `baseline` and form `household-survey` in both, and three keys.

    Safe to repeat. Keys that are in the environment and still valid stay. Otherwise new keys are created and the demo's
    old ones are revoked.
    """
    keys = demo.seed(admin.db, known=os.environ)
    lines = [f"{name}={value}" for name, value in keys.items()]
    each = f"Dataset {baseline.NAME} and form {survey.FORM_ID} in each."
    summary = f"Organisations: {', '.join(demo.ORGANISATIONS)}. {each}"
    admin.answer(keys, lines if as_env else [summary, *lines])


@seed.command("baseline-csv")
@click.option("--rows", required=True, type=click.IntRange(min=0))
@click.option("--output", "-o", required=True, help="The file to write; - is stdout.")
@click.option("--seed", "number", default=2017, show_default=True, help="The same seed gives the same bytes.")
@click.option("--first", default=1, show_default=True, type=click.IntRange(min=1), help="Number of the first person.")
@click.option("--swap", type=Pair(), help="Exchange the cells of two columns, but not their headers.")
@click.option(
    "--rejects", type=OneIn(), default=0, help="Break one cell in this fraction of the rows, for example 1/100."
)
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
    """Write a CSV of made-up survey data for dataset `baseline`."""
    survey = baseline.Survey(rows=rows, seed=number, first=first, swap=swap, rejects=rejects)
    if output == "-":
        baseline.write_csv(survey, sys.stdout)
        return
    baseline.save_csv(survey, Path(output))
    summary = f"{output}: {rows:,} rows, {survey.expected_rejects:,} of them broken"
    admin.answer({"path": output, "rows": rows, "rejects": survey.expected_rejects}, [summary])


@seed.command("teams-csv")
@click.option("--rows", required=True, type=click.IntRange(min=0), help="How many teams.")
@click.option("--output", "-o", required=True, help="The file to write; - is stdout.")
@click.option("--first", default=1, show_default=True, type=click.IntRange(min=1), help="Number of the first team.")
@click.option(
    "--shift",
    type=Shift(),
    multiple=True,
    help="Shift a column's cells down by this many rows; a negative number shifts up.",
)
@json_option
@pass_admin
def seed_teams_csv(admin: Admin, /, rows: int, output: str, first: int, shift: tuple[tuple[str, int], ...]) -> None:
    """Write a CSV of made-up teams, each with a manager and five members."""
    roster = teams.Roster(teams=rows, first=first, shift=dict(shift))
    if output == "-":
        teams.write_csv(roster, sys.stdout)
        return
    teams.save_csv(roster, Path(output))
    admin.answer({"path": output, "rows": rows, "shift": dict(shift)}, [f"{output}: {rows:,} teams"])


@seed.command("responses")
@click.option("--rows", required=True, type=click.IntRange(min=0), help="How many responses to add.")
@click.option("--seed", "number", default=responses.SEED, show_default=True, help="The same seed gives the same ones.")
@click.option("--org", "org_id", default="labs", show_default=True, help="The organisation.")
@json_option
@pass_admin
def seed_responses(admin: Admin, /, rows: int, number: int, org_id: str) -> None:
    """Add made-up responses to form `household-survey`. Nine of ten are from before 2017-08-01.

    The progress is printed on stderr.
    """
    first = responses.prepare(admin.db, org_id=org_id)
    batch = responses.Batch(org_id=org_id, rows=rows, seed=number, first=first)
    sent = send(admin.db.responses, responses.blocks(batch), report=Progress(rows))
    summary = f"{sent.rows:,} responses added to {survey.FORM_ID} of {org_id} in {sent.seconds:.1f} s"
    counts = {"rows": sent.rows, "early": batch.early, "first": first, "seconds": round(sent.seconds, 3)}
    admin.answer({"org_id": org_id, "form_id": survey.FORM_ID, **counts}, [summary])


class Progress:
    """Prints the progress on stderr: one changing line on a terminal, a line every few seconds elsewhere."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._live = sys.stderr.isatty()
        self._every = 0.2 if self._live else 5.0
        self._printed_at = 0.0

    def __call__(self, sent: Sent) -> None:
        done = sent.rows == self._rows
        if sent.seconds - self._printed_at < self._every and not done:
            return
        self._printed_at = sent.seconds
        rate = sent.rows / max(sent.seconds, 0.001)
        line = f"{sent.rows:,} of {self._rows:,} responses, {rate:,.0f} a second"
        click.echo(f"\r{line}\x1b[K" if self._live else line, err=True, nl=done or not self._live)
