"""The settings that each service reads from its environment variables, once, in its ``__main__``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

S = TypeVar("S", bound=BaseSettings)

EXIT_CODE = 78
"""The exit code of a process whose settings are wrong (EX_CONFIG of sysexits.h). Starting it again does not help."""

PLAIN = SettingsConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True, allow_inf_nan=False)
"""The pydantic configuration of all settings.

Spaces and newlines at the ends are removed, because a file that a Secret is made from often ends with a newline.
Infinite numbers are refused, because no time lasts for ever.
"""

DatabaseName = Annotated[str, Field(pattern=r'^[^\s./\\"$]{1,63}$')]
"""A name of a database that MongoDB accepts."""

_SECRETS = ("url", "secret", "password", "key")


class InvalidSettings(Exception):
    """Some settings are missing or wrong. The message names their environment variables."""


def readable(read: Callable[[str], object]) -> AfterValidator:
    """Return a validator that refuses a URL if ``read`` fails on it.

    The message of ``read``'s error is left out, because it may contain a part of a password.
    """

    def check(url: str) -> str:
        try:
            read(url)
        except (ValueError, PyMongoError):
            raise PydanticCustomError(
                "url", "cannot be read; what is special in a name or a password is written as %XX"
            ) from None
        return url

    return AfterValidator(check)


def _read_mongodb(url: str) -> None:
    # Parsing a `mongodb+srv://` URL looks up its servers in DNS, which may not answer yet when the service starts.
    if url.startswith("mongodb://"):
        parse_uri(url, validate=False)


class ServerSettings(BaseSettings):
    """The addresses of the servers. URLs may contain passwords, so they are masked where settings are shown."""

    model_config = PLAIN

    mongodb_url: Annotated[str, readable(_read_mongodb)] = Field(
        pattern=r"^mongodb(\+srv)?://", validation_alias="MONGODB_URL"
    )
    mongodb_database: DatabaseName = Field(default="collect", validation_alias="MONGODB_DATABASE")
    amqp_url: Annotated[str, readable(lambda url: urlsplit(url).port)] = Field(
        pattern=r"^amqps?://", validation_alias="AMQP_URL"
    )
    storage_url: str = Field(
        default="gridfs://", pattern=r"^(gridfs://|file:///|(s3|gs|az)://.)", validation_alias="STORAGE_URL"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", validation_alias="LOG_LEVEL")


class RuntimeSettings(ServerSettings):
    """The times of the runtime. Workers and monitor must have the same values."""

    lease_seconds: float = Field(default=30.0, gt=0, validation_alias="COLLECT_LEASE_SECONDS")
    grace_seconds: float = Field(default=5.0, gt=0, validation_alias="COLLECT_GRACE_SECONDS")
    broker_heartbeat_seconds: int = Field(default=10, ge=1, le=600, validation_alias="COLLECT_BROKER_HEARTBEAT_SECONDS")


class WorkerProcessSettings(RuntimeSettings):
    """The settings of one worker pod."""

    slots: int = Field(default=2, ge=1, le=64, validation_alias="COLLECT_SLOTS")
    version: str = Field(default="dev", validation_alias="COLLECT_VERSION")
    fault_points: str = Field(default="", validation_alias="COLLECT_FAULT_POINTS")
    metrics_port: int | None = Field(default=None, ge=1, le=65535, validation_alias="COLLECT_METRICS_PORT")
    image: bool = Field(default=False, validation_alias="COLLECT_IMAGE")


def read(settings: type[S], *, service: str) -> S:
    """Read the settings and return them.

    If some are missing or wrong, all of them are listed on stderr and the process ends with :data:`EXIT_CODE`. With
    the argument ``--print-config`` the settings are printed, secrets masked, and the process ends.
    """
    try:
        found = load(settings, service=service)
    except InvalidSettings as refusal:
        sys.stderr.write(f"{refusal}\n")
        raise SystemExit(EXIT_CODE) from refusal
    if "--print-config" in sys.argv[1:]:
        for name, value in masked(found).items():
            sys.stdout.write(f"{name} = {value!r}\n")
        raise SystemExit(0)
    return found


def load(settings: type[S], *, service: str) -> S:
    """Read the settings and return them.

    Raises:
        InvalidSettings: some settings are missing or wrong.
    """
    try:
        return settings()
    except ValidationError as error:
        # The values are left out of the message: they may be secrets.
        lines = [f"  {problem['loc'][0]}: {problem['msg']}" for problem in error.errors()]
        raise InvalidSettings(
            f"{service} cannot start; of its settings are missing or wrong:\n" + "\n".join(lines)
        ) from None


def masked(settings: BaseSettings) -> dict[str, Any]:
    """Return the settings by name, with the values that may contain a secret masked."""
    return {
        name: "…" if any(word in name for word in _SECRETS) and value else value
        for name, value in settings.model_dump().items()
    }
