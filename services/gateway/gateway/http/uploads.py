"""Files as they come in: a raw body, or multipart, straight into the blob store in flat memory."""

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
    """What has come. ``keep``: the file has been made known, so that its bytes stay."""

    fields: dict[str, str] = field(default_factory=dict)
    file: InputFile | None = None
    kept: bool = False

    def keep(self) -> None:
        self.kept = True


def is_multipart() -> bool:
    """Whether the request's body has parts."""
    return request.mimetype == MULTIPART


@contextmanager
def raw(name: str | None, *, most_bytes: int | None = None) -> Iterator[Sent]:
    """The body as a file. Its bytes go away again unless the block keeps them.

    ``most_bytes``: of this file, where that is less than the organisation may send.
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
    """The fields called ``names`` and the part ``file``, in any order. Its bytes go away again unless they are kept.

    ``most_bytes``: see :func:`raw`.

    Raises:
        InvalidInput: malformed, or with parts that nobody asked for.
        TooLarge: before it is read, if its length is said; else as soon as it is.
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
        sent.keep()  # what was asked for may have been done after all, and then needs them
        raise
    finally:
        if sent.file is not None and not sent.kept:
            files.discard(services().blobs, sent.file)


def checked_name(name: str | None) -> str:
    """The last part of the name: paths are nobody's business, and a name is only shown, never opened.

    Raises:
        InvalidInput: there is no name, or not one that can be shown.
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
    """The body. The server below ends it without a word when the sender goes away, so its length is looked at here."""
    came = 0
    while piece := _read(stream):
        came += len(piece)
        yield piece
    if length is not None and came < length:
        raise broken_off()


def _read(stream: IO[bytes]) -> bytes:
    try:
        return stream.read(PIECE_BYTES)
    except TimeoutError:  # it may come yet, but nobody waits for it any longer
        raise
    except OSError as error:  # a chunked body that does not end as it must
        raise broken_off() from error


def _events(stream: IO[bytes]) -> Iterator[Event]:
    """The body's events, one after the other, never more in memory than a piece of it."""
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
    """What the present part holds."""
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
