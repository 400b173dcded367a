"""The command `collect-admin`: what operators do directly on the stores, without the API."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from typing import NoReturn

import click
from pika.exceptions import AMQPError
from pymongo.errors import PyMongoError

from collect.admin import check as invariants
from collect.admin.account_commands import accounts, roles
from collect.admin.connection import Admin, json_option, pass_admin
from collect.admin.dead_letters import dead_letters
from collect.admin.key_commands import keys
from collect.admin.replica_set import replica_set
from collect.admin.seeding import seed
from collect.admin.selftest import selftest
from collect.admin.waiting import Waiting, wait_option
from collect.errors import CollectError
from collect.messaging import topology
from collect.messaging.consumer import declare
from collect.messaging.management import Management
from collect.storage import indexes

EPILOG = """\b
Exit codes:
    0  success
    1  failure, or `check` found something wrong
    2  wrong usage of the command, or a setting is missing
  130  interrupted with Ctrl-C
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@json_option
@click.version_option(package_name="collect-jobs")
def collect_admin() -> None:
    """Operate Collect Jobs directly on its stores. It also works while the gateway is down.

    It reads MONGODB_URL, MONGODB_DATABASE and STORAGE_URL; for dead letters AMQP_URL; for policies
    RABBITMQ_MANAGEMENT_URL.
    """


@collect_admin.command()
@wait_option
@json_option
@pass_admin
def migrate(admin: Admin, waiting: Waiting) -> None:
    """Create missing collections, indexes, exchanges and queues, and set the broker's policies.

    Run it before each deploy. It is safe to repeat. Without AMQP_URL it leaves the broker alone. Without
    RABBITMQ_MANAGEMENT_URL it leaves the broker's policies alone.
    """
    waiting.until_there(lambda: indexes.migrate(admin.db), what="MongoDB")
    done = ["Collections and indexes are up to date."]
    has_broker = bool(os.environ.get("AMQP_URL"))
    management_url = admin.broker.management_url if has_broker else None
    if has_broker:
        waiting.until_there(lambda: declare(admin.broker.amqp_url), what="RabbitMQ")
        done.append("The broker's exchanges and queues are up to date.")
    if management_url:
        management = Management(management_url)
        waiting.until_there(
            lambda: topology.apply_policies(management, vhost=admin.broker.vhost), what="RabbitMQ's management API"
        )
        done.append("The broker's policies are up to date.")
    admin.answer({"migrated": True, "topology": has_broker, "policies": bool(management_url)}, done)


@collect_admin.command()
@click.option(
    "--wait",
    "wait_seconds",
    type=click.FloatRange(min=0),
    help="First wait up to this many seconds until all jobs are at rest.",
)
@json_option
@pass_admin
def check(admin: Admin, wait_seconds: float | None) -> int:
    """Verify the invariants from the stores, on a live system. Reads only. Exit code 1 if one does not hold."""
    if wait_seconds is not None:
        invariants.wait_until_rest(admin.db, seconds=wait_seconds)
    findings = invariants.check(admin.db, blobs=admin.blobs)
    lines = [f"{finding.code.value}  {finding.subject}: {finding.message}" for finding in findings]
    admin.answer(
        [asdict(finding) for finding in findings],
        lines or ["All invariants hold."],
    )
    return 1 if findings else 0


for _command in (accounts, roles, keys, seed, dead_letters, replica_set, selftest):
    collect_admin.add_command(_command)


def main() -> NoReturn:
    """Run the command and exit with its exit code."""
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
