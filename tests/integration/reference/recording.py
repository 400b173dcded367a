"""Requests to a running system, kept as the examples of the API reference."""

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import requests

from integration.gateway.described import DESCRIPTION

SECONDS = 60
MOST_CHARACTERS = 700
"""Of a text that is shown."""
SECRET = re.compile(r"ck_[0-9a-z]+_[0-9A-Za-z_-]+")
SHOWN_SECRET = "ck_01k0000000000000000000000_secret"


@dataclass(kw_only=True)
class Book:
    """Makes requests, and keeps those that have a name."""

    url: str
    keys: dict[str, str]
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def call(
        self, call: str, name: str | None = None, *, status: int = 200, key: str | None = "operator",
        query: dict[str, Any] | None = None, json_body: Any = None, text: str | None = None, kind: str = "text/csv",
        form: dict[str, str] | None = None, headers: dict[str, str] | None = None, path: dict[str, str] | None = None,
    ) -> requests.Response:  # fmt: skip
        """One request; ``call`` is like ``post /v1/jobs/{job_id}/pause``. Its answer is as it is described."""
        method, _, template = call.partition(" ")
        sent = {**({"Authorization": f"Bearer {self.keys[key]}"} if key else {}), **(headers or {})}
        request: dict[str, Any] = {**({"path": path} if path else {}), **({"query": query} if query else {})}
        options: dict[str, Any] = {}
        if json_body is not None:
            options["json"] = json_body
            request |= {"content_type": "application/json", "body": json_body}
        elif form is not None:
            options["files"] = {part: _part(part, value) for part, value in form.items()}
            request |= {"content_type": "multipart/form-data", "body": form}
        elif text is not None:
            options["data"] = text.encode()
            sent["Content-Type"] = kind
            request |= {"content_type": kind, "body": text}
        where = template.format(**{part: quote(value, safe="") for part, value in (path or {}).items()})
        answer = requests.request(
            method.upper(), self.url + where, params=query, headers=sent, timeout=SECONDS, **options
        )
        assert answer.status_code == status, f"{call}: {answer.status_code} {answer.text[:2000]}"
        DESCRIPTION.check(method, where, status=status, headers=answer.headers, body=answer.content)
        if name is not None:
            shown = {"name": name, "request": request, "answer": _shown(answer)}
            self.examples.setdefault(call, []).append(json.loads(SECRET.sub(SHOWN_SECRET, json.dumps(shown))))
        return answer


def _part(name: str, value: str) -> tuple[str | None, bytes]:
    return (f"{name}.csv" if name == "file" else None), value.encode()


def _shown(answer: requests.Response) -> dict[str, Any]:
    kind = answer.headers.get("Content-Type", "").partition(";")[0]
    if kind.endswith("json"):
        body = answer.json()
    elif kind == "text/plain":  # metrics: their numbers are never the same
        lines = [
            line for line in answer.text.splitlines() if line.startswith("#") and "collect_request_seconds" in line
        ]
        body = "\n".join(lines)
    else:
        body = answer.content.decode()[:MOST_CHARACTERS]
    return {"status": answer.status_code, "content_type": kind, "body": body}


VOLATILE = frozenset(
    {
        "at", "cpu_seconds", "cursor", "effective_at", "epoch", "id", "key_id", "latency_ms", "next_cursor", "parts",
        "rows_per_second", "rss_bytes", "seconds", "seconds_left", "slots_free_at", "version", "worker",
    }
)  # fmt: skip
"""Fields whose values differ from one run to the next. Their types do not."""
CHANGING = re.compile(r"^[0-9a-z]{26}$|^\d{4}-\d\d-\d\dT|^[0-9a-f]{64}$|01[0-9a-z]{24}|127\.0\.0\.1|^key-")
"""Texts that do: ids, times and checksums, and sentences that name an id."""


def differences(before: Any, now: Any, *, at: str = "", name: str = "") -> list[str]:
    """Where an example no longer is what the system answers."""
    if isinstance(before, dict) and isinstance(now, dict):
        if before.keys() != now.keys():
            return [f"{at}: {sorted(before.keys() ^ now.keys())}"]
        return [found for key in before for found in differences(before[key], now[key], at=f"{at}.{key}", name=key)]
    if isinstance(before, list) and isinstance(now, list):
        if len(before) != len(now):
            return [f"{at}: {len(before)} and {len(now)} items"]
        pairs = enumerate(zip(before, now, strict=True))
        return [found for n, (one, other) in pairs for found in differences(one, other, at=f"{at}[{n}]", name=name)]
    if before == now or (_is_number(before) and _is_number(now) and name in VOLATILE):
        return []
    if name in VOLATILE and (type(before) is type(now) or before is None or now is None):
        return []
    if isinstance(before, str) and isinstance(now, str) and CHANGING.search(before) and CHANGING.search(now):
        return []
    return [f"{at}: {before!r} and {now!r}"]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
