"""The connections of `collect-admin`. Settings are read from the environment when a command first needs them."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import click
from pydantic import Field
from pydantic_settings import BaseSettings

from collect import settings
from collect.api.answers import rfc3339
from collect.storage.database import Database, connect
from collect.storage.object_store import Blobs, open_blobs

S = TypeVar("S", bound=BaseSettings)


class DatabaseSettings(BaseSettings):
    """The settings that most commands need."""

    model_config = settings.PLAIN

    mongodb_url: str = Field(min_length=1, validation_alias="MONGODB_URL")
    mongodb_database: settings.DatabaseName = Field(default="collect", validation_alias="MONGODB_DATABASE")
    storage_url: str = Field(default="gridfs://", validation_alias="STORAGE_URL")


class BrokerSettings(BaseSettings):
    """The broker's settings. ``management_url``: address of its management API, for policies and accounts."""

    model_config = settings.PLAIN

    amqp_url: str = Field(min_length=1, validation_alias="AMQP_URL")
    management_url: str | None = Field(default=None, validation_alias="RABBITMQ_MANAGEMENT_URL")

    @property
    def vhost(self) -> str:
        """The virtual host in ``amqp_url``."""
        return unquote(urlsplit(self.amqp_url).path[1:]) or "/"


class Admin:
    """One run of the command. ``machine``: print only JSON on stdout."""

    def __init__(self) -> None:
        self.machine = False

    @cached_property
    def _stores(self) -> DatabaseSettings:
        return _read(DatabaseSettings)

    @property
    def database(self) -> str:
        """The name of the database. Does not connect."""
        return self._stores.mongodb_database

    @property
    def mongodb_url(self) -> str:
        """The database's address, with the operator's account."""
        return self._stores.mongodb_url

    @cached_property
    def db(self) -> Database:
        return connect(self._stores.mongodb_url, database=self._stores.mongodb_database, app_name="collect-admin")

    @cached_property
    def blobs(self) -> Blobs:
        return open_blobs(self._stores.storage_url, self.db)

    @cached_property
    def broker(self) -> BrokerSettings:
        return _read(BrokerSettings)

    def answer(self, value: Any, lines: list[str]) -> None:
        """Print ``value`` as JSON, or ``lines`` for people."""
        if self.machine:
            click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))
        else:
            for line in lines:
                click.echo(line)
        sys.stdout.flush()


def _read(wanted: type[S]) -> S:
    try:
        return settings.load(wanted, service="collect-admin")
    except settings.InvalidSettings as refusal:
        raise click.UsageError(str(refusal)) from refusal


pass_admin = click.make_pass_decorator(Admin, ensure=True)


def _set_machine(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Admin).machine = True


json_option = click.option(
    "--json",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_set_machine,
    help="JSON on stdout; messages on stderr.",
)


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return rfc3339(value)
    return str(value)
