"""What the gateway reads from its environment."""

from __future__ import annotations

from pydantic import Field

from collect.settings import ServerSettings


class GatewaySettings(ServerSettings):
    """One gateway pod. Limits are in bytes and seconds."""

    max_body_bytes: int = Field(default=1024 * 1024, ge=1024, validation_alias="COLLECT_MAX_BODY_BYTES")
    max_wait_seconds: float = Field(default=60.0, gt=0, validation_alias="COLLECT_MAX_WAIT_SECONDS")
    max_polls: int = Field(default=12, ge=1, validation_alias="COLLECT_MAX_POLLS")
    """How many requests of a process may wait for a job at once; fewer than it has threads, so that others get on."""
    file_days: int = Field(default=30, ge=1, validation_alias="COLLECT_FILE_DAYS")
    version: str = Field(default="dev", validation_alias="COLLECT_VERSION")
