"""The commands of the verbs: pause, resume, stop, confirm, terminate and undo."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from collect.api.jobs import Job
from collect.client.cli import exits, parameters, words
from collect.client.cli.console import Shell, json_option, pass_shell
from collect.client.cli.watching import follow

_verb = parameters.together(
    click.argument("job_id", metavar="ID"),
    click.option("--reason", required=True, help="Why; kept in the audit."),
    click.option("--if-match", metavar="ETAG", help="Only if nothing has happened to the job since."),
    json_option,
    pass_shell,
)
_taking_back = parameters.together(
    click.option("-y", "--yes", is_flag=True, help="Do not ask; nobody is asked either where there is no terminal."),
    click.option("--wait", is_flag=True, help="Follow until all is taken back."),
    click.option("--preview", "only_preview", is_flag=True, help="Only say what would be taken back."),
)


@click.command()
@click.option("--until", type=parameters.Moment(), help=f"Resume by itself then. {parameters.MOMENT_HELP}")
@_verb
def pause(shell: Shell, job_id: str, reason: str, if_match: str | None, until: datetime | None) -> None:
    """Hold the job: from now on nothing of it is written, and it takes no slot."""
    tell(shell, shell.client.jobs.pause(job_id, reason=reason, if_match=if_match, until=until))


@click.command()
@click.option(
    "--max-rejected", type=parameters.Share(), help="A new limit of rejected rows, counted from here: 100, or 20%."
)
@_verb
def resume(shell: Shell, job_id: str, reason: str, if_match: str | None, max_rejected: dict[str, float] | None) -> None:
    """Let the job go on from where it was."""
    tell(shell, shell.client.jobs.resume(job_id, reason=reason, if_match=if_match, max_rejected=max_rejected))


@click.command()
@_verb
def stop(shell: Shell, job_id: str, reason: str, if_match: str | None) -> None:
    """End the job and keep what it has written."""
    tell(shell, shell.client.jobs.stop(job_id, reason=reason, if_match=if_match))


@click.command()
@_verb
def confirm(shell: Shell, job_id: str, reason: str, if_match: str | None) -> None:
    """Let a job run that waits for confirmation."""
    tell(shell, shell.client.jobs.confirm(job_id, reason=reason, if_match=if_match))


@click.command()
@_taking_back
@_verb
def terminate(shell: Shell, /, job_id: str, **given: Any) -> int:
    """End the job and take back everything it has written."""
    return _take_back(shell, "terminate", job_id, **given)


@click.command()
@_taking_back
@_verb
def undo(shell: Shell, /, job_id: str, **given: Any) -> int:
    """Take back everything that a job at rest has written."""
    return _take_back(shell, "undo", job_id, **given)


def _take_back(
    shell: Shell,
    verb: str,
    job_id: str,
    *,
    reason: str,
    if_match: str | None,
    yes: bool,
    wait: bool,
    only_preview: bool,
) -> int:
    if only_preview or (shell.interactive and not yes):
        found = shell.client.jobs.will_undo(job_id, verb)
        shell.answer(found, lambda: shell.say(words.will_undo(found)))
        if only_preview:
            return exits.Exit.OK
        click.confirm(f"{verb.capitalize()} job {job_id}?", abort=True, err=True)
    ask = shell.client.jobs.terminate if verb == "terminate" else shell.client.jobs.undo
    job = ask(job_id, reason=reason, if_match=if_match)
    if not wait:
        tell(shell, job)
        return exits.Exit.OK
    job = follow(shell, job_id, until="rest", lines=False)
    tell(shell, job)
    return exits.of_job(job, verb=verb)


def tell(shell: Shell, job: Job) -> None:
    """Show the job after a verb, and how long the verb took."""

    def say() -> None:
        shell.out.print(job.status or job.state.value)
        if job.last_action is not None:
            shell.say(words.action(job.last_action))

    shell.answer(job, say)


COMMANDS: tuple[click.Command, ...] = (pause, resume, stop, terminate, undo, confirm)
