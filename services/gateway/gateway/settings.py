"""The settings that the gateway reads from its environment."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings
from redis.connection import parse_url

from collect.settings import PLAIN, ServerSettings, readable


class ServingSettings(BaseSettings):
    """The settings by which the gateway's processes serve connections."""

    model_config = PLAIN

    bind: str = Field(default="127.0.0.1:8080", validation_alias="COLLECT_BIND")
    workers: int = Field(default=2, ge=1, le=64, validation_alias="COLLECT_GATEWAY_WORKERS")
    threads: int = Field(default=32, ge=1, le=1000, validation_alias="COLLECT_GATEWAY_THREADS")
    silent_seconds: float = Field(default=30.0, gt=0, validation_alias="COLLECT_SILENT_SECONDS")
    """Longest silence of a client before it loses its thread; also the longest time for the head of a request."""
    least_bytes_per_second: float = Field(default=1000.0, gt=0, validation_alias="COLLECT_LEAST_BYTES_PER_SECOND")
    """Lowest rate of a body. The wait for it is at most ``silent_seconds`` plus the bytes received over this rate."""


class GatewaySettings(ServingSettings, ServerSettings):
    """The settings of one gateway pod. Limits are in bytes and seconds."""

    redis_url: Annotated[str, readable(parse_url)] = Field(pattern=r"^(rediss?|unix)://", validation_alias="REDIS_URL")
    max_body_bytes: int = Field(default=1024 * 1024, ge=1024, validation_alias="COLLECT_MAX_BODY_BYTES")
    max_wait_seconds: float = Field(default=60.0, gt=0, validation_alias="COLLECT_MAX_WAIT_SECONDS")
    max_polls: int = Field(default=12, ge=1, validation_alias="COLLECT_MAX_POLLS")
    """Most requests of one process that wait for a job. Fewer than its threads, so that others are served."""
    file_days: int = Field(default=30, ge=1, validation_alias="COLLECT_FILE_DAYS")
    version: str = Field(default="dev", validation_alias="COLLECT_VERSION")
