"""The table of kinds."""

from __future__ import annotations

from collect.errors import FieldError, InvalidInput
from gateway.kinds import exports, teams, uploads
from gateway.kinds.kind import Kind

_TABLE = (
    Kind(
        name="upload",
        params=uploads.UploadParams,
        check=uploads.check,
        template=uploads.template,
        marked=uploads.marked,
        stored=uploads.stored,
    ),
    Kind(name="export", params=exports.ExportParams, check=exports.check),
    Kind(
        name="teams",
        params=teams.TeamsParams,
        check=teams.check,
        template=teams.template,
        marked=teams.marked,
        look=teams.look,
        stored=teams.stored,
        undone_a_second=3_000,
    ),
)
KINDS: dict[str, Kind] = {kind.name: kind for kind in _TABLE}


def kind(name: str, *, with_file: bool = False) -> Kind:
    """Return the kind of that name. ``with_file``: a file was sent with the request.

    Raises:
        InvalidInput: there is no such kind, or a file was sent and its jobs read no file.
    """
    if name not in KINDS:
        known = ", ".join(KINDS)
        error = FieldError("kind", "unknown_kind", f"There is no kind {name!r}; there is: {known}.")
        raise InvalidInput(error.message, errors=[error])
    found = KINDS[name]
    if with_file and found.template is None:
        error = FieldError("file", "no_file", f"A job of kind {name} reads no file; send it as JSON, without one.")
        raise InvalidInput(error.message, errors=[error])
    return found
