"""Sends HTTP requests with the API key and with timeouts, and repeats them where that is safe."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
from pydantic import ValidationError
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.auth import AuthBase

from collect.client.errors import ApiError, BadAnswer, ClientError, TooMany, Unreachable, from_answer

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_PASSING = frozenset({429, 502, 503, 504})
IN_PROGRESS = "request_in_progress"
RESULT_PENDING = "result_pending"
"""The code of an answer which says that the gateway still builds the result. It does not use up the time for tries."""


@dataclass(frozen=True, kw_only=True)
class Streamed:
    """An answer whose body is read in pieces while it arrives."""

    status: int
    headers: Mapping[str, str]
    pieces: Iterator[bytes]


OnRetry = Callable[[ClientError], None]
"""A function that is called, before a call is tried again, with the error of the last try."""


class Source(Protocol):
    """A stream from which a file is read."""

    def read(self, size: int = -1, /) -> bytes: ...

    def seekable(self) -> bool: ...

    def tell(self) -> int: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Patience:
    """The time limits of a call.

    ``retry_seconds`` limits all tries of one call together. The time in which the gateway answers ``result_pending`` is
    not counted.
    """

    connect_seconds: float = 5.0
    read_seconds: float = 60.0
    retry_seconds: float = 30.0


class Transport:
    """An HTTP session with one gateway. Its calls block. Safe for several threads.

    A call is tried again, with growing pauses, when there was no answer, when the status is 429, 502, 503 or 504, or
    when the same request is still being handled (409). That is safe: a GET changes nothing, a verb is idempotent, and a
    POST that creates uses one idempotency key for all tries.
    """

    def __init__(
        self,
        *,
        url: str,
        api_key: str,
        patience: Patience,
        on_retry: OnRetry | None = None,
        adapter: BaseAdapter | None = None,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ClientError(f"{url!r} is no address of a gateway; it looks like http://127.0.0.1:8080.")
        self.url = url.rstrip("/")
        self.patience = patience
        self._on_retry = on_retry
        self._sleep = sleep
        self._monotonic = monotonic
        self._session = requests.Session()
        self._session.auth = _Bearer(api_key)  # an auth object, so that a .netrc of the user's does not replace it
        self._session.trust_env = urlsplit(url).hostname not in LOOPBACK  # no proxy between this machine and itself
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter or HTTPAdapter(pool_maxsize=16))
        self._session.headers.update(
            {"User-Agent": f"collect/{_version()}", "Accept": "application/json, application/problem+json"}
        )

    def close(self) -> None:
        self._session.close()

    def json(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        wait_seconds: float = 0.0,
    ) -> tuple[Any, Mapping[str, str]]:
        """Send a request, and return the decoded answer and its headers.

        ``wait_seconds``: how long the server may hold back the answer; it is added to the timeout.
        """
        response = self._call(method, path, params=params, json=body, headers=headers, wait_seconds=wait_seconds)
        return self._decoded(response), response.headers

    def create(
        self,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any,
        idempotency_key: str | None = None,
        wait_seconds: float = 0.0,
    ) -> tuple[Any, Mapping[str, str]]:
        """Send a POST that creates something. All its tries have one idempotency key, so it takes effect only once."""
        headers = {"Idempotency-Key": idempotency_key or new_idempotency_key()}
        return self.json("POST", path, params=params, body=body, headers=headers, wait_seconds=wait_seconds)

    def send(
        self, path: str, *, source: Source | bytes, params: Mapping[str, Any], headers: Mapping[str, str]
    ) -> tuple[Any, Mapping[str, str]]:
        """Send a file unchanged, in pieces, as a POST. It is tried again only if ``source`` can be read again."""
        start = source.tell() if not isinstance(source, bytes) and source.seekable() else None
        headers = {"Content-Type": "application/octet-stream", **headers}

        def rewind() -> bool:
            if isinstance(source, bytes):
                return True
            if start is not None:
                source.seek(start)
            return start is not None

        response = self._call("POST", path, params=params, data=source, headers=headers, rewind=rewind)
        return self._decoded(response), response.headers

    def form(
        self,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        fields: Mapping[str, Any],
        name: str,
        content: bytes,
        idempotency_key: str | None = None,
    ) -> tuple[Any, Mapping[str, str]]:
        """Send a small file and text fields as a multipart POST. All its tries have one idempotency key."""
        headers = {"Idempotency-Key": idempotency_key or new_idempotency_key()}
        parts = {"file": (name, content, "text/csv")}
        response = self._call("POST", path, params=params, data=fields, files=parts, headers=headers)
        return self._decoded(response), response.headers

    @contextmanager
    def stream(self, path: str, *, params: Mapping[str, Any] | None = None) -> Iterator[Iterator[bytes]]:
        """Yield the bytes of an answer, in pieces. Raises :class:`Unreachable` if the answer breaks off."""
        with self.answer(path, params=params) as found:
            yield found.pieces

    @contextmanager
    def answer(
        self, path: str, *, params: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[Streamed]:
        """Yield an answer whose bytes come in pieces. Raises :class:`Unreachable` if the answer breaks off."""
        response = self._call("GET", path, params=params, stream=True, headers={"Accept": "*/*", **(headers or {})})
        try:
            yield Streamed(status=response.status_code, headers=response.headers, pieces=self._pieces(response))
        finally:
            response.close()

    def heed(self, headers: Mapping[str, str], *, most: float) -> None:
        """Sleep for the time in the header ``Retry-After``, at most ``most`` seconds. Return at once without it."""
        seconds = _seconds(headers.get("Retry-After"))
        if seconds is not None:
            self._sleep(min(most, seconds))

    def _decoded(self, response: requests.Response) -> Any:
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError as error:
            raise BadAnswer(f"{self.url} answered with something that is no JSON: is the address right?") from error

    def _pieces(self, response: requests.Response) -> Iterator[bytes]:
        try:
            yield from response.iter_content(256 * 1024)
        except requests.RequestException as error:
            raise Unreachable(f"The answer of {self.url} broke off.") from error

    def _call(
        self,
        method: str,
        path: str,
        *,
        rewind: Callable[[], bool] = lambda: True,
        wait_seconds: float = 0.0,
        **options: Any,
    ) -> requests.Response:
        answered = self._monotonic()
        deadline = answered + self.patience.retry_seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                return self._once(method, path, wait_seconds=wait_seconds, **options)
            except (ApiError, Unreachable) as error:
                before, answered = answered, self._monotonic()
                # Only the time of this try is added. A new deadline at each try would never come if building fails.
                if error.code == RESULT_PENDING:
                    deadline += answered - before
                again = _again_in(error, pause * random.uniform(0.5, 1.5))
                if again is None or answered + again > deadline or not rewind():
                    raise
                if self._on_retry is not None:
                    self._on_retry(error)
            self._sleep(again)
            pause = min(LONGEST_PAUSE_SECONDS, pause * 2)

    def _once(self, method: str, path: str, *, wait_seconds: float, **options: Any) -> requests.Response:
        timeout = (self.patience.connect_seconds, self.patience.read_seconds + wait_seconds)
        try:
            response = self._session.request(method, self.url + path, timeout=timeout, allow_redirects=False, **options)
        except (requests.ConnectionError, requests.Timeout) as error:
            raise Unreachable(f"{self.url} does not answer ({_cause(error)}).") from error
        except requests.RequestException as error:
            raise ClientError(f"The request could not be made: {error}") from error
        if response.status_code < 300:
            return response
        raise self._error(response)

    def _error(self, response: requests.Response) -> ClientError:
        if response.status_code < 400:
            return BadAnswer(f"{self.url} sends elsewhere ({response.status_code}): is the address right?")
        try:
            body = response.json()
        except ValueError:
            body = None
        try:
            error = from_answer(response.status_code, body)
        except ValidationError:
            error = from_answer(response.status_code, None)
        error.retry_after_seconds = _seconds(response.headers.get("Retry-After"))
        return error


class _Bearer(AuthBase):
    def __init__(self, api_key: str) -> None:
        self._value = f"Bearer {api_key}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._value
        return request


def new_idempotency_key() -> str:
    """Return a new, unique idempotency key."""
    return uuid.uuid4().hex


def _again_in(error: ApiError | Unreachable, pause: float) -> float | None:
    """Return the seconds until the next try, or ``None`` when another try would not help."""
    if isinstance(error, Unreachable):
        return pause
    if error.status in _PASSING or (error.status == 409 and error.code == IN_PROGRESS):
        if error.retry_after_seconds is not None:
            return max(pause, error.retry_after_seconds) if isinstance(error, TooMany) else error.retry_after_seconds
        return pause
    return None


def _seconds(header: str | None) -> float | None:
    try:
        return None if header is None else max(0.0, float(header))
    except ValueError:
        return None


def _cause(error: BaseException) -> str:
    """Return the innermost reason of an error in words: the part on which a user can act."""
    match error:
        case requests.ConnectTimeout():
            return "it did not accept the connection in time"
        case requests.Timeout():
            return "it did not answer in time"
        case _:
            text = str(error)
            return "nobody listens there" if "refused" in text else text.rsplit(":", 1)[-1].strip(" )'\"") or "no words"


def _version() -> str:
    try:
        return version("collect-jobs")
    except PackageNotFoundError:
        return "unknown"
