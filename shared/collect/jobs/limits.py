"""The limits of an organisation, and the roles of its API keys."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["viewer", "operator", "admin", "platform"]
ROLES: tuple[Role, ...] = ("viewer", "operator", "admin", "platform")
"""The roles, from the least rights to the most. Each role has all rights of those before it."""


class Limits(BaseModel):
    """The limits of one organisation. Its admins change them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    concurrent_jobs: int = Field(default=8, ge=1, le=1000)
    confirm_threshold_rows: int = Field(default=1_000_000, ge=0)
    max_upload_bytes: int = Field(default=10 * 1024**3, ge=1)
    undo_days: int = Field(default=7, ge=0, le=365)
    retention_days: int = Field(default=30, ge=1, le=3650)
    requests_per_minute: int = Field(default=6_000, ge=1)
