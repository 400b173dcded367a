"""A client for the broker's management API. It can put objects, which is all that the operators' commands need."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit


class Management:
    """A client for the API at ``url``, which contains the user name and the password. Blocking.

    Raises:
        OSError: the API does not answer within 10 seconds, or refuses the request.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        credentials = f"{unquote(parts.username or 'guest')}:{unquote(parts.password or 'guest')}"
        self._token = base64.b64encode(credentials.encode()).decode()
        self._root = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"

    def put(self, *path: str, body: Mapping[str, Any]) -> None:
        """Create or replace the object at ``path`` with ``body``. Idempotent."""
        request = urllib.request.Request(
            "/".join((self._root, "api", *(quote(word, safe="") for word in path))),
            data=json.dumps(body).encode(),
            method="PUT",
            headers={"Authorization": f"Basic {self._token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10):
            return
