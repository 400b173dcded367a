"""What happened, one JSON object a line, so that a failure can be read afterwards."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class Log:
    """Written by any thread; every line is on disk when ``write`` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._file = path.open("w", encoding="utf-8", buffering=1)

    def write(self, what: str, **fields: Any) -> None:
        """``t``: seconds since the beginning."""
        line = {"t": round(time.monotonic() - self._began, 3), "at": datetime.now(UTC).isoformat(), "what": what}
        with self._lock:
            self._file.write(json.dumps({**line, **fields}, default=str) + "\n")

    def close(self) -> None:
        self._file.close()
