"""What the gateway reads from its environment."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings
from redis.connection import parse_url

from collect.settings import PLAIN, ServerSettings, readable


class ServingSettings(BaseSettings):
    """How its processes serve connections."""

    model_config = PLAIN

    bind: str = Field(default="127.0.0.1:8080", validation_alias="COLLECT_BIND")
    workers: int = Field(default=2, ge=1, le=64, validation_alias="COLLECT_GATEWAY_WORKERS")
    threads: int = Field(default=32, ge=1, le=1000, validation_alias="COLLECT_GATEWAY_THREADS")
    silent_seconds: float = Field(default=30.0, gt=0, validation_alias="COLLECT_SILENT_SECONDS")
    """A client that neither sends nor takes a byte for so long loses its thread; a request's head has so long."""
    least_bytes_per_second: float = Field(default=1000.0, gt=0, validation_alias="COLLECT_LEAST_BYTES_PER_SECOND")
    """A body may be waited for ``silent_seconds``, and for as long again as what has come takes at this rate."""


class GatewaySettings(ServingSettings, ServerSettings):
    """One gateway pod. Limits are in bytes and seconds."""

    redis_url: Annotated[str, readable(parse_url)] = Field(pattern=r"^(rediss?|unix)://", validation_alias="REDIS_URL")
    max_body_bytes: int = Field(default=1024 * 1024, ge=1024, validation_alias="COLLECT_MAX_BODY_BYTES")
    max_wait_seconds: float = Field(default=60.0, gt=0, validation_alias="COLLECT_MAX_WAIT_SECONDS")
    max_polls: int = Field(default=12, ge=1, validation_alias="COLLECT_MAX_POLLS")
    """How many requests of a process may wait for a job at once; fewer than it has threads, so that others get on."""
    file_days: int = Field(default=30, ge=1, validation_alias="COLLECT_FILE_DAYS")
    version: str = Field(default="dev", validation_alias="COLLECT_VERSION")
