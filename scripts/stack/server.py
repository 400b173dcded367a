"""What every server of the stack has in common: how it is started, and how one knows that it is ready."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


class ServerMissing(Exception):
    """The programme of a server is not on this machine; `make up` installs it."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """One process to run in the foreground. `prepare()` writes its files; `ready()` may be asked at any time."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[Path, ...] = ()
    files: Mapping[Path, str] = field(default_factory=dict)
    ready: Callable[[], bool]
    ready_seconds: float
    stop_seconds: int

    def prepare(self) -> None:
        for folder in self.folders:
            folder.mkdir(parents=True, exist_ok=True)
        for path, text in self.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
