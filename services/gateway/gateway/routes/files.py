"""Files: sending one, and reading it again."""

from __future__ import annotations

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from collect.api.data import File
from collect.errors import InvalidInput
from collect.storage import files
from collect.storage import object_store as blob_store
from gateway import answers
from gateway.http import uploads
from gateway.http.answering import JSON, answering, in_ranges
from gateway.http.auth import caller, needs
from gateway.http.downloads import partial
from gateway.jobs import create
from gateway.schemas.requests import FilePath, FileQuery
from gateway.services import services

blueprint = APIBlueprint("files", __name__, url_prefix="/v1/files", abp_tags=[Tag(name="files")])


@blueprint.post("")
@needs("operator")
@answering({JSON: File}, 201, creates=True)
def receive(query: FileQuery) -> Response:
    """Send a file.

    Send the raw body with `?name=`, or a multipart body with the part `file`. A file never changes afterwards.
    """
    opened = uploads.multipart(file_name=query.name) if uploads.is_multipart() else uploads.raw(query.name)
    with opened as sent:
        file = sent.file
        if file is None:
            raise InvalidInput("A multipart body has the file in a part called `file`.", code="no_file")
        fingerprint = create.fingerprint_of({"name": file.name, "sha256": file.sha256})
        return create.once(fingerprint, lambda keep: create.keep_file(sent, file, keep))


@blueprint.get("/<file_id>")
def show(path: FilePath) -> File:
    """Show a file.

    Its name, size and checksum.
    """
    return answers.file(files.get(services().db, org_id=caller().org_id, file_id=path.file_id))


@blueprint.get("/<file_id>/content")
@in_ranges
def content(path: FilePath) -> Response:
    """Download a file.

    Its bytes, whole or in part (`Range`).
    """
    file = files.get(services().db, org_id=caller().org_id, file_id=path.file_id)
    return partial(
        size=file.bytes,
        read=lambda start, end: blob_store.stream(services().blobs, file.blob, start=start, end=end),
        name=file.name,
        sha256=file.sha256,
    )
