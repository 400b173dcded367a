"""The commands that show teams."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.table import Table
from rich.text import Text

from collect.api.data import Person, Team
from collect.client.cli.console import Shell, json_option, pass_shell

MOST_SHOWN = 3


@click.command("list")
@click.option("--name", metavar="PREFIX", help="Only teams whose name begins with it.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1))
@json_option
@pass_shell
def list_teams(shell: Shell, name: str | None, limit: int) -> None:
    """Teams, by name."""
    headers = ("team", "managers", "members", "forms", "description")
    shell.answers(shell.client.teams.list(name=name, most=limit), headers, _cells)


@click.command("show")
@click.argument("name", metavar="NAME")
@json_option
@pass_shell
def show_team(shell: Shell, name: str) -> None:
    """One team, whole."""
    team = shell.client.teams.get(name)
    shell.answer(team, lambda: _show(shell, team))


def _show(shell: Shell, team: Team) -> None:
    grid = Table.grid(padding=(0, 2))
    lines = {
        "team": team.name,
        "description": team.description,
        "managers": _phones(team.managers),
        "members": _phones(team.members),
        "forms": ", ".join(team.form_ids),
        "written by": team.written_by,
    }
    for title, value in lines.items():
        if value:
            grid.add_row(Text(title, style="bold"), Text(value))
    shell.out.print(grid)


def _cells(team: Team) -> tuple[str, ...]:
    some = _phones(team.members[:MOST_SHOWN]) + (", …" if len(team.members) > MOST_SHOWN else "")
    return team.name, _phones(team.managers), some, ", ".join(team.form_ids), team.description or ""


def _phones(people: Sequence[Person]) -> str:
    return ", ".join(person.phone for person in people)


COMMANDS: tuple[click.Command, ...] = (list_teams, show_team)
