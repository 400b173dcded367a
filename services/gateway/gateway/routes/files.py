"""Files: sending one, and reading it again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag

from collect.errors import FieldError, InvalidInput, TooLarge
from collect.storage import blobs as blob_store
from collect.storage import files
from collect.storage.files import InputFile
from collect.storage.idempotency import Answer
from gateway import creating, views
from gateway.auth import caller, needs
from gateway.models import FilePath, FileQuery
from gateway.ranges import partial
from gateway.services import services

PIECE_BYTES = 1024 * 1024
MAX_NAME_CHARACTERS = 255

blueprint = APIBlueprint("files", __name__, url_prefix="/v1/files", abp_tags=[Tag(name="files")])


@blueprint.post("")
@needs("operator")
def receive(query: FileQuery) -> Response:
    """Send a file: the raw body with `?name=`, or multipart with `file`. It never changes afterwards."""
    file = received(query.name)
    fingerprint = creating.fingerprint_of({"name": file.name, "sha256": file.sha256})

    def answer() -> Answer:
        return Answer(status=201, body=views.file(file), headers={"Location": f"/v1/files/{file.id}"})

    response = creating.once(fingerprint, answer)
    if response.headers.get("Idempotency-Replayed"):
        _forget(file)
    return response


@blueprint.get("/<file_id>")
def show(path: FilePath) -> dict[str, object]:
    """A file's size and checksum."""
    return views.file(files.get(services().db, org_id=caller().org_id, file_id=path.file_id))


@blueprint.get("/<file_id>/content")
def content(path: FilePath) -> Response:
    """A file's bytes, whole or in part (`Range`)."""
    file = files.get(services().db, org_id=caller().org_id, file_id=path.file_id)
    return partial(
        size=file.bytes,
        read=lambda start, end: blob_store.stream(services().blobs, file.blob, start=start, end=end),
        name=file.name,
        sha256=file.sha256,
    )


def received(name: str | None) -> InputFile:
    """Store the file that this request carries.

    Raises:
        InvalidInput: there is none, or it has no usable name.
        TooLarge: it is over the organisation's limit; before it is read, if its length is said.
    """
    most = caller().organisation.limits.max_upload_bytes
    if request.content_length is not None and request.content_length > most + PIECE_BYTES:
        raise TooLarge(f"A file has at most {most:,} bytes.")
    if request.mimetype == "multipart/form-data":
        part = request.files.get("file")
        if part is None:
            raise InvalidInput("A multipart body has the file in a part called `file`.", code="no_file")
        return stored(part.stream, name or part.filename)
    return stored(request.stream, name)


def stored(stream: IO[bytes], name: str | None) -> InputFile:
    """Store a stream under a name."""
    return files.receive(
        services().db,
        services().blobs,
        org_id=caller().org_id,
        name=checked_name(name),
        data=pieces(stream),
        max_bytes=caller().organisation.limits.max_upload_bytes,
        keep_days=services().settings.file_days,
    )


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


def pieces(stream: IO[bytes]) -> Iterator[bytes]:
    """A stream, a piece at a time."""
    while piece := stream.read(PIECE_BYTES):
        yield piece


def _forget(file: InputFile) -> None:
    """The same file had been received before, under the same key."""
    services().blobs.delete(file.blob)
    services().db.files.delete_one({"_id": file.id})
