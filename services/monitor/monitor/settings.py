"""The monitor's settings, which its ``__main__`` reads once from the environment."""

from __future__ import annotations

from pydantic import Field

from collect.settings import RuntimeSettings


class MonitorSettings(RuntimeSettings):
    """The settings of one monitor. Several monitors may run at once; only the lease must be the same for all."""

    host: str = Field(default="127.0.0.1", validation_alias="MONITOR_HOST")
    port: int = Field(default=8081, ge=0, le=65535, validation_alias="MONITOR_PORT")
    tick_seconds: float = Field(default=1.0, gt=0, validation_alias="COLLECT_MONITOR_TICK_SECONDS")
    relay_after_seconds: float = Field(default=3.0, ge=0, validation_alias="COLLECT_RELAY_AFTER_SECONDS")
    sweep_after_seconds: float = Field(default=5.0, gt=0, validation_alias="COLLECT_SWEEP_AFTER_SECONDS")
    sweep_busy_after_seconds: float = Field(default=600.0, gt=0, validation_alias="COLLECT_SWEEP_BUSY_AFTER_SECONDS")
    max_expired_leases: int = Field(default=100, ge=1, validation_alias="COLLECT_MAX_EXPIRED_LEASES")
    worker_seen_seconds: float = Field(default=10.0, gt=0, validation_alias="COLLECT_WORKER_SEEN_SECONDS")
    retention_tick_seconds: float = Field(default=60.0, gt=0, validation_alias="COLLECT_RETENTION_TICK_SECONDS")
    leftovers_tick_seconds: float = Field(default=600.0, gt=0, validation_alias="COLLECT_LEFTOVERS_TICK_SECONDS")
    leftover_after_seconds: float = Field(default=86_400.0, gt=0, validation_alias="COLLECT_LEFTOVER_AFTER_SECONDS")
