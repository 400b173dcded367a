"""The command as it is typed, and a gateway that answers from a script behind it."""

import json
from typing import Any, NamedTuple

from click.testing import CliRunner

from collect.client.api import TeamsApi
from collect.client.cli.app import collect
from collect.client.cli.console import Shell
from collect.client.files import FilesApi
from collect.client.jobs import JobsApi
from unit.client.scripted import Scripted, transport


class Client:
    """A client of a gateway that answers from a script."""

    def __init__(self, gateway: Scripted) -> None:
        self.jobs = JobsApi(transport=transport(gateway))
        self.files = FilesApi(transport=transport(gateway))
        self.teams = TeamsApi(transport=transport(gateway))


class Ran(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def run(gateway: Scripted, *arguments: object) -> Ran:
    shell = Shell()
    shell.__dict__["client"] = Client(gateway)
    with CliRunner().isolation() as (out, err, *_):
        code = collect.main([str(argument) for argument in arguments], standalone_mode=False, obj=shell)
        return Ran(int(code or 0), out.getvalue().decode(), err.getvalue().decode())


def sent(gateway: Scripted, n: int = 0) -> Any:
    """The JSON of the ``n``-th request, from 0."""
    return json.loads(gateway.bodies[n])
