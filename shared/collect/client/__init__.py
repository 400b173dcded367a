"""The typed Python client of the API, and the command ``collect``, which uses it.

>>> with CollectClient(url="http://127.0.0.1:8080", api_key=key) as client:  # doctest: +SKIP
...     file = client.files.upload("baseline.csv")
...     job = client.jobs.create("upload", {"file_id": file.id, "dataset": "baseline"}, reason="Round 2")
...     job = client.jobs.wait(job.id)
"""

from collect.api.data import File, Team
from collect.api.jobs import Job, Manifest, Progress, Reject, UndoPreview
from collect.api.previews import Preview
from collect.client.api import CollectClient, NotConfigured
from collect.client.errors import (
    ApiError,
    BadAnswer,
    ClientError,
    Damaged,
    InvalidRequest,
    Missing,
    MovedOn,
    NotAuthenticated,
    NotPermitted,
    Refused,
    ServerFailed,
    TooMany,
    Unreachable,
    WaitedInVain,
)
from collect.client.transport import Patience

__all__ = [
    "ApiError",
    "BadAnswer",
    "ClientError",
    "CollectClient",
    "Damaged",
    "File",
    "InvalidRequest",
    "Job",
    "Manifest",
    "Missing",
    "MovedOn",
    "NotAuthenticated",
    "NotConfigured",
    "NotPermitted",
    "Patience",
    "Preview",
    "Progress",
    "Refused",
    "Reject",
    "ServerFailed",
    "Team",
    "TooMany",
    "UndoPreview",
    "Unreachable",
    "WaitedInVain",
]
