"""`collect-admin roles` and `accounts`: the services' accounts on the servers, and their rights."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import click

from collect.admin import accounts as mongodb
from collect.admin import broker_accounts as rabbitmq
from collect.admin.connection import Admin, json_option, pass_admin
from collect.admin.waiting import Waiting, wait_option
from collect.messaging.management import Management


@click.command()
@click.option("--apply", is_flag=True, help="Create the roles on the server, or update them.")
@json_option
@pass_admin
def roles(admin: Admin, apply: bool) -> None:
    """Show the MongoDB roles of the services' accounts. Each role has the rights that its service needs, and no other.

    The output is what `createRole` takes. --apply needs an account that may manage roles. Run it before you create
    accounts with these roles, and again before each deploy.
    """
    if apply:
        mongodb.apply(admin.db)
    declared = mongodb.roles(admin.database)
    admin.answer(declared, [json.dumps(role, indent=2) for role in declared])


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@wait_option
@json_option
@pass_admin
def accounts(admin: Admin, folder: Path, waiting: Waiting) -> None:
    """Create the services' accounts on MongoDB and RabbitMQ with least rights, or update them.

    FOLDER has a folder for each service (gateway, upload-worker, …) with the files MONGODB_URL and AMQP_URL, like a
    mounted Secret. The accounts get the names and passwords of these URLs. The command needs MONGODB_URL and
    RABBITMQ_MANAGEMENT_URL of an operator. A changed password is changed on the servers; open connections stay.
    """
    management_url = admin.broker.management_url
    if not management_url:
        raise click.UsageError("RABBITMQ_MANAGEMENT_URL is missing. It is needed to create accounts on the broker.")
    management = Management(management_url)
    for name, operator, where in (
        ("MONGODB_URL", admin.mongodb_url, "MongoDB"),
        ("AMQP_URL", management_url, "RabbitMQ"),
    ):
        urls = [_url(folder, service, name) for service in mongodb.ROLE_OF]
        _check([urlsplit(url).username for url in urls], urlsplit(operator).username, where)
    try:
        on_mongodb = waiting.until_there(lambda: _on_mongodb(admin, folder), what="MongoDB")
        on_rabbitmq = waiting.until_there(lambda: _on_rabbitmq(management, folder), what="RabbitMQ's management API")
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    created = {each: {"mongodb": on_mongodb[each], "rabbitmq": on_rabbitmq[each]} for each in mongodb.ROLE_OF}
    lines = [f"{service}: {of['mongodb']} on MongoDB, {of['rabbitmq']} on RabbitMQ" for service, of in created.items()]
    admin.answer(created, lines)


def _check(names: list[str | None], operator: str | None, where: str) -> None:
    """Raise ``UsageError`` if two services share an account, or one has the operator's: it would get wrong rights."""
    if operator in names or len(set(names)) < len(names):
        raise click.UsageError(f"Each service needs its own account on {where}, which is not the operator's.")


def _on_mongodb(admin: Admin, folder: Path) -> dict[str, str]:
    mongodb.apply(admin.db)
    return {
        service: mongodb.make_user(admin.db, service=service, url=_url(folder, service, "MONGODB_URL"))
        for service in mongodb.ROLE_OF
    }


def _on_rabbitmq(management: Management, folder: Path) -> dict[str, str]:
    return {
        service: rabbitmq.make_user(management, service=service, url=_url(folder, service, "AMQP_URL"))
        for service in mongodb.ROLE_OF
    }


def _url(folder: Path, service: str, name: str) -> str:
    """Return the URL in the service's file.

    Raises:
        UsageError: the file cannot be read.
    """
    path = folder / service / name
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}.") from error
