"""The root of the command `collect`: its groups, and the entry point that turns errors into messages and exit codes."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from collect.client.cli import control, correcting, exits, exporting, reading, starting, teams, watching
from collect.client.cli.console import Shell, json_option
from collect.client.errors import ClientError

EPILOG = exits.described()
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 120}


@click.group(context_settings=SETTINGS, epilog=EPILOG)
@click.option("--url", metavar="URL", help="The gateway; otherwise COLLECT_URL.")
@json_option
@click.version_option(package_name="collect-jobs")
@click.pass_context
def collect(ctx: click.Context, url: str | None) -> None:
    """Start, watch and control the long-running jobs of Collect.

    Reads COLLECT_URL and COLLECT_API_KEY. The word `jobs` may be left out: `collect pause ID` is `collect jobs pause
    ID`.
    """
    ctx.ensure_object(Shell).url = url


@collect.group(epilog=EPILOG)
@json_option
def jobs() -> None:
    """Jobs: start, look, control, fetch what they left."""


@collect.group("teams", epilog=EPILOG)
@json_option
def look_at_teams() -> None:
    """Teams as they are."""


for _command in teams.COMMANDS:
    _command.epilog = EPILOG
    look_at_teams.add_command(_command)


for _command in (
    *starting.COMMANDS,
    *exporting.COMMANDS,
    *reading.COMMANDS,
    *watching.COMMANDS,
    *control.COMMANDS,
    *correcting.COMMANDS,
):
    _command.epilog = EPILOG
    for _sort in _command.commands.values() if isinstance(_command, click.Group) else ():
        _sort.epilog = EPILOG
    jobs.add_command(_command)
    collect.add_command(_command)


def main() -> NoReturn:
    """Entry point: run the command and exit with its code."""
    shell = Shell()
    try:
        code = collect.main(prog_name="collect", standalone_mode=False, obj=shell)
    except ClientError as error:
        shell.complain(error)
        code = exits.of_error(error)
    except click.ClickException as error:
        error.show()
        code = exits.Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        code = exits.Exit.INTERRUPTED
    except BrokenPipeError:  # the reader of stdout has closed it, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = exits.Exit.OK
    sys.exit(int(code or 0))
