"""Files: sending one, and reading it again."""

from __future__ import annotations

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from collect.errors import InvalidInput
from collect.storage import files
from collect.storage import object_store as blob_store
from collect.storage.database import Transaction, transact
from collect.storage.files import InputFile
from collect.storage.idempotency import Answer
from gateway.http import uploads
from gateway.http.auth import caller, needs
from gateway.http.downloads import partial
from gateway.http.uploads import Sent
from gateway.jobs import create
from gateway.jobs.create import Keep
from gateway.schemas import views
from gateway.schemas.requests import FilePath, FileQuery
from gateway.services import services

blueprint = APIBlueprint("files", __name__, url_prefix="/v1/files", abp_tags=[Tag(name="files")])


@blueprint.post("")
@needs("operator")
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
        return create.once(fingerprint, lambda keep: make_known(sent, file, keep))


@blueprint.get("/<file_id>")
def show(path: FilePath) -> dict[str, object]:
    """Show a file.

    Its name, size and checksum.
    """
    return views.file(files.get(services().db, org_id=caller().org_id, file_id=path.file_id))


@blueprint.get("/<file_id>/content")
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


def make_known(sent: Sent, file: InputFile, keep: Keep | None = None) -> None:
    """From now on the file that came is one of the organisation's."""
    headers = {"Location": f"/v1/files/{file.id}"}

    def work(tx: Transaction) -> None:
        files.insert(tx, file)
        if keep is not None:
            keep(tx, Answer(status=201, body=views.file(file), headers=headers))

    transact(services().db, work)
    sent.keep()
