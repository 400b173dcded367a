"""The output of the command: the answer to stdout, messages to stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from collect.api.answers import Answer
from collect.client.api import URL_VARIABLE, CollectClient
from collect.client.errors import ApiError, ClientError

UNBROKEN = 10_000
"""Width of an output that is not a terminal, in characters. So wide that each item stays on one line, for grep."""

F = TypeVar("F", bound=Callable[..., Any])


class Shell:
    """One run of the command: its client and its two outputs. ``machine``: only JSON is written to stdout."""

    def __init__(self) -> None:
        self.machine = False
        self.url: str | None = None
        self._retried = False

    @cached_property
    def client(self) -> CollectClient:
        environment = dict(os.environ)
        if self.url:
            environment[URL_VARIABLE] = self.url
        return CollectClient.from_environment(environment, on_retry=self._say_retry)

    @cached_property
    def out(self) -> Console:
        width = None if sys.stdout.isatty() else UNBROKEN
        return Console(file=sys.stdout, highlight=False, soft_wrap=True, width=width)

    @cached_property
    def err(self) -> Console:
        return Console(file=sys.stderr, highlight=False, soft_wrap=True)

    @property
    def interactive(self) -> bool:
        """True when the command can ask questions and read keys: stdin and stderr are terminals, no ``--json``."""
        return not self.machine and sys.stdin.isatty() and sys.stderr.isatty()

    def say(self, words: str) -> None:
        """Write a message to stderr."""
        self.err.print(Text(words))

    def answer(self, value: Answer | dict[str, Any], words: Callable[[], None]) -> None:
        """Write the answer to stdout: as JSON, or by calling ``words``."""
        if self.machine:
            click.echo(json.dumps(_plain(value), indent=2, ensure_ascii=False))
        else:
            words()

    def answers(self, values: Iterable[Answer], headers: Sequence[str], cells: Callable[[Any], Sequence[str]]) -> None:
        """Write a list of answers to stdout: as a JSON array, or as a table."""
        if self.machine:
            click.echo(json.dumps([_plain(value) for value in values], indent=2, ensure_ascii=False))
            return
        table = Table(*headers, box=None, pad_edge=False, header_style="bold")
        for value in values:
            table.add_row(*(Text(cell) for cell in cells(value)))
        self.out.print(table)

    def line(self, value: Answer) -> None:
        """Write one JSON object on one line to stdout, and flush it: for answers that come over time."""
        click.echo(json.dumps(_plain(value), ensure_ascii=False))
        sys.stdout.flush()

    def complain(self, error: ClientError) -> None:
        """Write an error to stderr, with its fields and what the user can do."""
        if self.machine:
            click.echo(json.dumps({"error": _problem(error)}, ensure_ascii=False), err=True)
            return
        self.err.print(Text(f"Error: {error.detail}", style="red"))
        for wrong in error.errors:
            self.say(f"  {wrong.field}: {wrong.message}" if wrong.field else f"  {wrong.message}")
        if isinstance(error, ApiError):
            self._say_more(error)

    def _say_retry(self, error: ClientError) -> None:
        if not self._retried:
            self._retried = True
            self.say(f"{error.detail} Trying again for a while.")

    def _say_more(self, error: ApiError) -> None:
        problem = error.problem
        if problem.state is not None:
            allowed = ", ".join(problem.allowed_verbs) or "none"
            self.say(f"  The job is {problem.state}. Allowed now: {allowed}.")
        if problem.holder is not None:
            self.say(f"  Held by job {problem.holder}: collect jobs show {problem.holder}")
        if problem.request_id is not None:
            self.say(f"  Request {problem.request_id}")


pass_shell = click.make_pass_decorator(Shell, ensure=True)


def _set_machine(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Shell).machine = True


def json_option(command: F) -> F:
    """Add the option ``--json``, which every command has."""
    option = click.option(
        "--json", is_flag=True, expose_value=False, is_eager=True, callback=_set_machine,
        help="JSON on stdout; messages on stderr.",
    )  # fmt: skip
    return option(command)


def _plain(value: Answer | dict[str, Any]) -> Any:
    return value.model_dump(mode="json", by_alias=True) if isinstance(value, Answer) else value


def _problem(error: ClientError) -> dict[str, Any]:
    if isinstance(error, ApiError):
        return error.problem.model_dump(mode="json")
    return {"code": error.code, "detail": error.detail}
