"""The command `collect-admin`: what operators do beside the API, straight on the stores."""

from __future__ import annotations

import json
import os
import sys
from typing import NoReturn

import click
from pika.exceptions import AMQPError
from pymongo.errors import PyMongoError

from collect.admin import accounts
from collect.admin import check as invariants
from collect.admin.connection import Admin, json_option, pass_admin
from collect.admin.dead_letters import dead_letters
from collect.admin.key_commands import keys
from collect.admin.seeding import seed
from collect.errors import CollectError
from collect.messaging import topology
from collect.storage import indexes

EPILOG = """\b
Exit codes:
    0  done
    1  it could not be done, or `check` found something wrong
    2  wrong usage of the command, or a setting is missing
  130  interrupted with Ctrl-C
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@json_option
@click.version_option(package_name="collect-jobs")
def collect_admin() -> None:
    """Look after Collect Jobs: straight on the stores, so it also works when the gateway does not.

    Reads MONGODB_URL, MONGODB_DATABASE, STORAGE_URL; for dead letters AMQP_URL, for policies RABBITMQ_MANAGEMENT_URL.
    """


@collect_admin.command()
@json_option
@pass_admin
def migrate(admin: Admin) -> None:
    """Create the collections and indexes that are missing, and set the broker's policies.

    Run before each deploy; harmless when repeated. The policies need RABBITMQ_MANAGEMENT_URL; without it they are left
    to whoever looks after the broker.
    """
    indexes.migrate(admin.db)
    done = ["Collections and indexes are as they should be."]
    management_url = admin.broker.management_url if os.environ.get("AMQP_URL") else None
    if management_url:
        topology.apply_policies(management_url, vhost=admin.broker.vhost)
        done.append("So are the broker's policies.")
    admin.answer({"migrated": True, "policies": bool(management_url)}, done)


@collect_admin.command()
@click.option("--wait", "wait_seconds", type=click.FloatRange(min=0), help="First wait so long for all jobs to rest.")
@json_option
@pass_admin
def check(admin: Admin, wait_seconds: float | None) -> int:
    """Verify from the stores, on a live system, that what must always hold does. Reads only; exit code 1 if not."""
    if wait_seconds is not None:
        invariants.wait_until_rest(admin.db, seconds=wait_seconds)
    findings = invariants.check(admin.db, blobs=admin.blobs)
    lines = [f"{found.code.value}  {found.subject}: {found.message}" for found in findings]
    admin.answer(
        [{"code": found.code.value, "subject": found.subject, "message": found.message} for found in findings],
        lines or ["All invariants hold."],
    )
    return 1 if findings else 0


@collect_admin.command()
@click.option("--apply", is_flag=True, help="Create them on the server, or change what is there.")
@json_option
@pass_admin
def roles(admin: Admin, apply: bool) -> None:
    """Show the MongoDB roles of the services' accounts: what each service does, and nothing more.

    Printed as `createRole` takes them. --apply needs an account that may manage roles; run it before the services are
    given accounts with these roles, and again before each deploy.
    """
    if apply:
        accounts.apply(admin.db)
    declared = accounts.roles(admin.database)
    admin.answer(declared, [json.dumps(role, indent=2) for role in declared])


for _command in (keys, seed, dead_letters):
    collect_admin.add_command(_command)


def main() -> NoReturn:
    """Entry point: run the command and exit with its code."""
    try:
        code = collect_admin.main(prog_name="collect-admin", standalone_mode=False, obj=Admin())
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (CollectError, invariants.NotAtRest, PyMongoError, AMQPError, OSError) as error:
        click.echo(f"Error: {error or type(error).__name__}", err=True)
        code = 1
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        code = 130
    sys.exit(int(code or 0))
