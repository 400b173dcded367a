"""What looks like a mistake in a file, before anything is done with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Warning:
    """A mistake that the file seems to have. ``message`` and ``evidence`` are for people, who decide.

    ``suggestion`` mends it when it is merged into the job's ``params`` (its values take the place of those that are
    there), and is ``None`` where nothing would.
    """

    code: str
    message: str
    columns: tuple[str, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    suggestion: Mapping[str, Any] | None = None

    def sentence(self) -> str:
        """The message, and what mends it."""
        if self.suggestion is None:
            return self.message
        return f"{self.message} Restarted with {json.dumps(self.suggestion, ensure_ascii=False)} it would be right."


def percent(share: float) -> str:
    """A share as it is said: ``96 %``; never ``0 %`` or ``100 %`` for some or nearly all."""
    whole = round(100 * share)
    if whole == 0 and share > 0:
        return "under 1 %"
    if whole == 100 and share < 1:
        return "over 99 %"
    return f"{whole} %"


def of_a_sample(looked_at: int, total_rows: int | None) -> str:
    """Return the sentence that a warning ends with where a preview did not look at all rows; else nothing."""
    if total_rows is None or looked_at >= total_rows:
        return ""
    return f" {looked_at:,} of {total_rows:,} rows were looked at."
