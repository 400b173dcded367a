"""What every service reads from its environment, once, in its ``__main__``."""

from __future__ import annotations

import sys
from typing import Any, NoReturn, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

S = TypeVar("S", bound=BaseSettings)

_SECRETS = ("url", "secret", "password", "key")


class ServerSettings(BaseSettings):
    """Where the servers are. URLs may carry passwords, so they are masked wherever settings are shown."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    mongodb_url: str = Field(validation_alias="MONGODB_URL")
    mongodb_database: str = Field(default="collect", validation_alias="MONGODB_DATABASE")
    amqp_url: str = Field(validation_alias="AMQP_URL")
    redis_url: str = Field(validation_alias="REDIS_URL")
    storage_url: str = Field(default="gridfs://", validation_alias="STORAGE_URL")
    log_level: str = Field(default="INFO", validation_alias="LOG_LEVEL")


class RuntimeSettings(ServerSettings):
    """How the running of jobs is timed; workers and monitor must agree on it."""

    lease_seconds: float = Field(default=30.0, gt=0, validation_alias="COLLECT_LEASE_SECONDS")
    grace_seconds: float = Field(default=5.0, gt=0, validation_alias="COLLECT_GRACE_SECONDS")
    broker_heartbeat_seconds: int = Field(default=10, ge=1, le=600, validation_alias="COLLECT_BROKER_HEARTBEAT_SECONDS")


class WorkerProcessSettings(RuntimeSettings):
    """One worker pod."""

    slots: int = Field(default=2, ge=1, le=64, validation_alias="COLLECT_SLOTS")
    version: str = Field(default="dev", validation_alias="COLLECT_VERSION")
    fault_points: str = Field(default="", validation_alias="COLLECT_FAULT_POINTS")
    metrics_port: int | None = Field(default=None, ge=1, le=65535, validation_alias="COLLECT_METRICS_PORT")
    image: bool = Field(default=False, validation_alias="COLLECT_IMAGE")


def read(settings: type[S], *, service: str) -> S:
    """Read the settings, or end the process with all that is missing or wrong, said at once.

    ``--print-config`` among the arguments prints them, secrets masked, and ends.
    """
    try:
        found = settings()
    except ValidationError as error:
        _refuse(service, error)
    if "--print-config" in sys.argv[1:]:
        for name, value in masked(found).items():
            sys.stdout.write(f"{name} = {value!r}\n")
        raise SystemExit(0)
    return found


def masked(settings: BaseSettings) -> dict[str, Any]:
    """The settings, with whatever may hold a secret masked."""
    return {
        name: "…" if any(word in name for word in _SECRETS) and value else value
        for name, value in settings.model_dump().items()
    }


def _refuse(service: str, error: ValidationError) -> NoReturn:
    lines = [f"  {problem['loc'][0]}: {problem['msg']}" for problem in error.errors()]
    raise SystemExit(f"{service} cannot start; its settings are not complete:\n" + "\n".join(lines))
