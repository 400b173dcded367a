"""The warning about a likely mistake in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Warning:
    """A mistake that the file seems to have. ``message`` and ``evidence`` are for people, who decide.

    ``suggestion``: parameters that correct it when they are merged into the job's ``params`` (they replace parameters
    with the same name). It is ``None`` if no parameter corrects the mistake.
    """

    code: str
    message: str
    columns: tuple[str, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    suggestion: Mapping[str, Any] | None = None

    def sentence(self) -> str:
        """Return the message, and the suggestion that corrects the mistake, if there is one."""
        if self.suggestion is None:
            return self.message
        return f"{self.message} Restarted with {json.dumps(self.suggestion, ensure_ascii=False)} it would be right."


def percent(share: float) -> str:
    """Return a share as text, such as ``96 %``. ``0 %`` means none and ``100 %`` means all, never nearly so."""
    whole = round(100 * share)
    if whole == 0 and share > 0:
        return "under 1 %"
    if whole == 100 and share < 1:
        return "over 99 %"
    return f"{whole} %"


def of_a_sample(looked_at: int, total_rows: int | None) -> str:
    """Return the sentence that ends a warning which is based on a sample; an empty text if all rows were looked at."""
    if total_rows is None or looked_at >= total_rows:
        return ""
    return f" {looked_at:,} of {total_rows:,} rows were looked at."
