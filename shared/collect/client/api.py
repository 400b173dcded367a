"""The client: one object for one gateway and one key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any
from urllib.parse import quote

from collect.api.data import Dataset, Row, Team
from collect.client.errors import ClientError
from collect.client.files import FilesApi
from collect.client.jobs import JobsApi
from collect.client.pages import every
from collect.client.transport import OnRetry, Patience, Transport

URL_VARIABLE = "COLLECT_URL"
KEY_VARIABLE = "COLLECT_API_KEY"


class NotConfigured(ClientError):
    """The environment lacks the gateway's address or the API key."""

    code = "not_configured"


class DatasetsApi:
    """The calls on datasets (``client.datasets``)."""

    def __init__(self, *, transport: Transport) -> None:
        self._transport = transport

    def get(self, name: str) -> Dataset:
        """Return a dataset: its template, the job that holds it, and its number of rows."""
        body, _ = self._transport.json("GET", f"/v1/datasets/{name}")
        return Dataset.model_validate(body)

    def put(self, name: str, *, key: list[str], columns: list[dict[str, Any]]) -> Dataset:
        """Create a dataset, or change its template. Returns the dataset."""
        body, _ = self._transport.json("PUT", f"/v1/datasets/{name}", body={"key": key, "columns": columns})
        return Dataset.model_validate(body)

    def rows(self, name: str, *, key: str | None = None, most: int | None = None) -> Iterator[Row]:
        """Yield the stored rows: all, the first ``most``, or only those with ``key``."""
        return every(self._transport, f"/v1/datasets/{name}/rows", Row, {"key": key}, most=most)


class TeamsApi:
    """The calls on teams (``client.teams``)."""

    def __init__(self, *, transport: Transport) -> None:
        self._transport = transport

    def get(self, name: str) -> Team:
        """Return the team of that name."""
        body, _ = self._transport.json("GET", f"/v1/teams/{quote(name, safe='')}")
        return Team.model_validate(body)

    def list(self, *, name: str | None = None, most: int | None = None) -> Iterator[Team]:
        """Yield teams by name: all, or the first ``most``. ``name``: only teams whose name begins with it."""
        return every(self._transport, "/v1/teams", Team, {"name": name}, most=most)


class CollectClient:
    """A client of one gateway with one API key. Its calls block. Safe for several threads. Use it with ``with``."""

    def __init__(
        self, *, url: str, api_key: str, patience: Patience | None = None, on_retry: OnRetry | None = None
    ) -> None:
        self._transport = Transport(url=url, api_key=api_key, patience=patience or Patience(), on_retry=on_retry)
        self.files = FilesApi(transport=self._transport)
        self.jobs = JobsApi(transport=self._transport)
        self.datasets = DatasetsApi(transport=self._transport)
        self.teams = TeamsApi(transport=self._transport)

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str], *, patience: Patience | None = None, on_retry: OnRetry | None = None
    ) -> CollectClient:
        """Return a client for the address and key in ``COLLECT_URL`` and ``COLLECT_API_KEY``.

        Raises:
            NotConfigured: at least one of the two is missing; the message names all that are missing.
        """
        missing = [name for name in (URL_VARIABLE, KEY_VARIABLE) if not environment.get(name)]
        if missing:
            raise NotConfigured(
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set. The gateway's address and a "
                "key are needed; on a machine with the demo: set -a; . .local/demo.env; set +a"
            )
        url, api_key = environment[URL_VARIABLE], environment[KEY_VARIABLE]
        return cls(url=url, api_key=api_key, patience=patience, on_retry=on_retry)

    @property
    def url(self) -> str:
        return self._transport.url

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> CollectClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
