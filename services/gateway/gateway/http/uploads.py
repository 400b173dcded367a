"""Reads uploaded files, from a raw or a multipart body, and writes them to the blob store in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

from flask import request
from pymongo.errors import PyMongoError
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from collect.errors import FieldError, InvalidInput, TooLarge, Transient
from collect.storage import files
from collect.storage.files import InputFile
from gateway.http.auth import caller
from gateway.http.json_body import broken_off
from gateway.services import services

PIECE_BYTES = 256 * 1024
MAX_NAME_CHARACTERS = 255
MAX_PARTS = 20
MULTIPART = "multipart/form-data"
FILE = "file"


@dataclass(kw_only=True)
class Sent:
    """The fields and the file of a request. ``kept``: the file is recorded in the database, so its bytes must stay."""

    fields: dict[str, str] = field(default_factory=dict)
    file: InputFile | None = None
    kept: bool = False

    def keep(self) -> None:
        self.kept = True


def is_multipart() -> bool:
    """Return whether the request has a multipart body."""
    return request.mimetype == MULTIPART


@contextmanager
def raw(name: str | None, *, most_bytes: int | None = None) -> Iterator[Sent]:
    """Yield the body as a file. Its bytes are deleted after the block, unless the block keeps them.

    ``most_bytes``: the largest size of this file, if it is smaller than the organisation's limit.

    Raises:
        InvalidInput: the name is missing or invalid, or the body ends too early.
        TooLarge: the body has more bytes than allowed.
    """
    most = _most_bytes(most_bytes)
    if request.content_length is not None and request.content_length > most:
        raise _too_large(most)
    named = checked_name(name)
    with _kept_or_discarded(Sent()) as sent:
        sent.file = _stored(named, _pieces(request.stream, request.content_length), most)
        yield sent


@contextmanager
def multipart(*names: str, file_name: str | None = None, most_bytes: int | None = None) -> Iterator[Sent]:
    """Yield the fields called ``names`` and the part ``file``, which may come in any order.

    The bytes of the file are deleted after the block, unless the block keeps them. ``most_bytes``: see :func:`raw`.

    Raises:
        InvalidInput: the body is malformed, or has a part of another name.
        TooLarge: the body is too large. Raised before it is read if its length is given, else while it is read.
    """
    most = _most_bytes(most_bytes)
    if request.content_length is not None and request.content_length > most + services().settings.max_body_bytes:
        raise _too_large(most)
    with _kept_or_discarded(Sent()) as sent:
        events = _events(request.stream)
        for event in events:
            match event:
                case File(name=name, filename=shown) if name == FILE and sent.file is None:
                    sent.file = _stored(checked_name(file_name or shown), _data(events), most)
                case Field(name=name) if name in names and name not in sent.fields:
                    sent.fields[name] = _text(name, _data(events))
                case File(name=name) | Field(name=name):
                    raise _unexpected(name, names)
        yield sent


@contextmanager
def _kept_or_discarded(sent: Sent) -> Iterator[Sent]:
    try:
        yield sent
    except (Transient, PyMongoError):
        sent.keep()  # the commit may have succeeded although its answer was lost; then the file's bytes are needed
        raise
    finally:
        if sent.file is not None and not sent.kept:
            files.discard(services().blobs, sent.file)


def checked_name(name: str | None) -> str:
    """Return the last part of the name, without the sender's path. A name is only shown; no file is opened by it.

    Raises:
        InvalidInput: the name is missing, too long, or not printable.
    """
    last = (name or "").replace("\\", "/").rsplit("/", 1)[-1].strip()
    if not last or last in {".", ".."} or len(last) > MAX_NAME_CHARACTERS or not last.isprintable():
        error = FieldError("name", "bad_name", f"Name the file: 1 to {MAX_NAME_CHARACTERS} printable characters.")
        raise InvalidInput(error.message, errors=[error])
    return last


def _stored(name: str, data: Iterator[bytes], most_bytes: int) -> InputFile:
    return files.store(
        services().blobs,
        org_id=caller().org_id,
        name=name,
        data=data,
        max_bytes=most_bytes,
        keep_days=services().settings.file_days,
    )


def _most_bytes(wanted: int | None) -> int:
    most = caller().organisation.limits.max_upload_bytes
    return most if wanted is None else min(most, wanted)


def _pieces(stream: IO[bytes], length: int | None) -> Iterator[bytes]:
    """Yield the body in pieces. Checks its length, since the server gives no error when the sender goes away.

    Raises:
        InvalidInput: the body ends before ``length`` bytes.
    """
    came = 0
    while piece := _read(stream):
        came += len(piece)
        yield piece
    if length is not None and came < length:
        raise broken_off()


def _read(stream: IO[bytes]) -> bytes:
    try:
        return stream.read(PIECE_BYTES)
    except TimeoutError:  # answered with 408; it is an OSError, but the body did not break off
        raise
    except OSError as error:  # a chunked body without its end
        raise broken_off() from error


def _events(stream: IO[bytes]) -> Iterator[Event]:
    """Yield the events of a multipart body. At most one piece of it is in memory."""
    boundary = request.mimetype_params.get("boundary", "")
    most = services().settings.max_body_bytes + PIECE_BYTES
    try:
        decoder = MultipartDecoder(boundary.encode("ascii"), most, max_parts=MAX_PARTS)
        while True:
            decoder.receive_data(_read(stream) or None)
            while not isinstance(event := decoder.next_event(), NeedData):
                yield event
                if isinstance(event, Epilogue):
                    return
    except ValueError as error:
        raise InvalidInput(
            "The multipart body cannot be read to its end.", code="malformed_multipart", malformed=True
        ) from error


def _data(events: Iterator[Event]) -> Iterator[bytes]:
    """Yield the bytes of the present part."""
    for event in events:
        if isinstance(event, Data):
            if event.data:
                yield bytes(event.data)
            if not event.more_data:
                return


def _text(name: str, data: Iterator[bytes]) -> str:
    most = services().settings.max_body_bytes
    whole = b""
    for piece in data:
        whole += piece
        if len(whole) > most:
            raise TooLarge(f"The part `{name}` has at most {most:,} bytes.")
    try:
        return whole.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"The part `{name}` is not UTF-8.", code="malformed_multipart", malformed=True) from error


def _unexpected(name: str | None, names: tuple[str, ...]) -> InvalidInput:
    known = ", ".join(f"`{one}`" for one in (FILE, *names))
    error = FieldError((name or "")[:100], "unexpected_part", f"A multipart body here has, each once: {known}.")
    return InvalidInput(error.message, code="unexpected_part", errors=[error])


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"A file has at most {most:,} bytes.")
