"""A blob store in a dict, as fast as a unit test wants it."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from collect.errors import NotFound


class MemoryBlobs:
    def __init__(self, contents: Mapping[str, bytes] | None = None) -> None:
        self.contents = dict(contents or {})

    def size(self, name: str) -> int:
        return len(self._get(name))

    def read(self, name: str, offset: int, length: int) -> bytes:
        return self._get(name)[offset : offset + length]

    def write(self, name: str, data: Iterable[bytes]) -> int:
        self.contents[name] = b"".join(data)
        return len(self.contents[name])

    def delete(self, name: str) -> None:
        self.contents.pop(name, None)

    def delete_prefix(self, prefix: str) -> int:
        found = [name for name in self.contents if name.startswith(prefix)]
        for name in found:
            self.delete(name)
        return len(found)

    def stretch(self, name: str, start: int, end: int) -> Iterator[bytes]:
        if end > self.size(name):
            raise NotFound(f"The blob {name!r} ends before {end}.")
        if start < end:
            yield self.read(name, start, end - start)

    def stored(self, prefix: str = "") -> Iterator[tuple[str, datetime]]:
        yield from ((name, datetime.now(UTC)) for name in sorted(self.contents) if name.startswith(prefix))

    def sweep(self, before: datetime) -> int:
        return 0

    def _get(self, name: str) -> bytes:
        try:
            return self.contents[name]
        except KeyError:
            raise NotFound(f"There is no blob {name!r}.") from None
