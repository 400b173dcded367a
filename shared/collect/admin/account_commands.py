"""`collect-admin roles` and `accounts`: what the services may do on the servers, and as whom."""

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
@click.option("--apply", is_flag=True, help="Create them on the server, or change what is there.")
@json_option
@pass_admin
def roles(admin: Admin, apply: bool) -> None:
    """Show the MongoDB roles of the services' accounts: what each service does, and nothing more.

    Printed as `createRole` takes them. --apply needs an account that may manage roles; run it before the services are
    given accounts with these roles, and again before each deploy.
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
    """Make the services' accounts on MongoDB and RabbitMQ, with least rights, or change what is there.

    FOLDER has a folder for each service (gateway, upload-worker, …) with files MONGODB_URL and AMQP_URL, as a Secret
    that is mounted looks: the names and passwords in these URLs are those of the accounts. Needs MONGODB_URL and
    RABBITMQ_MANAGEMENT_URL of an operator. A password that has changed there is changed on the servers: connections
    that are open stay.
    """
    management_url = admin.broker.management_url
    if not management_url:
        raise click.UsageError("RABBITMQ_MANAGEMENT_URL is missing: accounts on the broker are made through it.")
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
    made = {each: {"mongodb": on_mongodb[each], "rabbitmq": on_rabbitmq[each]} for each in mongodb.ROLE_OF}
    lines = [f"{service}: {of['mongodb']} on MongoDB, {of['rabbitmq']} on RabbitMQ" for service, of in made.items()]
    admin.answer(made, lines)


def _check(names: list[str | None], operator: str | None, where: str) -> None:
    """Raises UsageError: one account for two services, or the operator's, would get the rights of the last one."""
    if operator in names or len(set(names)) < len(names):
        raise click.UsageError(f"Each service needs an account of its own on {where}, and another than the operator's.")


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
    """What the file says.

    Raises:
        UsageError: it is not there.
    """
    path = folder / service / name
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}.") from error
