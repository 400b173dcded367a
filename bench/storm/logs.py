"""What the services themselves call an error. Whatever breaks around them, they have an answer to it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from storm.findings import Findings

BAD = frozenset({"error", "critical"})
THEIRS = ("pika", "gunicorn", "kombu", "amqp", "pymongo", "werkzeug")
"""Libraries, for which a lost connection is an error already."""


def check(folder: Path, findings: Findings) -> None:
    """One finding for each event that a service has logged as an error, with its number and one example."""
    seen: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for path in sorted(folder.glob("*.log")):
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                event = _error(line)
                if event is not None:
                    seen[event] += 1
                    examples.setdefault(event, f"{path.name}: {line.strip()[:600]}")
    for event, times in seen.items():
        findings.add("logged", f"{event}, {times} times; {examples[event]}")


def _error(line: str) -> str | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return "a crash" if line.startswith("Traceback") else None
    if not isinstance(entry, dict) or entry.get("level") not in BAD:
        return None
    logger = str(entry.get("logger"))
    return None if logger.startswith(THEIRS) else f"{entry.get('service')} {entry.get('event')}"
